import numpy as np
import pytest
import torch
from skimage.measure import label

from segscape.classical.ncut_superpixels import ncut_superpixels
from segscape.structures import MethodError


def test_they_follow_a_square_and_are_as_many_as_asked():
    image = torch.zeros(3, 40, 48, dtype=torch.uint8)
    image[:, 10:30, 12:34] = 200
    partition = ncut_superpixels(image, superpixels=24, coarse_regions=4)
    assert partition.count == 24
    pieces = np.asarray(label(partition.regions.numpy(), background=-1, connectivity=1))
    assert pieces.max() == 23 + 1
    regions = partition.regions.long().flatten()
    counts = torch.bincount(2 * regions + (image[0] > 0).flatten(), minlength=48).view(24, 2)
    assert int(counts.amin(1).sum()) <= 84  # the square's rim
    again = ncut_superpixels(image, superpixels=24, coarse_regions=4)
    assert torch.equal(again.regions, partition.regions)


@pytest.mark.parametrize("shape", [(1, 1, 12), (2, 9, 8)])
@pytest.mark.parametrize("count", [1, 7, 500])
def test_constant_images_and_lines(shape, count):
    partition = ncut_superpixels(torch.zeros(shape), superpixels=count, coarse_regions=3)
    assert partition.count == min(count, shape[1] * shape[2])


@pytest.mark.parametrize(
    "options", [{"superpixels": 0}, {"coarse_regions": 0}, {"spatial_weight": 0.0}]
)
def test_wrong_options_are_refused(options):
    with pytest.raises(MethodError, match="expected"):
        ncut_superpixels(torch.zeros(3, 4, 4), **options)
