"""The formulas: from counts of pixels to scores.

For a category let TP (true positives) be the pixels that are it and were called it, FN (false
negatives) those that are it and were called something else or nothing, FP (false positives) those
that were called it and are something else, and TN all other judged pixels. All scores are in
[0, 1] and come from three counts: hits = TP, true = TP + FN and predicted = TP + FP.

| score | formula |
|---|---|
| IoU (Jaccard 1912) | TP / (TP + FP + FN): not over the pixels of both |
| Dice (1945) = F1 | 2 TP / (2 TP + FP + FN) = 2 TP / (true + predicted) |
| precision | TP / (TP + FP) |
| recall, the "class accuracy" of FCN and SegNet | TP / (TP + FN) |
| accuracy | (TP + TN) / all: near 1 for any rare category, even one that is never found |
| pixel accuracy | sum of TP / all |
| mean pixel accuracy (Long et al. 2015, section 5) | mean of the recalls |
| mean IoU | mean of the IoUs |
| frequency-weighted IoU (Long et al. 2015) | sum of true IoU / all |

A score is nan where it says nothing. IoU, Dice and precision are nan for a category that occurs in
neither truth nor predictions; recall is nan for one that is not in the truth. The precision of a
category that is true somewhere but never predicted is 0: such a miss must not raise a mean.
"""

from typing import Literal

import numpy as np
from jaxtyping import Float64, Num
from numpy import ndarray

# Whether categories that occur nowhere are left out of the means or counted as 0.
Absent = Literal["exclude", "zero"]


def iou(
    hits: Num[ndarray, "*group category"],
    true: Num[ndarray, "*group category"],
    predicted: Num[ndarray, "*group category"],
) -> Float64[ndarray, "*group category"]:
    """TP / (TP + FP + FN).

    >>> iou(np.array([3]), np.array([4]), np.array([5])).tolist()
    [0.5]
    """
    return _ratio(hits, true + predicted - hits)


def dice(
    hits: Num[ndarray, "*group category"],
    true: Num[ndarray, "*group category"],
    predicted: Num[ndarray, "*group category"],
) -> Float64[ndarray, "*group category"]:
    """2 TP / (2 TP + FP + FN), which is F1.

    >>> dice(np.array([3]), np.array([4]), np.array([8])).tolist()
    [0.5]
    """
    return _ratio(2 * hits, true + predicted)


def precision(
    hits: Num[ndarray, "*group category"],
    true: Num[ndarray, "*group category"],
    predicted: Num[ndarray, "*group category"],
) -> Float64[ndarray, "*group category"]:
    """TP / (TP + FP); 0 for a category that is true somewhere and never predicted.

    >>> precision(np.array([3, 0, 0]), np.array([9, 1, 0]), np.array([4, 0, 0])).tolist()
    [0.75, 0.0, nan]
    """
    missed = (predicted == 0) & (true > 0)
    return np.where(missed, 0.0, _ratio(hits, predicted))


def recall(
    hits: Num[ndarray, "*group category"], true: Num[ndarray, "*group category"]
) -> Float64[ndarray, "*group category"]:
    """TP / (TP + FN).

    >>> recall(np.array([3, 0]), np.array([4, 0])).tolist()
    [0.75, nan]
    """
    return _ratio(hits, true)


def accuracy(
    hits: Num[ndarray, "*group category"],
    true: Num[ndarray, "*group category"],
    predicted: Num[ndarray, "*group category"],
) -> Float64[ndarray, "*group category"]:
    """(TP + TN) / all, where all is the number of judged pixels.

    >>> accuracy(np.array([90, 0]), np.array([90, 10]), np.array([100, 0])).tolist()
    [0.9, 0.9]
    """
    everything = true.sum(-1, keepdims=True)
    wrong = true + predicted - 2 * hits
    return _ratio(everything - wrong, everything)


def pixel_accuracy(
    hits: Num[ndarray, "*group category"], true: Num[ndarray, "*group category"]
) -> Float64[ndarray, "*group"]:
    """Sum of TP / all.

    >>> float(pixel_accuracy(np.array([3, 5]), np.array([4, 6])))
    0.8
    """
    return _ratio(hits.sum(-1), true.sum(-1))


def frequency_weighted_iou(
    hits: Num[ndarray, "*group category"],
    true: Num[ndarray, "*group category"],
    predicted: Num[ndarray, "*group category"],
) -> Float64[ndarray, "*group"]:
    """Sum of true IoU / all.

    >>> float(frequency_weighted_iou(np.array([3, 0]), np.array([6, 2]), np.array([6, 0])))
    0.25
    """
    weighted = np.nansum(true * iou(hits, true, predicted), -1)
    return _ratio(weighted, true.sum(-1))


def mean_over_categories(
    scores: Float64[ndarray, "*group category"], absent: Absent
) -> Float64[ndarray, "*group"]:
    """Average scores by the rule for categories where they are nan; nan when all of them are.

    >>> scores = np.array([1.0, 0.5, np.nan])
    >>> float(mean_over_categories(scores, "exclude")), float(mean_over_categories(scores, "zero"))
    (0.75, 0.5)
    """
    judged = (~np.isnan(scores)).sum(-1)
    count = np.where(judged > 0, scores.shape[-1], 0) if absent == "zero" else judged
    return _ratio(np.nansum(scores, -1), count)


def _ratio(
    above: Num[ndarray, "*#group"] | np.number, below: Num[ndarray, "*#group"] | np.number
) -> Float64[ndarray, "*#group"]:
    above, below = np.broadcast_arrays(np.asarray(above, np.float64), np.asarray(below, np.float64))
    return np.divide(above, below, out=np.full(below.shape, np.nan), where=below != 0)
