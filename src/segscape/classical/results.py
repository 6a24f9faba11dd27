"""What methods return, as ids of pixels."""

from jaxtyping import Bool, Integer
from torch import Tensor

from segscape.structures import LabelMap, MethodError, Partition


def ids_of(result: object) -> Integer[Tensor, "height width"]:
    """Find the regions, labels or mask in what a method returned.

    Args:
        result: a Partition or a LabelMap, or a result that holds `labels`, a `mask` or a
            `partition` beside other things; the first of these counts.

    Returns:
        Regions 0..n-1; or labels as they are; or 1 on the mask and 0 elsewhere.

    Raises:
        MethodError: when it holds none of these.

    >>> import torch
    >>> ids_of(Partition(torch.tensor([[0, 1]]))).tolist()
    [[0, 1]]
    """
    if isinstance(result, Partition):
        return result.regions
    if isinstance(result, LabelMap):
        return result.labels
    for name in ("labels", "mask"):
        part = getattr(result, name, None)
        if isinstance(part, Tensor):
            return part.int()
    partition = getattr(result, "partition", None)
    if isinstance(partition, Partition):
        return partition.regions
    raise MethodError(f"{type(result).__name__} holds neither a partition nor labels nor a mask")


def mask_of(result: object) -> Bool[Tensor, "height width"] | None:
    """The object that a method of two classes cut out; None from the other methods."""
    mask = getattr(result, "mask", None)
    return mask if isinstance(mask, Tensor) else None


def regions_of(result: object) -> Partition:
    """The pixels of each id as a region, numbered without gaps.

    Raises:
        MethodError: as `ids_of`.
    """
    found = getattr(result, "partition", result)
    return found if isinstance(found, Partition) else Partition.from_ids(ids_of(result))
