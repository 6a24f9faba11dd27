"""Predict many image files: stopped at any instant, it goes on where it was."""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from jaxtyping import UInt8
from torch import Tensor

from segscape.inference.areas import sum_areas
from segscape.inference.inputs import ZARR, Input, find_inputs
from segscape.inference.manifest import Manifest, begin, claim
from segscape.inference.prediction_progress import PredictionProgress
from segscape.inference.results import (
    Format,
    ResultFiles,
    check_formats,
    write_by_windows,
    write_whole,
)
from segscape.inference.segmenter import Segmenter
from segscape.io.image_files import image_size, read_image
from segscape.io.json_files import read_json, write_json
from segscape.io.large_images import TIFF_SUFFIXES, LargeImage, open_large
from segscape.structures import OutputError, SegscapeError

# TIFF files with more pixels are read and written by windows: 8,192 x 8,192.
LARGE_PIXELS = 8192 * 8192
SUMMARY = "summary.json"

Decoded = UInt8[Tensor, "3 height width"] | LargeImage


@dataclass(frozen=True)
class Failure:
    """An image that could not be predicted.

    Args:
        path: of the image.
        reason: one line that names it.
    """

    path: Path
    reason: str


@dataclass(frozen=True)
class PredictionSummary:
    """What `predict_files` did.

    Args:
        predicted: images predicted by this call.
        skipped: images whose results were there already.
        failures: images that could not be predicted.
        seconds: taken for those predicted, from the first decoding to the last file.
    """

    predicted: int
    skipped: int
    failures: tuple[Failure, ...]
    seconds: float


def predict_files(
    segmenter: Segmenter,
    inputs: Sequence[str | Path],
    out: str | Path,
    *,
    formats: Sequence[str] = ("png",),
    overwrite: bool = False,
    large_pixels: int = LARGE_PIXELS,
    show_progress: bool = True,
) -> PredictionSummary:
    """Predict files, folders and patterns, and write each image's results as soon as it is done.

    Every file appears whole or not at all. `segscape.json` in the output folder remembers model and
    options: another call with the same skips what is finished. An image that cannot be read or
    predicted is told in one line, and the others are done.

    Args:
        segmenter: predicts.
        inputs: as `find_inputs` takes them.
        out: the output folder; the tree of the inputs is mirrored in it.
        formats: "png" for label maps (tiled TIFF or Zarr for images read by windows), "overlay" for
            pictures, "scores" for float16 score maps, "json" for the areas of the classes.
        overwrite: whether to replace results that are there.
        large_pixels: TIFF images with more pixels, and all Zarr images, are read by windows.
        show_progress: whether to draw a bar, and print failures, on the terminal.

    Raises:
        ImageFileError: when an input does not exist or holds no image.
        OutputError: when the output folder holds something else, or the disk refuses; nothing is
            half written.
        StructureError: for an unknown format.
    """
    kinds, out = check_formats(formats), Path(out)
    images = find_inputs(inputs, out)
    files = {image: ResultFiles.of(out, image) for image in images}
    manifest = Manifest(segmenter.fingerprint, segmenter.options)
    since = claim(out, manifest, overwrite=overwrite)
    if since is None:
        if not overwrite:
            _refuse_strangers(files.values(), kinds)
        since = begin(out, manifest)
    todo = [image for image in images if not _is_finished(image, files[image], kinds, since)]
    failures: list[Failure] = []
    began = perf_counter()
    with PredictionProgress(len(todo), shown=show_progress) as progress:
        for image, decoded in _read_ahead(todo, large_pixels):
            try:
                _predict_one(segmenter, image, decoded, files[image], kinds, progress)
            except OutputError:
                raise
            except SegscapeError as error:
                line = str(error) if str(image.path) in str(error) else f"{image.path}: {error}"
                failures.append(Failure(image.path, line))
                progress.tell(line)
            progress.done()
    seconds = perf_counter() - began
    if "json" in kinds:
        areas = (
            read_json(files[image].places("json")[0], error=OutputError)
            for image in images
            if _is_finished(image, files[image], ("json",), since)
        )
        summary = sum_areas(areas, segmenter.taxonomy)
        failed = [str(failure.path) for failure in failures]
        write_json(out / SUMMARY, summary | {"failed": failed, "model": manifest.model})
    return PredictionSummary(
        len(todo) - len(failures), len(images) - len(todo), tuple(failures), seconds
    )


def _predict_one(
    segmenter: Segmenter,
    image: Input,
    decoded: "Future[Decoded]",
    files: ResultFiles,
    kinds: Sequence[Format],
    progress: PredictionProgress,
) -> None:
    pixels = decoded.result()
    if isinstance(pixels, Tensor):
        write_whole(segmenter, pixels, files, kinds, str(image.path))
        return
    with pixels:
        write_by_windows(segmenter, pixels, files, kinds, str(image.path), progress.part)


def _read_ahead(
    images: Sequence[Input], large_pixels: int
) -> Iterator[tuple[Input, "Future[Decoded]"]]:
    """Decode the next image in a second thread while this one is predicted."""
    with ThreadPoolExecutor(1, "decode") as thread:
        following: Future[Decoded] | None = None
        for index, image in enumerate(images):
            current = following or thread.submit(_decode, image.path, large_pixels)
            is_last = index + 1 == len(images)
            following = (
                None if is_last else thread.submit(_decode, images[index + 1].path, large_pixels)
            )
            yield image, current


def _decode(path: Path, large_pixels: int) -> Decoded:
    suffix = path.suffix.lower()
    if suffix == ZARR and path.is_dir():
        return open_large(path)
    if suffix in TIFF_SUFFIXES:
        size = image_size(path)
        if size.height * size.width > large_pixels:
            return open_large(path)
    return read_image(path)


def _is_finished(image: Input, files: ResultFiles, kinds: Sequence[Format], since: int) -> bool:
    """Whether the results are younger than the folder's manifest and than the image itself."""
    try:
        return files.finished(kinds, max(since, image.path.stat().st_mtime_ns))
    except FileNotFoundError:  # gone since it was found: decoding will say so
        return False


def _refuse_strangers(files: Iterable[ResultFiles], kinds: Sequence[Format]) -> None:
    """Files of other origin are not replaced unasked."""
    for one in files:
        for kind in kinds:
            for place in one.places(kind):
                if place.exists():
                    raise OutputError(
                        f"{place}: exists and was not made by segscape predict: choose another "
                        "--out or give --overwrite"
                    )
