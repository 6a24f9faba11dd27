"""How the numbers of an evaluation are defined, in sentences that stand beside them."""

from segscape.evaluation.boundaries import BoundaryScores
from segscape.evaluation.cells import CellAgreement
from segscape.metrics.bootstrap import ConfidenceIntervals, why_no_intervals
from segscape.metrics.calibration import CalibrationScores
from segscape.metrics.scores import SegmentationScores

FEW_IMAGES = 20

_COUNTING = (
    "The pixels of all images are counted together in one confusion matrix. The IoU of a category "
    "is TP / (TP + FP + FN); mIoU is its mean over categories, not over images."
)
_VOID = (
    "Pixels that the truth marks as void are not judged: they enter no number. A judged pixel that "
    "was given no category counts as missed."
)
_RATIOS = (
    "Precision is TP / (TP + FP), recall TP / (TP + FN), F1 = Dice = 2 TP / (2 TP + FP + FN); a "
    "category's accuracy is (TP + TN) / all judged pixels. Mean pixel accuracy is the mean of the "
    "recalls."
)


def rules_in_words(
    scores: SegmentationScores,
    intervals: ConfidenceIntervals | None,
    calibration: CalibrationScores | None,
    boundary: BoundaryScores | None,
    cells: CellAgreement | None,
) -> tuple[str, ...]:
    """The rules, those that apply to these numbers only."""
    rules = [_COUNTING, _VOID, _RATIOS, *_about_absent(scores)]
    if intervals is not None:
        few = (
            f" With {scores.images} images they are rather too narrow."
            if scores.images < FEW_IMAGES
            else ""
        )
        rules.append(
            f"Intervals hold {intervals.level:.0%} of {intervals.samples:,} bootstrap draws of "
            "whole images (percentile method). They say how far the numbers would move with other "
            "images like these, not with another training; images that resemble each other, as "
            f"the frames of one film, make them too narrow.{few}"
        )
    elif why := why_no_intervals(scores.images):
        rules.append(f"{why.capitalize()}.")
    if calibration is not None:
        rules.append(
            f"Calibration groups judged pixels by their highest score into "
            f"{len(calibration.table)} bins of equal width; the expected calibration error is the "
            "mean gap of score and accuracy, weighted by pixels (Guo et al. 2017)."
        )
    if boundary is not None:
        rules += _about_boundaries(boundary)
    if cells is not None:
        rules += _about_cells(cells)
    return tuple(rules)


def _about_cells(cells: CellAgreement) -> list[str]:
    rules = [
        (
            f"Cells are the 4-connected pieces of {cells.category}; all else is border. V^Rand and "
            "V^Info (Arganda-Carreras et al. 2015) judge the pixels of true cells, the called "
            "borders thinned to lines first; split falls where a true cell is cut up, merge where "
            "cells run together, and the score is their F-score. Each is the mean over the "
            f"{cells.images_with_cells} images that have true cells, every image counting the "
            "same. It is that of the labels; the ISBI challenge looks for the best threshold."
        ),
        (
            "The warping error (Jain et al. 2010) is the share of judged pixels, those of all "
            "images counted together, that still differ after the truth was moved onto the "
            "prediction without changing how anything is connected: 0 is best."
        ),
    ]
    if cells.images_left_out:
        rules.append(f"{cells.images_left_out} images were too large for cells to be judged.")
    return rules


def _about_boundaries(boundary: BoundaryScores) -> list[str]:
    widths = ", ".join(map(str, boundary.trimap))
    rules = [
        (
            "Boundary F1 pairs the boundary pixels of prediction and truth, each with one other at "
            f"most, up to {boundary.f1.tolerance:.2%} of the image's diagonal apart; it is "
            "averaged over the categories that are true in an image, then over the images (Csurka "
            "et al. 2013, SegNet). Boundaries are those between judged pixels."
        ),
        (
            "Boundary IoU counts the pixels of each category within "
            f"{boundary.iou.dilation_ratio:.2%} of the diagonal from its contour or the image's "
            "rim, over all images (Cheng et al. 2021)."
        ),
        (
            f"Trimaps are the mean IoU of the judged pixels up to {widths} pixels from where the "
            "truth changes, to void too."
        ),
        (
            "Region sizes: a region is a connected piece of one category (corners connect), its "
            "size that of the true piece in pixels, split as COCO splits objects; a wrong pixel "
            "counts at the size of the true region that its own called piece shares most pixels "
            "with, or of that piece where it hits none."
        ),
    ]
    if boundary.images_left_out:
        rules.append(
            f"{boundary.images_left_out} images were too large for their boundaries and regions to "
            "be judged."
        )
    return rules


def _about_absent(scores: SegmentationScores) -> list[str]:
    treatment = "left out of" if scores.absent_rule == "exclude" else "counted as 0 in"
    invented = [c.name for c in scores.per_class if c.support == 0 and c.predicted > 0]
    rules = [
        (
            f"Categories that are neither in the truth nor in the predictions are {treatment} the "
            f"means: {', '.join(scores.absent) or 'none here'}."
        )
    ]
    if invented:
        rules.append(
            "Categories that are not in the truth but were predicted have an IoU of 0, which "
            f"counts in the mean: {', '.join(invented)}."
        )
    return rules
