"""What every transform is, and where its randomness comes from."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np

from segscape.structures import LabelMap, Sample


@runtime_checkable
class Transform(Protocol):
    """Change image, target and pixel weights by one call."""

    def __call__(
        self, sample: Sample[LabelMap], generator: np.random.Generator
    ) -> Sample[LabelMap]:
        """Return a new sample; the given one is never written to."""
        ...


def generator_for(seed: int, epoch: int, index: int) -> np.random.Generator:
    """The random numbers of one sample in one epoch: a pure function of the three numbers.

    Philox is counter-based (Salmon et al., SC 2011, doi:10.1145/2063384.2063405): no state is kept,
    so a run depends neither on the number of workers nor on where it was interrupted.

    >>> float(generator_for(0, 1, 2).random()) == float(generator_for(0, 1, 2).random())
    True
    """
    # The counter's low word counts draws; its high words are ours to name the stream.
    return np.random.Generator(
        np.random.Philox(key=seed % 2**64, counter=[0, 0, index % 2**64, epoch % 2**64])
    )


def apply(
    transforms: Sequence[Transform], sample: Sample[LabelMap], generator: np.random.Generator
) -> Sample[LabelMap]:
    """Apply transforms in order."""
    for transform in transforms:
        sample = transform(sample, generator)
    return sample
