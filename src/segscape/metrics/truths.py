"""Several truths of one image: what an update of the metrics on partitions checks."""

from collections.abc import Sequence

from segscape.structures import Partition, StructureError


def refuse_other_sizes(partition: Partition, truths: Sequence[Partition], key: str) -> None:
    """Let only partitions of one size be compared.

    Args:
        partition: the regions found.
        truths: those of each annotator.
        key: names the image in errors.

    Raises:
        StructureError: without truths, or when sizes differ.
    """
    if not truths:
        raise StructureError(f"image '{key}': got no truth, expected one annotator at least")
    for truth in truths:
        if truth.size != partition.size:
            raise StructureError(
                f"image '{key}': the partition has {partition.size.height} x "
                f"{partition.size.width} pixels, a truth {truth.size.height} x "
                f"{truth.size.width}: resize the partition to the truth"
            )
