"""The Berkeley segmentation data set, BSDS500 (Arbelaez et al. 2011, doi:10.1109/TPAMI.2010.161).

```
root/images/train/100075.jpg            root/images/{train,val,test}
root/groundTruth/train/100075.mat       several people's segmentations of each image
```

Its truth is several partitions, not a label map: there are no categories to train on. It scores
methods that part an image into regions.
"""

from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from segscape.datasets.pairing import some
from segscape.datasets.roots import find_root
from segscape.io.image_files import find_images, image_size, read_image
from segscape.structures import DatasetError, MaskFileError, Partition, Size, StructureError

NAME = "bsds500"
LOOKS_FOR = "images/ and groundTruth/ with .mat files"


@dataclass(frozen=True)
class AnnotatedImage:
    """An image with the partitions that several people drew.

    Args:
        image: 0..255.
        truths: one for each annotator, of the image's size, at least one.
        key: names the item within its data set.

    Raises:
        StructureError: without truths, or when sizes differ.
    """

    image: UInt8[Tensor, "3 height width"]
    truths: tuple[Partition, ...]
    key: str

    def __post_init__(self) -> None:
        if not self.truths:
            raise StructureError(f"image '{self.key}': got no truth, expected one at least")
        size = Size(*self.image.shape[1:])
        for truth in self.truths:
            if truth.size != size:
                raise StructureError(
                    f"image '{self.key}' is {size.height} x {size.width}, a truth "
                    f"{truth.size.height} x {truth.size.width} pixels: give them one size"
                )


class BerkeleyDataset:
    """The images of one split with all their human partitions.

    Args:
        root: the folder that holds `images` and `groundTruth`.
        split: one of its folders: train, val or test.

    Raises:
        DatasetError: for missing folders, an unknown split, or images without truth.
    """

    def __init__(self, root: str | Path, *, split: str = "train") -> None:
        root = Path(root)
        if not found_in(root):
            raise DatasetError(f"{root}: expected {LOOKS_FOR} of BSDS500: check the folder")
        if split not in split_names(root):
            known = ", ".join(split_names(root)) or "none"
            raise DatasetError(f"{root}: has no split '{split}': it has {known}")
        self._images = find_images(root / "images" / split)
        self._truths = [
            root / "groundTruth" / split / f"{image.stem}.mat" for image in self._images
        ]
        missing = [path.name for path in self._truths if not path.is_file()]
        if missing or not self._images:
            raise DatasetError(
                f"{root / 'groundTruth' / split}: lacks {len(missing)} of {len(self._images)} "
                f"truths: {some(missing) or 'there are no images'}: unpack the data set again"
            )

    @property
    def keys(self) -> tuple[str, ...]:
        """The names of the images, in order and unique."""
        return tuple(image.stem for image in self._images)

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, index: int) -> AnnotatedImage:
        """Read one image with its truths.

        Raises:
            ImageFileError: when the image cannot be read.
            MaskFileError: when the truth cannot be read.
        """
        return AnnotatedImage(
            read_image(self._images[index]),
            read_truths(self._truths[index]),
            self._images[index].stem,
        )

    def size(self, index: int) -> Size:
        """The size of one image, without decoding it."""
        return image_size(self._images[index])


def open_berkeley(spec: str, *, split: str) -> BerkeleyDataset:
    """Open what the command line calls `bsds500:ROOT`.

    Args:
        spec: `bsds500:ROOT`, or ROOT alone.
        split: train, val or test.

    Raises:
        DatasetError: when there is no such folder or split, or files are missing.
    """
    name, colon, rest = spec.partition(":")
    if colon and name == NAME and not rest:
        raise DatasetError(f"data '{spec}': names no folder: write {NAME}:FOLDER")
    return BerkeleyDataset(find_root(rest if colon and name == NAME else spec), split=split)


def found_in(root: Path) -> bool:
    """Whether a folder has this layout."""
    return (root / "images").is_dir() and (root / "groundTruth").is_dir()


def split_names(root: Path) -> tuple[str, ...]:
    """The splits of a root, sorted."""
    return tuple(
        sorted(
            path.name
            for path in (root / "groundTruth").glob("*")
            if path.is_dir() and (root / "images" / path.name).is_dir()
        )
    )


def read_truths(path: Path) -> tuple[Partition, ...]:
    """Read the partitions of all annotators of one image.

    Args:
        path: a file as `groundTruth/train/100075.mat`.

    Raises:
        MaskFileError: when the file is missing, damaged or of another content.
    """
    from scipy.io import loadmat  # a tenth of a second that only this needs
    from scipy.io.matlab import MatReadError

    try:
        cells = loadmat(path)["groundTruth"].ravel()
        return tuple(
            Partition.from_ids(torch.from_numpy(cell["Segmentation"][0, 0].astype(np.int64)))
            for cell in cells
        )
    except (OSError, KeyError, ValueError, IndexError, TypeError, BadZipFile, MatReadError) as e:
        raise MaskFileError(
            f"{path}: is no BSDS500 truth ({e}): expected a .mat file with 'groundTruth' cells "
            "that hold 'Segmentation'"
        ) from e
