"""Whether scores can be read as probabilities.

Guo et al. 2017, "On calibration of modern neural networks" (arXiv:1706.04599), section 2.
Differences from the paper: pixels take the place of images.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64, Integer
from torch import Tensor

from segscape.structures import LabelMap, StructureError

# Confidences are added up in units of 2^-24, the spacing of float32 just below 1, as integers: the
# sums then depend on neither order nor grouping, and hold 5e11 pixels.
_UNIT = 2.0**-24


@dataclass(frozen=True)
class ReliabilityBin:
    """The pixels whose confidence lies in (low, high].

    Args:
        low: lower bound.
        high: upper bound.
        pixels: how many.
        confidence: their mean confidence, nan for none.
        accuracy: the share of them that is right, nan for none.
    """

    low: float
    high: float
    pixels: int
    confidence: float
    accuracy: float


@dataclass(frozen=True)
class CalibrationScores:
    """How far confidence is from accuracy.

    Args:
        expected_calibration_error: mean gap, weighted by pixels, in [0, 1] (equation 3); nan when
            nothing was judged.
        maximum_calibration_error: the widest gap of any bin, in [0, 1] (equation 5); nan likewise.
        table: the bins from low to high confidence: the reliability diagram.
    """

    expected_calibration_error: float
    maximum_calibration_error: float
    table: tuple[ReliabilityBin, ...]


class CalibrationHistogram:
    """Judged pixels by their confidence, the score of the category they were called.

    The state is integers, so that the result depends neither on the order of the images nor on how
    many processes shared them.

    Args:
        bins: how many of equal width divide (0, 1].

    Raises:
        StructureError: for no bins.

    >>> histogram = CalibrationHistogram(bins=2)
    >>> scores = torch.tensor([[[0.75, 0.25, 1.0]], [[0.25, 0.75, 0.0]]])
    >>> histogram.update(scores, torch.tensor([[0, 0, 255]]), ignore_id=255)
    >>> histogram.compute().expected_calibration_error
    0.25
    """

    pixels: Int64[Tensor, "bin"]
    right: Int64[Tensor, "bin"]
    confidence: Int64[Tensor, "bin"]

    def __init__(self, *, bins: int = 15) -> None:
        if bins < 1:
            raise StructureError(f"CalibrationHistogram got bins={bins}: give at least one")
        self.bins = bins
        self.pixels, self.right, self.confidence = torch.zeros(3, bins, dtype=torch.int64)

    def update(
        self,
        scores: Float[Tensor, "category height width"],
        target: LabelMap | Integer[Tensor, "_ _"],
        *,
        ignore_id: int = 255,
    ) -> None:
        """Count one image.

        Args:
            scores: in [0, 1], one map per category: softmax of the logits.
            target: true categories; ignored pixels are not judged.
            ignore_id: the ignored id where the target is a plain tensor.

        Raises:
            StructureError: when sizes differ or scores leave [0, 1].
        """
        if isinstance(target, LabelMap):
            target, judged = target.labels, ~target.ignored()
        else:
            judged = target != ignore_id
        if scores.shape[1:] != target.shape:
            raise StructureError(
                f"the scores have {tuple(scores.shape[1:])} pixels, the target "
                f"{tuple(target.shape)}: resize the scores to the target"
            )
        confidence, called = scores.detach().float().max(0)
        confidence, called, true = confidence[judged], called[judged], target[judged]
        if not bool(((confidence >= 0) & (confidence <= 1)).all()):
            raise StructureError("scores must lie in [0, 1]: apply a softmax to the logits first")
        # Right-closed bins as in the paper: a confidence of exactly 1 is in the last one.
        bins = (confidence.double() * self.bins).ceil().long().clamp(1, self.bins) - 1
        right = bins[called == true]
        self.pixels += torch.bincount(bins, minlength=self.bins).cpu()
        self.right += torch.bincount(right, minlength=self.bins).cpu()
        units = (confidence.double() / _UNIT).round().long()
        sums = torch.zeros(self.bins, dtype=torch.int64, device=units.device)
        self.confidence += sums.index_add(0, bins, units).cpu()

    def merge(self, other: "CalibrationHistogram") -> None:
        """Add the pixels of another histogram, which is left as it is.

        Raises:
            StructureError: when the bins differ.
        """
        if other.bins != self.bins:
            raise StructureError(
                f"a histogram of {other.bins} bins cannot join one of {self.bins}: use one number"
            )
        self.pixels = self.pixels + other.pixels
        self.right = self.right + other.right
        self.confidence = self.confidence + other.confidence

    def compute(self) -> CalibrationScores:
        """The calibration of all images counted so far."""
        pixels = self.pixels.double()
        confidence = self.confidence.double() * _UNIT / pixels
        accuracy = self.right.double() / pixels
        gaps = (confidence - accuracy).abs()
        held = pixels > 0
        nothing = not bool(held.any())
        expected = float((gaps * pixels)[held].sum() / pixels.sum())
        table = tuple(
            ReliabilityBin(
                low=i / self.bins,
                high=(i + 1) / self.bins,
                pixels=int(self.pixels[i]),
                confidence=float(confidence[i]),
                accuracy=float(accuracy[i]),
            )
            for i in range(self.bins)
        )
        return CalibrationScores(
            expected_calibration_error=float("nan") if nothing else expected,
            maximum_calibration_error=float("nan") if nothing else float(gaps[held].max()),
            table=table,
        )
