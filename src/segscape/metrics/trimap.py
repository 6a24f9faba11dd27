"""Mean IoU near the true boundaries: in bands of given widths, called trimaps.

Kohli, Ladicky and Torr 2009, "Robust higher order potentials for enforcing label consistency"
(doi:10.1007/s11263-008-0202-0), section 6; Krahenbuhl and Koltun 2011 (arXiv:1210.5644), section 6;
Chen et al. 2015, DeepLab (arXiv:1412.7062), figure 7.

Differences from the papers: none of them says how a width is measured. Here a band of width w
holds w pixels on either side of where the truth changes: w = 1 is the pixels that touch another
label. Void counts as a label, since data sets such as Pascal VOC draw it along the contours, but
void pixels themselves are not judged.
"""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Integer
from scipy import ndimage
from torch import Tensor

from segscape.metrics.boundary_f1 import boundary_pixels
from segscape.metrics.confusion import ConfusionMatrix
from segscape.metrics.judged_labels import VOID, judged_labels
from segscape.metrics.scores import SegmentationScores
from segscape.structures import LabelMap, StructureError, Taxonomy

WIDTHS = (1, 2, 4, 8, 16, 32)


class TrimapIoU:
    """A confusion matrix of the pixels of each band.

    Categories that are in neither truth nor prediction of any band pixel are left out of the means.

    Args:
        taxonomy: what the ids mean.
        widths: in pixels on either side of the boundary, 1 or more.

    Raises:
        StructureError: for no widths, or one below 1.

    >>> metric = TrimapIoU(Taxonomy.from_names(["cell", "membrane"]), widths=[1, 2])
    >>> truth = torch.tensor([[0, 0, 0, 1, 1, 1]])
    >>> metric.update(torch.tensor([[0, 1, 0, 1, 1, 0]]), truth, "a")
    >>> {width: round(scores.miou, 4) for width, scores in metric.compute().items()}
    {1: 1.0, 2: 0.5833}
    """

    def __init__(self, taxonomy: Taxonomy, *, widths: Sequence[int] = WIDTHS) -> None:
        if not widths or min(widths) < 1:
            raise StructureError(f"TrimapIoU: widths {list(widths)}: give some of 1 or more")
        self.taxonomy = taxonomy
        self._bands = {width: ConfusionMatrix(taxonomy) for width in widths}

    def update(
        self,
        prediction: LabelMap | Integer[Tensor, "height width"],
        target: LabelMap | Integer[Tensor, "_ _"],
        key: str,
    ) -> None:
        """Count one image.

        Args:
            prediction: what the pixels were called.
            target: what they are; ignored pixels are not judged.
            key: names the image within its data set.

        Raises:
            StructureError: when sizes or taxonomies differ, an id is unknown, or another result was
                already counted under this key.
        """
        called, true = judged_labels(prediction, target, self.taxonomy, key)
        # Shifted, as void is a label like others here.
        edges = boundary_pixels(true - VOID)
        distance = (
            ndimage.distance_transform_edt(~edges) if edges.any() else np.full(true.shape, np.inf)
        )
        nothing = self.taxonomy.ignore_id
        # A quarter of the memory to go through, six times.
        fits = 0 <= nothing <= 255 and len(self.taxonomy) <= 255
        kind = np.uint8 if fits else np.int64
        called[(called == VOID) | (called == len(self.taxonomy))] = nothing
        labels = torch.from_numpy(called.astype(kind))
        for width, matrix in self._bands.items():
            near = (distance < width) & (true != VOID)
            matrix.update(labels, torch.from_numpy(np.where(near, true, nothing).astype(kind)), key)

    def merge(self, other: "TrimapIoU") -> None:
        """Count the images of another metric, too; `other` is left as it is.

        Raises:
            StructureError: when widths or taxonomies differ, or both counted an image differently.
        """
        if other._bands.keys() != self._bands.keys():  # noqa: SLF001 # its own class
            raise StructureError("TrimapIoU: metrics of other widths cannot be merged")
        for width, matrix in self._bands.items():
            matrix.merge(other._bands[width])  # noqa: SLF001 # its own class

    def merge_over_processes(self) -> None:
        """Count the images of all processes; every process must call this.

        Raises:
            StructureError: as for `merge`.
        """
        for matrix in self._bands.values():
            matrix.merge_over_processes()

    def compute(self) -> dict[int, SegmentationScores]:
        """The scores within each band, by its width.

        Raises:
            StructureError: when no image was counted.
        """
        return {width: matrix.compute() for width, matrix in self._bands.items()}
