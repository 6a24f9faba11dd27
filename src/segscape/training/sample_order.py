"""Which image comes when: one infinite stream of (epoch, index), a pure function of the seed."""

from collections.abc import Iterator
from functools import lru_cache

import numpy as np
from jaxtyping import Int64

# Keeps the permutations' random stream apart from those of the transforms.
_ORDER = 0x6F72646572


class SampleOrder:
    """The stream of a data set: epoch after epoch, each in its own random order.

    Batches are cut from the stream without regard to where epochs end, so that no image is dropped,
    no batch is ever short, and a data set smaller than a batch is met several times in it.

    Args:
        length: images in the data set, 1 or more.
        seed: names the order.

    >>> order = SampleOrder(3, seed=0)
    >>> stream = [order.at(position) for position in range(6)]
    >>> sorted(stream)
    [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)]
    """

    def __init__(self, length: int, *, seed: int) -> None:
        self.length = length
        self.seed = seed

    def at(self, position: int) -> tuple[int, int]:
        """The epoch and index at a position of the stream, from 0."""
        epoch, place = divmod(position, self.length)
        return epoch, int(_permutation(self.length, self.seed, epoch)[place])


@lru_cache(maxsize=4)
def _permutation(length: int, seed: int, epoch: int) -> Int64[np.ndarray, "image"]:
    key = np.random.SeedSequence([_ORDER, seed % 2**64, epoch])
    return np.random.Generator(np.random.Philox(key)).permutation(length)


class BatchOrder:
    """The indices of each batch for one process, from any batch on.

    Args:
        order: the stream.
        batch_size: images of one batch over all processes.
        first: number of the first batch.
        last: number after the last batch.
        process: this process, from 0.
        processes: how many share each batch; must divide `batch_size`.
    """

    def __init__(
        self,
        order: SampleOrder,
        *,
        batch_size: int,
        first: int,
        last: int,
        process: int = 0,
        processes: int = 1,
    ) -> None:
        self.order = order
        self.batch_size = batch_size
        self.first = first
        self.last = last
        self.share = batch_size // processes
        self.offset = process * self.share

    def __len__(self) -> int:
        return max(0, self.last - self.first)

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        for batch in range(self.first, self.last):
            start = batch * self.batch_size + self.offset
            yield [self.order.at(start + place) for place in range(self.share)]
