"""Truth and prediction of one image as arrays in which what is not judged is one id."""

import numpy as np
from jaxtyping import Int32, Integer
from numpy import ndarray
from torch import Tensor

from segscape.structures import LabelMap, StructureError, Taxonomy

VOID = -1
"""Pixels that are void in the truth: not judged, whatever they were called."""


def judged_labels(
    prediction: LabelMap | Integer[Tensor, "height width"],
    target: LabelMap | Integer[Tensor, "_ _"],
    taxonomy: Taxonomy,
    key: str,
) -> tuple[Int32[ndarray, "height width"], Int32[ndarray, "height width"]]:
    """Labels called and true labels: categories, `VOID` in both where the truth is void.

    A judged pixel that was called nothing has the id after the last category.

    Args:
        prediction: what the pixels were called.
        target: what they are.
        taxonomy: what the ids mean.
        key: names the image in errors.

    Raises:
        StructureError: when sizes or taxonomies differ, or an id is unknown.

    >>> import torch
    >>> taxonomy = Taxonomy.from_names(["cell", "membrane"])
    >>> called, true = torch.tensor([[0, 255, 1]]), torch.tensor([[0, 1, 255]])
    >>> [labels.tolist() for labels in judged_labels(called, true, taxonomy, "em_01")]
    [[[0, 2, -1]], [[0, 1, -1]]]
    """
    called, true = (_ids(labels, taxonomy, key) for labels in (prediction, target))
    if called.shape != true.shape:
        raise StructureError(
            f"image '{key}': the prediction has {called.shape[0]} x {called.shape[1]} pixels, the "
            f"target {true.shape[0]} x {true.shape[1]}: resize the prediction to the target"
        )
    categories = len(taxonomy)
    void = true == taxonomy.ignore_id
    called = np.where(called == taxonomy.ignore_id, categories, called)
    called[void], true[void] = VOID, VOID
    for name, ids, highest in (
        ("prediction", called, categories),
        ("target", true, categories - 1),
    ):
        if ids.size and (ids.min() < VOID or ids.max() > highest or (ids[~void] < 0).any()):
            strange = np.unique(ids[~void & ((ids < 0) | (ids > highest))])[:8]
            raise StructureError(
                f"image '{key}': the {name} holds the ids {strange.tolist()}, but categories have "
                f"ids 0..{categories - 1} and {taxonomy.ignore_id} is ignored: map or ignore them"
            )
    return called, true


def refuse_other_taxonomy(other: Taxonomy, own: Taxonomy, *, where: str = "") -> None:
    """Let only ids of one meaning be compared.

    Args:
        other: of labels or of another metric.
        own: the metric's.
        where: begins the error.

    Raises:
        StructureError: when names or ignored ids differ.
    """
    if (other.names, other.ignore_id) != (own.names, own.ignore_id):
        raise StructureError(
            f"{where}got the categories {', '.join(other.names)} (ignored {other.ignore_id}) where "
            f"{', '.join(own.names)} (ignored {own.ignore_id}) are counted: use one taxonomy"
        )


def _ids(labels: LabelMap | Tensor, taxonomy: Taxonomy, key: str) -> Int32[ndarray, "_ _"]:
    if isinstance(labels, LabelMap):
        refuse_other_taxonomy(labels.taxonomy, taxonomy, where=f"image '{key}': ")
        labels = labels.labels
    return labels.cpu().numpy().astype(np.int32)
