"""Run a method over image files and write what it found.

All names, sizes, marks and places of results are checked before the first image is segmented.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

from jaxtyping import Shaped
from rich.console import Console
from torch import Tensor

from segscape.classical.method_options import drawn_inputs
from segscape.classical.pixels import refuse_beyond_memory
from segscape.classical.results import ids_of, mask_of
from segscape.cli.outputs import refuse_file, refuse_folder
from segscape.cli.patience import WorkProgress
from segscape.inference.inputs import Input, find_inputs
from segscape.io.atomic import atomic_file
from segscape.io.image_files import image_size, write_image
from segscape.io.image_samples import read_samples
from segscape.io.mark_files import Marks, checked_box, read_marks
from segscape.io.mask_files import write_ids
from segscape.structures import ImageFileError, MethodError, OutputError, Size
from segscape.visualize.figures import as_rgb
from segscape.visualize.regions import boundary_overlay, cut_out, mean_colors

OVERLAYS, MEAN_COLORS, CUT_OUTS = "overlay", "mean_color", "cut_out"
MARK_SUFFIXES = (".png", ".json")
# The image, its ids and the pictures made of both, with what is needed to make them.
_BYTES_PER_PIXEL = 60.0

Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class Job:
    """One image, with what is drawn in it and where its results go.

    Args:
        image: the file.
        marks: the file of its marks; None without.
        ids: where the ids go; pictures have the same name in folders of their own.
        out: the folder for all results.
    """

    image: Input
    marks: Path | None
    ids: Path
    out: Path

    @classmethod
    def of(cls, image: Input, marks: Path | None, out: Path) -> "Job":
        """Find its marks and name its results.

        Raises:
            MethodError: when a folder holds no marks for it.
        """
        place = out / image.name.with_name(f"{image.name.name}.png")
        return cls(image, None if marks is None else _marks_of(image, marks), place, out)

    def picture(self, kind: str) -> Path:
        """Where a picture of this kind goes."""
        return self.out / kind / self.ids.relative_to(self.out)

    @property
    def files(self) -> tuple[Path, ...]:
        """All that may be written."""
        return self.ids, *(self.picture(kind) for kind in (OVERLAYS, MEAN_COLORS, CUT_OUTS))


def segment_files(
    method: Callable[..., object],
    images: Sequence[Path],
    out: Path,
    *,
    name: str,
    options: dict[str, Any],
    marks: Path | None,
    box: Box | None,
    summary: Path | None,
    overwrite: bool,
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

    Raises:
        SegscapeError: when an image or its marks cannot be read, the method refuses it, or a result
            is there already or cannot be written.
    """
    refuse_folder(summary)
    refuse_file(out)
    drawn = drawn_inputs(method)
    jobs = [Job.of(each, marks, out) for each in find_inputs(images, out)]
    if not overwrite:
        _refuse_existing(jobs)
    for job in jobs:
        _shown(job, box, checked_size(job.image.path), drawn, name)
    console = Console()
    rows: list[dict[str, Any]] = []
    kind = MEAN_COLORS
    with WorkProgress("segmenting", len(jobs)) as progress:
        for job in jobs:
            image = image_of(job.image.path)
            shown = _shown(job, box, Size(*image.shape[1:]), drawn, name)
            try:
                began = perf_counter()
                result = method(image, **options, **shown)
                seconds = perf_counter() - began
            except MethodError as error:
                raise MethodError(f"{job.image.path}: {error}") from error
            regions, kind = _write(job, image, result)
            progress.done()
            rows.append({"image": str(job.image.path), "regions": regions, "seconds": seconds})
            plural = "region" if regions == 1 else "regions"
            _say(console, f"{job.image.name}: {regions:,} {plural}, {seconds:.2g} s")
    if summary is not None:
        _write_summary(summary, {"method": name, "options": options, "images": rows})
    what = "cut out" if kind == CUT_OUTS else "mean colours"
    _say(console, f"ids {out}, boundaries {out / OVERLAYS}, {what} {out / kind}")


def checked_size(path: Path) -> Size:
    """The size of an image that a method and the pictures of its result fit into memory with.

    Raises:
        ImageFileError: when its header cannot be read, or it lies in tiles.
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
    return size


def image_of(path: Path) -> Shaped[Tensor, "channel height width"]:
    """Read an image with its own depth and channels.

    Raises:
        ImageFileError: when it cannot be read, or lies in tiles.
        MethodError: when it is too large.
    """
    checked_size(path)
    return read_samples(path)


def shown_in(marks: Path | None, box: Box | None, size: Size) -> dict[str, Any]:
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
    boxes = found.boxes if box is None else (*found.boxes, checked_box(box, size, "--box"))
    if len(boxes) > 1:
        raise MethodError(f"got {len(boxes)} boxes, expected one: mark one object at a time")
    shown = {"marks": found.marks, "box": boxes[0] if boxes else None}
    return {name: value for name, value in shown.items() if value is not None}


def _shown(
    job: Job, box: Box | None, size: Size, drawn: Sequence[str], name: str
) -> dict[str, Any]:
    try:
        shown = shown_in(job.marks, box, size)
    except MethodError as error:
        raise MethodError(f"{job.image.path}: {error}") from error
    if "box" in shown and "box" not in drawn:
        raise MethodError(
            f'{job.marks}: holds a box, which {name} does not take: leave "boxes" out of the '
            "file and mark by strokes, or take grab_cut"
        )
    return shown


def _marks_of(image: Input, marks: Path) -> Path:
    if not marks.is_dir():
        return marks
    for suffix in MARK_SUFFIXES:
        place = marks / image.name.with_name(image.name.name + suffix)
        if place.is_file():
            return place
    raise MethodError(f"no marks in {marks}: expected {image.name}.png or {image.name}.json")


def _refuse_existing(jobs: Sequence[Job]) -> None:
    there = [file for job in jobs for file in job.files if file.exists()]
    if there:
        more = f" and {len(there) - 1} other results" if len(there) > 1 else ""
        raise OutputError(f"{there[0]}{more}: there already: choose another --out or --overwrite")


def _write(
    job: Job, image: Shaped[Tensor, "channel height width"], result: object
) -> tuple[int, str]:
    """The number of regions, and which picture stands beside the boundaries."""
    ids, mask, colors = ids_of(result), mask_of(result), as_rgb(image)
    kind = MEAN_COLORS if mask is None else CUT_OUTS
    picture = mean_colors(colors, ids) if mask is None else cut_out(colors, mask)
    write_ids(job.ids, ids)
    write_image(job.picture(OVERLAYS), boundary_overlay(colors, ids))
    write_image(job.picture(kind), picture)
    return int(ids.unique().numel()), kind


def _say(console: Console, words: str) -> None:
    console.print(words, markup=False, highlight=False, soft_wrap=True)


def _write_summary(path: Path, found: dict[str, Any]) -> None:
    with atomic_file(path) as draft:
        draft.write_text(json.dumps(found, indent=2, ensure_ascii=False) + "\n", "utf-8")
