import math

import pytest
import torch
from tests.support.disturbed_labels import TAXONOMY, image

from segscape.metrics.confusion import ConfusionMatrix
from segscape.metrics.trimap import TrimapIoU
from segscape.structures import StructureError


def band_one_by_one(truth, width):
    """Judged pixels within width - 1 of a pixel that touches another label, void being one."""
    height, length = truth.shape
    edges = []
    for i in range(height):
        for j in range(length):
            around = [(i - 1, j), (i + 1, j), (i, j - 1), (i, j + 1)]
            inside = [truth[k, m] for k, m in around if 0 <= k < height and 0 <= m < length]
            if any(label != truth[i, j] for label in inside):
                edges.append((i, j))
    near = torch.zeros(truth.shape, dtype=torch.bool)
    for i in range(height):
        for j in range(length):
            near[i, j] = any(math.dist((i, j), edge) < width for edge in edges)
    return near


@pytest.mark.parametrize("seed", range(3))
def test_equals_the_confusion_of_the_pixels_near(seed):
    called, truth = image(seed, size=(15, 18), grain=7)
    metric = TrimapIoU(TAXONOMY, widths=[1, 2, 4])
    metric.update(called, truth, "a")
    for width, scores in metric.compute().items():
        expected = ConfusionMatrix(TAXONOMY)
        expected.update(called, truth.where(band_one_by_one(truth, width), 255), "a")
        assert torch.equal(scores.matrix, expected.total())
        assert scores.miou == pytest.approx(expected.compute().miou, nan_ok=True)


def test_a_wide_band_is_the_whole_image():
    called, truth = image(0)
    metric = TrimapIoU(TAXONOMY, widths=[100])
    metric.update(called, truth, "a")
    whole = ConfusionMatrix(TAXONOMY)
    whole.update(called, truth, "a")
    assert metric.compute()[100].miou == whole.compute().miou


def test_without_boundary_there_is_nothing_to_judge():
    metric = TrimapIoU(TAXONOMY)
    metric.update(torch.ones(4, 4, dtype=torch.int64), torch.zeros(4, 4, dtype=torch.int64), "a")
    assert all(math.isnan(scores.miou) for scores in metric.compute().values())


def test_pixels_called_nothing_are_missed():
    truth = torch.tensor([[0, 0, 1, 1]])
    metric = TrimapIoU(TAXONOMY, widths=[1])
    metric.update(torch.tensor([[0, 255, 1, 1]]), truth, "a")
    assert metric.compute()[1].per_class[0].recall == 0


def test_sharing_changes_nothing_and_widths_must_agree():
    whole, part, rest = (TrimapIoU(TAXONOMY) for _ in range(3))
    for seed in range(3):
        whole.update(*image(seed), str(seed))
        (part if seed == 1 else rest).update(*image(seed), str(seed))
    part.merge(rest)
    for width, scores in part.compute().items():
        assert torch.equal(scores.matrix, whole.compute()[width].matrix)
    with pytest.raises(StructureError, match="other widths cannot be merged"):
        whole.merge(TrimapIoU(TAXONOMY, widths=[3]))
    with pytest.raises(StructureError, match=r"widths \[0\]: give some of 1 or more"):
        TrimapIoU(TAXONOMY, widths=[0])
