"""One file per layout, each a sequence of Sample."""

from collections.abc import Sequence

from segscape.datasets.dataset import Dataset as Dataset
from segscape.datasets.given_classes import Classes
from segscape.datasets.layouts import LAYOUTS as LAYOUTS
from segscape.datasets.layouts import is_synthetic, place_of
from segscape.datasets.layouts import split_names as split_names
from segscape.datasets.paired_files import PairedFiles
from segscape.datasets.synthetic_spec import open_synthetic
from segscape.structures import DatasetError, LabelMap


def open_dataset(
    spec: str,
    *,
    split: str,
    classes: Classes = None,
    ignore: Sequence[int] = (),
) -> Dataset[LabelMap]:
    """Open one split of the data set that the command line names.

    Args:
        spec: `LAYOUT:ROOT` with a layout of `LAYOUTS`; ROOT alone, whose layout is detected; or
            `synthetic:` with options as `count=400,height=128,width=160,seed=0`.
        split: one of `split_names(spec)`, or a fold as `val@2/5` where the data have no split.
        classes: a file of classes, or the same inline; the layout's own when not given.
        ignore: ids in the masks that mean void, beside those that the classes say.

    Raises:
        DatasetError: when the data set, split or classes cannot be used, with the cure.
        MaskFileError: when classes have to be inferred and a mask cannot be read.
    """
    if is_synthetic(spec):
        if classes is not None or ignore:
            raise DatasetError(
                f"data '{spec}': drawn scenes have their own classes: leave out classes and ignore"
            )
        return open_synthetic(spec.partition(":")[2], split)
    place = place_of(spec)
    listing = place.layout.list_files(place.root, split)
    if listing.problems:
        raise DatasetError(listing.problems[0])
    coding = place.layout.coding_of(place.root, split, classes, ignore)
    return PairedFiles(listing.pairs, coding, source=f"{place.name}:{place.root} ({split})")
