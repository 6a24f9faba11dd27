"""The layout of Pascal VOC (Everingham et al., IJCV 2010, doi:10.1007/s11263-009-0275-4).

```
root/JPEGImages/2007_000032.jpg
root/SegmentationClass/2007_000032.png       palette PNG, 255 = void
root/ImageSets/Segmentation/train.txt        stems
```

`root` may also be the `VOCdevkit` above a single `VOC2012`.
"""

from collections.abc import Sequence
from pathlib import Path

from segscape.datasets.given_classes import Classes, given_coding, ignoring
from segscape.datasets.paired_files import PairedFiles
from segscape.datasets.pairing import Listing, Pair, some
from segscape.io.label_coding import LabelCoding
from segscape.structures import Category, DatasetError, Taxonomy
from segscape.structures.colors import default_color

LOOKS_FOR = "JPEGImages/, SegmentationClass/ and ImageSets/Segmentation/"
NAMES = (
    *("background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair"),
    *("cow", "diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa"),
    *("train", "tvmonitor"),
)
VOC_TAXONOMY = Taxonomy(
    tuple(
        Category(name, default_color(index), is_thing=index > 0) for index, name in enumerate(NAMES)
    )
)


class VocDataset(PairedFiles):
    """Images and class masks of one split of Pascal VOC, or of data laid out like it.

    Args:
        root: the folder of one year, or the devkit above it.
        split: name of a list in ImageSets/Segmentation.
        classes: other classes than VOC's 21, as a file or inline.
        ignore: ids in the masks that mean void, beside 255.

    Raises:
        DatasetError: for missing folders, lists or files.
    """

    def __init__(
        self,
        root: str | Path,
        *,
        split: str = "train",
        classes: Classes = None,
        ignore: Sequence[int] = (),
    ) -> None:
        root = Path(root)
        listing = list_files(root, split)
        if listing.problems:
            raise DatasetError(listing.problems[0])
        coding = coding_of(root, split, classes, ignore)
        super().__init__(listing.pairs, coding, source=f"{root} ({split})")


def found_in(root: Path) -> bool:
    """Whether a folder has this layout."""
    return _year(root) is not None


def split_names(root: Path) -> tuple[str, ...]:
    """The names of the lists in ImageSets/Segmentation."""
    lists = (_year(root) or root) / "ImageSets" / "Segmentation"
    return tuple(sorted(path.stem for path in lists.glob("*.txt")))


def list_files(root: Path, split: str) -> Listing:
    """Find the pairs that the split's list names.

    Raises:
        DatasetError: for a missing folder or list, or when none of the listed files is there.
    """
    year = _year(root)
    if year is None:
        raise DatasetError(f"{root}: expected {LOOKS_FOR} of Pascal VOC: check the folder")
    path = year / "ImageSets" / "Segmentation" / f"{split}.txt"
    if not path.is_file():
        names = ", ".join(split_names(root)) or "none"
        raise DatasetError(f"{path}: no such list; there are: {names}: choose one of these")
    # Some lists carry a second column of 1 and -1.
    stems = [line.split()[0] for line in path.read_text().splitlines() if line.split()]
    pairs = [
        Pair(
            stem,
            year / "JPEGImages" / f"{stem}.jpg",
            year / "SegmentationClass" / f"{stem}.png",
        )
        for stem in dict.fromkeys(stems)
    ]
    whole = tuple(pair for pair in pairs if pair.image.is_file() and pair.mask.is_file())
    problems: list[str] = []
    if len(whole) < len(pairs):
        lacking = [
            str(file.relative_to(year))
            for pair in pairs
            for file in (pair.image, pair.mask)
            if not file.is_file()
        ]
        problems.append(
            f"{path}: {len(lacking)} files of the {len(pairs)} listed names are missing: "
            f"{some(lacking)}: unpack them or correct the list"
        )
    if not whole:
        raise DatasetError(problems[0] if problems else f"{path}: lists nothing: write stems")
    return Listing(whole, tuple(problems))


def coding_of(
    root: Path,
    split: str,
    classes: Classes = None,
    ignore: Sequence[int] = (),
) -> LabelCoding:
    """VOC's 21 categories, unless others are given.

    Raises:
        DatasetError: when given classes are malformed.
    """
    del root, split
    own = LabelCoding.plain(VOC_TAXONOMY)
    return ignoring(given_coding(classes) if classes is not None else own, ignore)


def _year(root: Path) -> Path | None:
    for place in (root, *sorted(root.glob("VOC20*")), *sorted(root.glob("VOCdevkit/VOC20*"))):
        if (place / "JPEGImages").is_dir() and (place / "SegmentationClass").is_dir():
            return place
    return None
