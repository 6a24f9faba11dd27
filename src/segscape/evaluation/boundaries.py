"""What an evaluation says about contours, gathered image by image."""

from dataclasses import asdict, dataclass

from segscape.metrics.boundary_f1 import BoundaryF1, BoundaryF1Scores
from segscape.metrics.boundary_iou import BoundaryIoU, BoundaryIoUScores
from segscape.metrics.trimap import TrimapIoU
from segscape.structures import LabelMap, Taxonomy

# The contours of an image with more pixels are not judged: it would take gigabytes.
MOST_PIXELS = 2**25


@dataclass(frozen=True)
class BoundaryScores:
    """How well contours are followed.

    Args:
        f1: boundary F1.
        iou: boundary IoU.
        trimap: mean IoU of the pixels near the true boundaries, by the band's width in pixels.
        images_left_out: too large to be judged.
    """

    f1: BoundaryF1Scores
    iou: BoundaryIoUScores
    trimap: dict[int, float]
    images_left_out: int

    def to_json(self, taxonomy: Taxonomy) -> dict[str, object]:
        """The numbers beside the three means, nan among them."""
        f1, iou = asdict(self.f1), asdict(self.iou)
        return {
            "f1_tolerance": f1["tolerance"],
            "f1_matching": f1["matching"],
            "iou_dilation_ratio": iou["dilation_ratio"],
            "images_left_out": self.images_left_out,
            "per_class": [
                {"name": name, "f1": f1["per_class"][i], "iou": iou["per_class"][i]}
                for i, name in enumerate(taxonomy.names)
            ],
            "per_image": [
                {"key": key, "f1": score, "iou": iou["per_image"][key]}
                for key, score in f1["per_image"].items()
            ],
        }


class Boundaries:
    """The metrics of contours, updated together.

    Args:
        taxonomy: what the ids mean.
    """

    def __init__(self, taxonomy: Taxonomy) -> None:
        self._f1, self._iou, self._trimap = (
            BoundaryF1(taxonomy),
            BoundaryIoU(taxonomy),
            TrimapIoU(taxonomy),
        )
        self._judged, self._left_out = 0, 0

    def update(self, prediction: LabelMap, target: LabelMap, key: str) -> None:
        """Count one image, unless it is too large.

        Raises:
            StructureError: when sizes or taxonomies differ.
        """
        if target.labels.numel() > MOST_PIXELS:
            self._left_out += 1
            return
        self._judged += 1
        for metric in (self._f1, self._iou, self._trimap):
            metric.update(prediction, target, key)

    def compute(self) -> BoundaryScores | None:
        """The scores; None when no image was small enough."""
        if self._judged == 0:
            return None
        return BoundaryScores(
            f1=self._f1.compute(),
            iou=self._iou.compute(),
            trimap={width: scores.miou for width, scores in self._trimap.compute().items()},
            images_left_out=self._left_out,
        )
