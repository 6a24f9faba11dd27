"""The layout of Cityscapes (Cordts et al., CVPR 2016, arXiv:1604.01685).

```
root/leftImg8bit/train/aachen/aachen_000000_000019_leftImg8bit.png
root/gtFine/train/aachen/aachen_000000_000019_gtFine_labelIds.png        or _labelTrainIds.png
```

The table of labels is that of the data set's own tools: 34 ids and the licence plate's -1, of which
19 classes are trained and judged; all others are void.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from segscape.datasets.given_classes import Classes, given_coding, ignoring
from segscape.datasets.paired_files import PairedFiles
from segscape.datasets.pairing import Listing, Pair, some
from segscape.io.label_coding import LabelCoding
from segscape.structures import Category, DatasetError, Taxonomy
from segscape.structures.taxonomy import Color

LOOKS_FOR = "leftImg8bit/ and gtFine/"
VOID = 255
_IMAGE_END = "_leftImg8bit.png"
_MASK_ENDS = ("_gtFine_labelIds.png", "_gtFine_labelTrainIds.png")


@dataclass(frozen=True)
class CityscapesLabel:
    """One row of the table.

    Args:
        name: of the class.
        id: in labelIds files.
        train_id: 0..18, or 255 where the class is not trained (-1 for the licence plate).
        has_instances: whether objects of it are told apart.
        color: in colour-coded masks.
    """

    name: str
    id: int
    train_id: int
    has_instances: bool
    color: Color


LABELS = (
    CityscapesLabel("unlabeled", 0, VOID, False, (0, 0, 0)),
    CityscapesLabel("ego vehicle", 1, VOID, False, (0, 0, 0)),
    CityscapesLabel("rectification border", 2, VOID, False, (0, 0, 0)),
    CityscapesLabel("out of roi", 3, VOID, False, (0, 0, 0)),
    CityscapesLabel("static", 4, VOID, False, (0, 0, 0)),
    CityscapesLabel("dynamic", 5, VOID, False, (111, 74, 0)),
    CityscapesLabel("ground", 6, VOID, False, (81, 0, 81)),
    CityscapesLabel("road", 7, 0, False, (128, 64, 128)),
    CityscapesLabel("sidewalk", 8, 1, False, (244, 35, 232)),
    CityscapesLabel("parking", 9, VOID, False, (250, 170, 160)),
    CityscapesLabel("rail track", 10, VOID, False, (230, 150, 140)),
    CityscapesLabel("building", 11, 2, False, (70, 70, 70)),
    CityscapesLabel("wall", 12, 3, False, (102, 102, 156)),
    CityscapesLabel("fence", 13, 4, False, (190, 153, 153)),
    CityscapesLabel("guard rail", 14, VOID, False, (180, 165, 180)),
    CityscapesLabel("bridge", 15, VOID, False, (150, 100, 100)),
    CityscapesLabel("tunnel", 16, VOID, False, (150, 120, 90)),
    CityscapesLabel("pole", 17, 5, False, (153, 153, 153)),
    CityscapesLabel("polegroup", 18, VOID, False, (153, 153, 153)),
    CityscapesLabel("traffic light", 19, 6, False, (250, 170, 30)),
    CityscapesLabel("traffic sign", 20, 7, False, (220, 220, 0)),
    CityscapesLabel("vegetation", 21, 8, False, (107, 142, 35)),
    CityscapesLabel("terrain", 22, 9, False, (152, 251, 152)),
    CityscapesLabel("sky", 23, 10, False, (70, 130, 180)),
    CityscapesLabel("person", 24, 11, True, (220, 20, 60)),
    CityscapesLabel("rider", 25, 12, True, (255, 0, 0)),
    CityscapesLabel("car", 26, 13, True, (0, 0, 142)),
    CityscapesLabel("truck", 27, 14, True, (0, 0, 70)),
    CityscapesLabel("bus", 28, 15, True, (0, 60, 100)),
    CityscapesLabel("caravan", 29, VOID, True, (0, 0, 90)),
    CityscapesLabel("trailer", 30, VOID, True, (0, 0, 110)),
    CityscapesLabel("train", 31, 16, True, (0, 80, 100)),
    CityscapesLabel("motorcycle", 32, 17, True, (0, 0, 230)),
    CityscapesLabel("bicycle", 33, 18, True, (119, 11, 32)),
    CityscapesLabel("license plate", -1, -1, False, (0, 0, 142)),
)
_TRAINED = tuple(
    sorted(
        (label for label in LABELS if label.train_id not in (VOID, -1)),
        key=lambda label: label.train_id,
    )
)
CITYSCAPES_TAXONOMY = Taxonomy(
    tuple(Category(label.name, label.color, label.has_instances) for label in _TRAINED)
)
LABEL_IDS = LabelCoding(
    CITYSCAPES_TAXONOMY,
    tuple(label.id for label in _TRAINED),
    frozenset(label.id for label in LABELS if label not in _TRAINED),
)
TRAIN_IDS = LabelCoding.plain(CITYSCAPES_TAXONOMY)


class CityscapesDataset(PairedFiles):
    """Images and masks of one split of Cityscapes, 19 classes.

    Args:
        root: the folder with leftImg8bit and gtFine.
        split: a folder in both.
        classes: other classes, as a file or inline; their ids are those of the masks found.
        ignore: ids in the masks that mean void, beside those of the table.

    Raises:
        DatasetError: for missing folders or files.
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
    return (root / "leftImg8bit").is_dir() and (root / "gtFine").is_dir()


