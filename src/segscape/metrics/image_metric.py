"""What metrics that count integers of single images share: update and merge."""

from abc import ABC, abstractmethod

from jaxtyping import Int32, Int64, Integer
from numpy import ndarray
from torch import Tensor

from segscape.metrics.image_table import ImageTable
from segscape.metrics.judged_labels import judged_labels
from segscape.ops.processes import gather_over_processes
from segscape.structures import LabelMap, StructureError, Taxonomy


class ImageMetric(ABC):
    """Integers of each image under its key, counted by `_count`.

    A metric's attributes are its options: only metrics in which they are equal can be merged.

    Args:
        taxonomy: what the ids mean.
    """

    def __init__(self, taxonomy: Taxonomy) -> None:
        self.taxonomy = taxonomy
        self._images = ImageTable(type(self).__name__)

    @abstractmethod
    def _count(
        self, called: Int32[ndarray, "height width"], true: Int32[ndarray, "height width"]
    ) -> Int64[ndarray, "..."]:
        """The integers of one image, from labels as `judged_labels` gives them."""

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
        self._images.add(key, self._count(called, true))

    def merge(self, other: "ImageMetric") -> None:
        """Count the images of another metric, too; `other` is left as it is.

        Raises:
            StructureError: when the options differ, or both counted an image differently.
        """
        if other._options() != self._options():  # noqa: SLF001 # its own class
            name = type(self).__name__
            raise StructureError(f"{name}: metrics of other options cannot be merged")
        self._images.merge(other._images)  # noqa: SLF001 # its own class

    def merge_over_processes(self) -> None:
        """Count the images of all processes; every process must call this.

        Raises:
            StructureError: as for `merge`.
        """
        for other in gather_over_processes(self):
            self.merge(other)

    def _options(self) -> dict[str, object]:
        return {**vars(self), "taxonomy": self.taxonomy.names, "_images": type(self)}
