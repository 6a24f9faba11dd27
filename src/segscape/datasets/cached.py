"""Decode once, train for many epochs."""

from threading import Lock
from typing import Generic, TypeVar

import torch

from segscape.datasets.dataset import Dataset
from segscape.structures import DatasetError, InstanceSet, LabelMap, PanopticMap, Sample, Size
from segscape.structures import Taxonomy as Taxonomy

Target = TypeVar("Target", LabelMap, InstanceSet, PanopticMap)
DEFAULT_BYTES = 2 << 30


class CachedDataset(Generic[Target]):
    """Keep the samples of another data set in memory, as many as fit the budget.

    What is kept are the decoded samples themselves: transforms return new samples and never write
    to the given one, and neither may others. With worker processes each has its own memory and
    keeps what it reads.

    Args:
        dataset: what to read from.
        byte_budget: the most bytes of images, targets and weights to keep; samples beyond are read
            anew each time.

    Raises:
        DatasetError: for a negative budget.
    """

    def __init__(self, dataset: Dataset[Target], *, byte_budget: int = DEFAULT_BYTES) -> None:
        if byte_budget < 0:
            raise DatasetError(f"byte_budget is {byte_budget}, give 0 or more bytes")
        self._dataset, self._budget = dataset, byte_budget
        self._kept: dict[int, Sample[Target]] = {}
        self._bytes = 0
        self._lock = Lock()

    @property
    def taxonomy(self) -> Taxonomy:
        """What the ids of the targets mean."""
        return self._dataset.taxonomy

    @property
    def keys(self) -> tuple[str, ...]:
        """The names of the items."""
        return self._dataset.keys

    @property
    def kept_bytes(self) -> int:
        """Bytes that are kept now, never more than the budget."""
        return self._bytes

    def __len__(self) -> int:
        return len(self._dataset)

    def size(self, index: int) -> Size:
        """The size of one item."""
        place = range(len(self))[index]
        kept = self._kept.get(place)
        return self._dataset.size(place) if kept is None else kept.size

    def __getitem__(self, index: int) -> Sample[Target]:
        place = range(len(self))[index]
        kept = self._kept.get(place)
        if kept is not None:
            return kept
        sample = self._dataset[place]
        needed = _bytes_of(sample)
        with self._lock:
            if place not in self._kept and self._bytes + needed <= self._budget:
                self._kept[place] = sample
                self._bytes += needed
        return sample

    def __getstate__(self) -> dict[str, object]:
        """For worker processes: locks do not travel."""
        return {name: value for name, value in vars(self).items() if name != "_lock"}

    def __setstate__(self, state: dict[str, object]) -> None:
        vars(self).update(state)
        self._lock = Lock()


def _bytes_of(sample: Sample[Target]) -> int:
    parts = [sample.image, sample.pixel_weights, *vars(sample.target).values()]
    return sum(part.nbytes for part in parts if isinstance(part, torch.Tensor))