def split_names(root: Path) -> tuple[str, ...]:
    """The folders of leftImg8bit."""
    return tuple(sorted(path.name for path in (root / "leftImg8bit").glob("*") if path.is_dir()))


def list_files(root: Path, split: str) -> Listing:
    """Find the images of all cities of a split, and their masks.

    Raises:
        DatasetError: for missing folders, no images or no masks at all.
    """
    if not found_in(root):
        raise DatasetError(f"{root}: expected {LOOKS_FOR} of Cityscapes: check the folder")
    folder = root / "leftImg8bit" / split
    if not folder.is_dir():
        names = ", ".join(split_names(root)) or "none"
        raise DatasetError(f"{folder}: no such split; there are: {names}: choose one of these")
    images = sorted(folder.glob(f"*/*{_IMAGE_END}"))
    if not images:
        raise DatasetError(f"{folder}: holds no */*{_IMAGE_END}: unpack leftImg8bit there")
    ending = _mask_end(root, split)
    pairs: list[Pair] = []
    lacking: list[str] = []
    for image in images:
        key = image.name.removesuffix(_IMAGE_END)
        mask = root / "gtFine" / split / image.parent.name / f"{key}{ending}"
        if mask.is_file():
            pairs.append(Pair(key, image, mask))
        else:
            lacking.append(mask.name)
    problems: list[str] = []
    if lacking:
        problems.append(
            f"{root / 'gtFine' / split}: {len(lacking)} of {len(images)} masks are missing: "
            f"{some(lacking)}: unpack gtFine there, or make them with the data set's own tools"
        )
    if not pairs:
        raise DatasetError(problems[0])
    return Listing(tuple(sorted(pairs, key=lambda pair: pair.key)), tuple(problems))


def coding_of(
    root: Path,
    split: str,
    classes: Classes = None,
    ignore: Sequence[int] = (),
) -> LabelCoding:
    """The 19 classes by the ids of the masks found, unless others are given.

    Raises:
        DatasetError: when given classes are malformed.
    """
    own = LABEL_IDS if _mask_end(root, split) == _MASK_ENDS[0] else TRAIN_IDS
    return ignoring(given_coding(classes) if classes is not None else own, ignore)


def _mask_end(root: Path, split: str) -> str:
    """The kind of mask that is there: labelIds where both are, since everyone has those."""
    folder = root / "gtFine" / split
    for ending in _MASK_ENDS:
        if next(folder.glob(f"*/*{ending}"), None) is not None:
            return ending
    return _MASK_ENDS[0]
