"""The files that a prediction leaves for one image; each appears whole or not at all."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from segscape.inference.areas import ClassAreas
from segscape.inference.inputs import ZARR, Input
from segscape.inference.mirror import ImageReader
from segscape.inference.segmenter import Segmenter
from segscape.io.atomic import atomic_file
from segscape.io.image_files import write_image
from segscape.io.json_files import write_json
from segscape.io.large_images import create_labels
from segscape.io.mask_files import write_label_map
from segscape.structures import LabelMap, SegscapeError, Size, StructureError
from segscape.visualize.overlay import overlay

Format = Literal["png", "overlay", "scores", "json"]
OVERLAYS = "overlay"
# The longest side of the overlay of an image that is predicted by windows.
OVERLAY_SIDE = 2048


def check_formats(formats: Sequence[str]) -> tuple[Format, ...]:
    """The formats, each once.

    Raises:
        StructureError: when there is none, or one is unknown.
    """
    known: dict[str, Format] = {name: name for name in get_args(Format)}
    for name in formats:
        if name not in known:
            raise StructureError(f"format '{name}': choose among {', '.join(known)}")
    if not formats:
        raise StructureError(f"no format was given: choose among {', '.join(known)}")
    return tuple(known[name] for name in dict.fromkeys(formats))


@dataclass(frozen=True)
class ResultFiles:
    """Where the results of one image go.

    Args:
        out: the output folder.
        name: below it, without suffix.
        by_windows: the suffix of the label map of an image that is predicted by windows.
    """

    out: Path
    name: Path
    by_windows: str

    @classmethod
    def of(cls, out: Path, image: Input) -> "ResultFiles":
        """The places for an input."""
        zarr = image.path.suffix.lower() == ZARR
        return cls(out, image.name, ZARR if zarr else ".tif")

    def _with(self, suffix: str, folder: str = "") -> Path:
        # Not with_suffix: a name may hold dots that are no suffix.
        return self.out / folder / self.name.with_name(self.name.name + suffix)

    def places(self, kind: Format) -> tuple[Path, ...]:
        """The file of a format; for label maps the whole one and the one written by windows."""
        if kind == "png":
            return self._with(".png"), self._with(self.by_windows)
        if kind == "overlay":
            return (self._with(".png", OVERLAYS),)
        return (self._with(".npz" if kind == "scores" else ".json"),)

    def finished(self, formats: Sequence[Format], since: int) -> bool:
        """Whether every format is there and no older than a time."""
        return all(
            any(place.exists() and place.stat().st_mtime_ns >= since for place in self.places(kind))
            for kind in formats
        )


def write_whole(
    segmenter: Segmenter,
    image: UInt8[Tensor, "3 height width"],
    files: ResultFiles,
    formats: Sequence[Format],
    source: str,
) -> None:
    """Predict an image in memory and write its results.

    Raises:
        SegscapeError: when it does not fit into memory or cannot be written.
    """
    if "scores" in formats:
        scores = segmenter.scores(image)
        label_map = LabelMap.from_scores(scores, segmenter.taxonomy)
        write_scores(files.places("scores")[0], scores, segmenter.taxonomy.names)
    else:
        label_map = segmenter(image)
    if "png" in formats:
        write_label_map(files.places("png")[0], label_map)
    if "overlay" in formats:
        write_image(files.places("overlay")[0], overlay(image, label_map))
    if "json" in formats:
        areas = ClassAreas(segmenter.taxonomy)
        areas.add(label_map.labels)
        write_json(files.places("json")[0], areas.describe(source, label_map.size))


def write_by_windows(
    segmenter: Segmenter,
    reader: ImageReader,
    files: ResultFiles,
    formats: Sequence[Format],
    source: str,
    advance: Callable[[float], None],
) -> None:
    """Predict an image larger than memory and write its results as they come.

    The label map is a tiled TIFF, or Zarr where the image is; the overlay is a smaller picture.

    Args:
        segmenter: predicts.
        reader: the image.
        files: where results go.
        formats: without "scores", which would be larger than the image by far.
        source: names the image in the JSON.
        advance: told which share of the image is done.

    Raises:
        SegscapeError: when scores are asked for, a part is damaged or a result cannot be written.
    """
    if "scores" in formats:
        raise SegscapeError(
            f"{source}: its scores would take {_score_bytes(reader.size, segmenter):.0f} GB: leave "
            "--format scores out, or cut the image"
        )
    areas = ClassAreas(segmenter.taxonomy)
    picture = _SmallOverlay(reader, segmenter) if "overlay" in formats else None
    writer = (
        create_labels(files.places("png")[1], reader.size, segmenter.taxonomy)
        if "png" in formats
        else None
    )
    try:
        for top, labels in segmenter.bands(reader):
            if writer is not None:
                writer.write(top, 0, labels)
            if picture is not None:
                picture.add(top, labels)
            areas.add(labels)
            advance((top + labels.shape[0]) / reader.size.height)
    except BaseException:
        if writer is not None:
            writer.abandon()
        raise
    if writer is not None:
        writer.close()
    if picture is not None:
        write_image(files.places("overlay")[0], picture.finish())
    if "json" in formats:
        write_json(files.places("json")[0], areas.describe(source, reader.size))


def write_scores(
    path: Path, scores: Float[Tensor, "category height width"], names: Sequence[str]
) -> None:
    """Write `scores` as float16 (category, height, width) and `names`, as a compressed npz.

    Raises:
        OutputError: when the file cannot be written.
    """
    arrays: dict[str, Any] = {"scores": scores.half().numpy(), "names": np.array(names)}
    with atomic_file(path) as temporary:
        np.savez_compressed(temporary, **arrays)


class _SmallOverlay:
    """Every n-th pixel of an image and its labels."""

    def __init__(self, reader: ImageReader, segmenter: Segmenter) -> None:
        self._reader = reader
        self._taxonomy = segmenter.taxonomy
        self._step = -(-max(reader.size) // OVERLAY_SIDE)
        self._pixels: list[Tensor] = []
        self._labels: list[Tensor] = []

    def add(self, top: int, labels: Tensor) -> None:
        """Take the rows of a band that are multiples of the step."""
        step, (height, width) = self._step, labels.shape
        first = -top % step
        if first >= height:
            return
        self._labels.append(labels[first::step, ::step])
        # By pieces as wide as a window is: a whole band would not be bounded by the tile.
        piece = step * (-(-1024 // step))
        columns = [
            self._reader.read(top, left, height, min(piece, width - left))[:, first::step, ::step]
            for left in range(0, width, piece)
        ]
        self._pixels.append(torch.cat(columns, 2))

    def finish(self) -> UInt8[Tensor, "3 height width"]:
        """The picture."""
        labels = LabelMap(torch.cat(self._labels), self._taxonomy)
        return overlay(torch.cat(self._pixels, 1), labels)


def _score_bytes(size: Size, segmenter: Segmenter) -> float:
    return 2e-9 * size.height * size.width * len(segmenter.taxonomy)
