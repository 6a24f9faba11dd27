"""What every data set is."""

from typing import Protocol, TypeVar, runtime_checkable

from segscape.structures import InstanceSet, LabelMap, PanopticMap, Sample, Size, Taxonomy

T = TypeVar("T", LabelMap, InstanceSet, PanopticMap, covariant=True)


@runtime_checkable
class Dataset(Protocol[T]):
    """A sequence of samples with one taxonomy; nothing is downloaded or decoded on construction."""

    @property
    def taxonomy(self) -> Taxonomy:
        """What the ids of the targets mean."""
        ...

    @property
    def keys(self) -> tuple[str, ...]:
        """The names of the items, in order and unique."""
        ...

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Sample[T]:
        """Read one item; raises ImageFileError, MaskFileError or DatasetError naming the file."""
        ...

    def size(self, index: int) -> Size:
        """The size of one item, without decoding its pixels where the format allows."""
        ...
