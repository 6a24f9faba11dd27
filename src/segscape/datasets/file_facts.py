"""What the data doctor reads from every image and mask."""

from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Integer, UInt8
from numpy import ndarray
from torch import Tensor

from segscape.datasets.dataset import Dataset
from segscape.datasets.pairing import Pair
from segscape.io.image_files import image_size, read_image
from segscape.io.label_coding import LabelCoding
from segscape.io.mask_files import read_stored
from segscape.structures import LabelMap, MaskFileError, SegscapeError, Size

THUMB = 12
_TABLE = 1 << 16


@dataclass(frozen=True)
class ImageFacts:
    """One image.

    Args:
        size: None when it cannot be read.
        error: the one line that says why, None when all is well.
        sums, squares: of each channel's values in 0..1 over the pixels; empty when not measured.
        digest: the same for images of the same pixels, or after a glance for files of the same
            bytes; empty when not known.
        thumb: mean grey on a grid of 12 x 12, 0..255.
    """

    size: Size | None
    error: str | None = None
    sums: tuple[float, ...] = ()
    squares: tuple[float, ...] = ()
    digest: bytes = b""
    thumb: Float32[ndarray, "12 12"] | None = None


@dataclass(frozen=True)
class MaskFacts:
    """One mask.

    Args:
        size: None when it cannot be read.
        error: the one line that says why, None when all is well.
        ids: pixels of each id as stored; empty for masks of colours.
        counts: pixels of each category.
        void: pixels that are ignored.
    """

    size: Size | None
    error: str | None = None
    ids: dict[int, int] = field(default_factory=dict[int, int])
    counts: tuple[int, ...] = ()
    void: int = 0


@dataclass(frozen=True)
class Facts:
    """One pair of image and mask in a split."""

    split: str
    pair: Pair
    image: ImageFacts
    mask: MaskFacts

    @property
    def is_whole(self) -> bool:
        """Whether both could be read and are of one size."""
        return self.image.size is not None and self.image.size == self.mask.size


def read_facts(
    pairs: Sequence[tuple[str, Pair]], coding: LabelCoding, *, quick: bool
) -> list[Facts]:
    """Read all files by several threads; errors become facts.

    Args:
        pairs: split and files.
        coding: what the ids mean.
        quick: read of the images no more than their sizes, and the bytes of those files of which
            another has as many.
    """
    measure = _glance(pairs) if quick else lambda file: _measured(read_image(file))
    with ThreadPoolExecutor() as threads:
        return list(threads.map(lambda one: _facts_of(one[0], one[1], coding, measure), pairs))


def drawn_facts(split: str, dataset: Dataset[LabelMap]) -> list[Facts]:
    """The facts of a data set that has no files."""
    facts: list[Facts] = []
    for index, key in enumerate(dataset.keys):
        sample = dataset[index]
        coding = LabelCoding.plain(dataset.taxonomy)
        mask = _mask_facts(sample.target.labels, coding)
        image = _measured(sample.image)
        facts.append(Facts(split, Pair(key, Path(key), Path(key)), image, mask))
    return facts


def _glance(pairs: Sequence[tuple[str, Pair]]) -> Callable[[Path], ImageFacts]:
    files = {pair.image for _, pair in pairs}
    lengths = Counter(file.stat().st_size for file in files if file.exists())

    def glance(file: Path) -> ImageFacts:
        size = image_size(file)
        if lengths[file.stat().st_size] == 1:
            return ImageFacts(size, digest=str(file).encode())
        return ImageFacts(size, digest=blake2b(file.read_bytes(), digest_size=16).digest())

    return glance


def _facts_of(
    split: str, pair: Pair, coding: LabelCoding, measure: Callable[[Path], ImageFacts]
) -> Facts:
    try:
        image = measure(pair.image)
    except SegscapeError as error:
        image = ImageFacts(None, str(error))
    try:
        stored = read_stored(pair.mask)
        if stored.ndim == 3:
            labels = coding.colors_to_labels(stored, source=str(pair.mask)).labels
            mask = _label_facts(labels, coding)
        else:
            mask = _mask_facts(stored, coding)
    except SegscapeError as error:
        mask = MaskFacts(None, str(error))
    return Facts(split, pair, image, mask)


def _measured(image: UInt8[Tensor, "3 height width"]) -> ImageFacts:
    pixels = image.numpy()
    height, width = pixels.shape[1:]
    # Histograms: exact, and half the time of sums over floats.
    counts = [np.bincount(plane, minlength=256) for plane in pixels.reshape(3, -1)]
    levels = np.arange(256) / 255
    return ImageFacts(
        Size(height, width),
        sums=tuple(float((count * levels).sum()) for count in counts),
        squares=tuple(float((count * levels**2).sum()) for count in counts),
        digest=blake2b(repr(pixels.shape).encode() + pixels.tobytes(), digest_size=16).digest(),
        thumb=_thumb(pixels),
    )


def _thumb(pixels: UInt8[ndarray, "3 height width"]) -> Float32[ndarray, "12 12"] | None:
    height, width = pixels.shape[1:]
    if min(height, width) < THUMB:
        return None
    rows = np.linspace(0, height, THUMB, endpoint=False).astype(int)
    columns = np.linspace(0, width, THUMB, endpoint=False).astype(int)
    # No matrix product: its own threads would quarrel with ours.
    across = np.add.reduceat(pixels.sum(0, dtype=np.int32), columns, 1)
    sums = np.add.reduceat(across, rows, 0).astype(np.float32)
    areas = np.outer(np.diff(rows, append=height), np.diff(columns, append=width))
    return (sums / (3 * areas)).astype(np.float32)


def _mask_facts(stored: Integer[Tensor, "height width"], coding: LabelCoding) -> MaskFacts:
    values = stored.numpy()
    if values.size == 0:
        raise MaskFileError("a mask has no pixels")
    if values.dtype == np.uint8 or (values.min() >= 0 and values.max() < _TABLE):
        table = np.bincount(values.ravel())
        ids = {int(value): int(table[value]) for value in np.flatnonzero(table)}
    else:
        found, pixels = np.unique(values, return_counts=True)
        ids = dict(zip(found.tolist(), pixels.tolist(), strict=True))
    return MaskFacts(
        Size(*values.shape),
        ids=ids,
        counts=tuple(ids.get(value, 0) for value in coding.file_ids),
        void=sum(ids.get(value, 0) for value in coding.all_ignored),
    )


def _label_facts(labels: Integer[Tensor, "height width"], coding: LabelCoding) -> MaskFacts:
    plain = _mask_facts(labels, LabelCoding.plain(coding.taxonomy))
    return MaskFacts(plain.size, counts=plain.counts, void=plain.void)
