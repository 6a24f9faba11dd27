"""Turns that lose nothing, for images that have no up."""

from dataclasses import dataclass

import numpy as np
import torch

from segscape.structures import LabelMap, Sample
from segscape.transforms.maps import moved


@dataclass(frozen=True)
class QuarterTurns:
    """Turn by 0, 90, 180 or 270 degrees, each as likely.

    Height and width change places at odd turns: crop to a square first where batches need one size.
    """

    def __call__(
        self, sample: Sample[LabelMap], generator: np.random.Generator
    ) -> Sample[LabelMap]:
        """Turn image, labels and weights."""
        turns = int(generator.integers(4))
        return moved(sample, lambda values: torch.rot90(values, turns, (-2, -1)))
