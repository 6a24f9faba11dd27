"""What an evaluation says about contours and about small regions, gathered image by image."""

from dataclasses import asdict, dataclass

from segscape.metrics.boundary_f1 import BoundaryF1, BoundaryF1Scores
from segscape.metrics.boundary_iou import BoundaryIoU, BoundaryIoUScores
from segscape.metrics.region_sizes import RegionSizes, SizeRow
from segscape.metrics.trimap import TrimapIoU
from segscape.structures import LabelMap, Taxonomy

# Contours and regions of an image with more pixels are not judged: it would take gigabytes.
MOST_PIXELS = 2**25


@dataclass(frozen=True)
class BoundaryScores:
    """How well contours are followed, and regions found by their size.

    Args:
        f1: boundary F1.
        iou: boundary IoU.
        trimap: mean IoU of the pixels near the true boundaries, by the band's width in pixels.
        sizes: scores of small, middling and large true regions.
        images_left_out: too large to be judged.
    """

    f1: BoundaryF1Scores
    iou: BoundaryIoUScores
    trimap: dict[int, float]
    sizes: tuple[SizeRow, ...]
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

    def sizes_to_json(self, taxonomy: Taxonomy) -> list[dict[str, object]]:
        """The scores by size of region, small ones first, nan among them."""
        return [
            {
                "low": row.low,
                "high": row.high,
                "regions": row.regions,
                "mean_recall": row.mean_recall,
                "miou": row.miou,
                "per_class": [
                    {
                        "name": name,
                        "regions": row.class_regions[i],
                        "recall": row.class_recall[i],
                        "iou": row.class_iou[i],
                    }
                    for i, name in enumerate(taxonomy.names)
                ],
            }
            for row in self.sizes
        ]


def size_in_words(row: SizeRow) -> str:
    """The sizes of a row as people read them."""
    if row.high is None:
        return f"{row.low:,} px and more" if row.low else "any size"
    return f"{row.low:,} to {row.high - 1:,} px" if row.low else f"below {row.high:,} px"


class Boundaries:
    """The metrics of contours and of region sizes, updated together.

    Args:
        taxonomy: what the ids mean.
    """

    def __init__(self, taxonomy: Taxonomy) -> None:
        self._f1, self._iou = BoundaryF1(taxonomy), BoundaryIoU(taxonomy)
        self._trimap, self._sizes = TrimapIoU(taxonomy), RegionSizes(taxonomy)
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
        for metric in (self._f1, self._iou, self._trimap, self._sizes):
            metric.update(prediction, target, key)

    def compute(self) -> BoundaryScores | None:
        """The scores; None when no image was small enough."""
        if self._judged == 0:
            return None
        return BoundaryScores(
            f1=self._f1.compute(),
            iou=self._iou.compute(),
            trimap={width: scores.miou for width, scores in self._trimap.compute().items()},
            sizes=self._sizes.compute(),
            images_left_out=self._left_out,
        )
