"""Run a method over image files and write what it found."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

from jaxtyping import Integer, UInt8
from rich.console import Console
from torch import Tensor

from segscape.classical.method_options import drawn_inputs
from segscape.classical.pixels import refuse_beyond_memory
from segscape.classical.results import ids_of
from segscape.cli.patience import WorkProgress
from segscape.inference.inputs import Input, find_inputs
from segscape.io.atomic import atomic_file
from segscape.io.image_files import image_size, read_image, write_image
from segscape.io.mark_files import Marks, read_marks
from segscape.io.mask_files import write_ids
from segscape.structures import ImageFileError, MethodError, OutputError, Size
from segscape.visualize.regions import boundary_overlay, mean_colors

OVERLAYS, MEAN_COLORS = "overlay", "mean_color"
MARK_SUFFIXES = (".png", ".json")
# The image, its ids and the pictures made of both, with what is needed to make them.
_BYTES_PER_PIXEL = 60.0


@dataclass(frozen=True)
class Places:
    """Where the results of an image go: its ids, overlay and mean colours."""

    ids: Path
    overlay: Path
    mean_colors: Path

    @classmethod
    def of(cls, image: Input, out: Path) -> "Places":
        """The three files; the overlay and the mean colours in folders of their own."""
        name = image.name.with_name(f"{image.name.name}.png")
        return cls(out / name, out / OVERLAYS / name, out / MEAN_COLORS / name)

    @property
    def files(self) -> tuple[Path, ...]:
        """All of them."""
        return self.ids, self.overlay, self.mean_colors


def segment_files(
    method: Callable[..., object],
    images: Sequence[Path],
    out: Path,
    *,
    name: str,
    options: dict[str, Any],
    marks: Path | None,
    box: tuple[int, int, int, int] | None,
    summary: Path | None,
    overwrite: bool,
    is_shown: bool,
) -> None:
    """Segment images, write the results and say what was found.

    Args:
        method: what finds the regions.
        images: files, folders or patterns.
        out: the folder for the results.
        name: of the method.
        options: of the method.
        marks: a file of marks, or a folder that holds one for each image.
        box: around the object in each image.
        summary: a JSON file for options, counts and times.
        overwrite: whether results may be replaced.
        is_shown: whether the method needs marks or a box.

    Raises:
        SegscapeError: when an image or its marks cannot be read, the method refuses it, or a result
            is there already or cannot be written.
    """
    inputs = find_inputs(images, out)
    places = [Places.of(each, out) for each in inputs]
    if not overwrite:
        _refuse_existing(places)
    drawn = drawn_inputs(method)
    if is_shown and marks is None and box is None:
        raise MethodError(f"{name} needs to be shown what to look for: {_how_to_show(drawn)}")
    console = Console()
    rows: list[dict[str, Any]] = []
    with WorkProgress("segmenting", len(inputs)) as progress:
        for one, files in zip(inputs, places, strict=True):
            try:
                image = image_of(one.path)
                place = None if marks is None else _marks_of(one, marks)
                shown = _taken(shown_in(place, box, Size(*image.shape[1:])), drawn)
                began = perf_counter()
                ids = ids_of(method(image, **options, **shown))
                seconds = perf_counter() - began
            except MethodError as error:
                raise MethodError(f"{one.path}: {error}") from error
            _write(files, image, ids)
            progress.done()
            regions = int(ids.unique().numel())
            rows.append({"image": str(one.path), "regions": regions, "seconds": seconds})
            plural = "region" if regions == 1 else "regions"
            console.print(
                f"{one.name}: {regions:,} {plural}, {seconds:.2g} s",
                markup=False,
                highlight=False,
                soft_wrap=True,
            )
    if summary is not None:
        _write_summary(summary, {"method": name, "options": options, "images": rows})
    console.print(
        f"ids {out}, boundaries {out / OVERLAYS}, mean colours {out / MEAN_COLORS}",
        markup=False,
        highlight=False,
        soft_wrap=True,
    )


def image_of(path: Path) -> UInt8[Tensor, "3 height width"]:
    """Read an image that a method and the pictures of its result fit into memory with.

    Raises:
        ImageFileError: when it cannot be read, or lies in tiles.
        MethodError: when it is too large.
    """
    if path.is_dir():
        raise ImageFileError(f"{path}: is a folder of tiles; methods need a whole image: export it")
    size = image_size(path)
    refuse_beyond_memory(
        _BYTES_PER_PIXEL * size.height * size.width,
        f"an image of {size.height:,} x {size.width:,} pixels",
        "shrink it or cut it into tiles",
    )
    return read_image(path)


def shown_in(
    marks: Path | None, box: tuple[int, int, int, int] | None, size: Size
) -> dict[str, Any]:
    """What a person drew in an image: `marks` and `box`, as far as there are.

    Args:
        marks: a file of marks.
        box: beside the one that the file may hold.
        size: of the image.

    Raises:
        ImageFileError: when marks cannot be read.
        MaskFileError: when they do not fit the image or contradict each other.
        MethodError: when there is more than one box.
    """
    found = Marks(None) if marks is None else read_marks(marks, size)
    boxes = found.boxes if box is None else (*found.boxes, box)
    if len(boxes) > 1:
        raise MethodError(f"got {len(boxes)} boxes, expected one: mark one object at a time")
    shown = {"marks": found.marks, "box": boxes[0] if boxes else None}
    return {name: value for name, value in shown.items() if value is not None}


def _taken(shown: dict[str, Any], drawn: Sequence[str]) -> dict[str, Any]:
    for name in shown:
        if name not in drawn:
            cure = _how_to_show(drawn) if drawn else "leave them out"
            raise MethodError(f"the method takes no {name}: {cure}")
    return shown


def _marks_of(image: Input, marks: Path) -> Path:
    if not marks.is_dir():
        return marks
    for suffix in MARK_SUFFIXES:
        place = marks / image.name.with_name(image.name.name + suffix)
        if place.is_file():
            return place
    raise MethodError(f"no marks in {marks}: expected {image.name}.png or {image.name}.json")


def _how_to_show(drawn: Sequence[str]) -> str:
    ways = {
        "marks": "--marks FILE (scribbles as PNG or JSON)",
        "box": "--box LEFT TOP RIGHT BOTTOM",
    }
    return "give " + " or ".join(ways[name] for name in drawn)


def _refuse_existing(places: Sequence[Places]) -> None:
    there = [file for files in places for file in files.files if file.exists()]
    if there:
        more = f" and {len(there) - 1} other results" if len(there) > 1 else ""
        raise OutputError(f"{there[0]}{more}: there already: choose another --out or --overwrite")


def _write(
    places: Places,
    image: UInt8[Tensor, "3 height width"],
    ids: Integer[Tensor, "height width"],
) -> None:
    write_ids(places.ids, ids)
    write_image(places.overlay, boundary_overlay(image, ids))
    write_image(places.mean_colors, mean_colors(image, ids))


def _write_summary(path: Path, found: dict[str, Any]) -> None:
    with atomic_file(path) as draft:
        draft.write_text(json.dumps(found, indent=2, ensure_ascii=False) + "\n", "utf-8")
