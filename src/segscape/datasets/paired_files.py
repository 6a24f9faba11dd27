"""Images and masks in files, paired: what the layouts on disk become."""

from collections.abc import Sequence

from segscape.datasets.pairing import Pair
from segscape.io.image_files import image_size, read_image
from segscape.io.label_coding import LabelCoding
from segscape.io.mask_files import read_label_map
from segscape.structures import DatasetError, LabelMap, Sample, Size, Taxonomy


def size_problem(pair: Pair, image: Size, mask: Size) -> str:
    """Say that an image and its mask differ in size, with the likely reason."""
    said = (
        f"{pair.mask}: the mask is {mask.height} x {mask.width} but its image {pair.image.name} is "
        f"{image.height} x {image.width} pixels"
    )
    if mask == (image.width, image.height):
        return (
            f"{said}: one of them lies on its side; the image is turned upright by its EXIF "
            "orientation, so export the mask from the upright image"
        )
    if image.height * mask.width == mask.height * image.width:
        return f"{said}: resize the mask by nearest neighbour, or use images of the labelled size"
    return f"{said}: check that they belong together"


class PairedFiles:
    """A data set of image files and mask files.

    Args:
        pairs: the files.
        coding: what the ids in the mask files mean.
        source: what to call the data set in errors, as its folder.

    Raises:
        DatasetError: when there is no pair or a key stands twice.
    """

    def __init__(self, pairs: Sequence[Pair], coding: LabelCoding, *, source: str) -> None:
        if not pairs:
            raise DatasetError(f"{source}: holds no pair of image and mask")
        self.pairs = tuple(pairs)
        self.coding = coding
        self._keys = tuple(pair.key for pair in self.pairs)
        if len(set(self._keys)) < len(self._keys):
            twice = sorted({key for key in self._keys if self._keys.count(key) > 1})
            raise DatasetError(f"{source}: key '{twice[0]}' stands for two images: rename one")

    @property
    def taxonomy(self) -> Taxonomy:
        """What the ids of the targets mean."""
        return self.coding.taxonomy

    @property
    def keys(self) -> tuple[str, ...]:
        """The stems of the images."""
        return self._keys

    def __len__(self) -> int:
        return len(self.pairs)

    def size(self, index: int) -> Size:
        """The image's size from its header; raises ImageFileError naming the file."""
        return image_size(self.pairs[index].image)

    def __getitem__(self, index: int) -> Sample[LabelMap]:
        """Read one pair.

        Raises:
            ImageFileError: when the image cannot be read.
            MaskFileError: when the mask cannot be read as ids of the taxonomy.
            DatasetError: when the two differ in size.
        """
        pair = self.pairs[index]
        image = read_image(pair.image)
        target = read_label_map(pair.mask, self.coding)
        size = Size(int(image.shape[1]), int(image.shape[2]))
        if target.size != size:
            raise DatasetError(size_problem(pair, size, target.size))
        return Sample(image, target, pair.key)
