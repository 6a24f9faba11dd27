from typing import Any

import pytest
import torch

from segscape.structures import (
    InstanceSet,
    LabelMap,
    PanopticMap,
    Sample,
    Segment,
    StructureError,
    Taxonomy,
)

TAXONOMY = Taxonomy.from_names(["cell"])
IMAGE = torch.zeros(3, 4, 5, dtype=torch.uint8)


def _targets(height, width) -> list[Any]:
    zeros = torch.zeros(height, width, dtype=torch.int64)
    nothing = torch.zeros(0, height, width, dtype=torch.bool)
    return [
        LabelMap(zeros, TAXONOMY),
        InstanceSet.from_masks(nothing, torch.zeros(0, dtype=torch.int64), TAXONOMY),
        PanopticMap(zeros + 1, (Segment(1, 0),), TAXONOMY),
    ]


@pytest.mark.parametrize("kind", [0, 1, 2])
def test_each_kind_of_truth_must_have_the_images_size(kind):
    assert Sample(IMAGE, _targets(4, 5)[kind], "one").size == (4, 5)
    with pytest.raises(StructureError, match="sample 'one': the image is 4 x 5 but its target 5 x"):
        Sample(IMAGE, _targets(5, 4)[kind], "one")


def test_weights_must_have_the_images_size():
    target = _targets(4, 5)[0]
    assert Sample(IMAGE, target, "one", torch.ones(4, 5)).pixel_weights is not None
    with pytest.raises(StructureError, match=r"weights of \(2, 2\).*make them of the image's size"):
        Sample(IMAGE, target, "one", torch.ones(2, 2))
