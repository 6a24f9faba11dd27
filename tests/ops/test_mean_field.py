import numpy as np
import torch

from segscape.ops.lanes import LANES
from segscape.ops.mean_field import label_maps, most_probable, pixel_rows, softmax_rows

PIXELS, LABELS = 150, 11
COLUMNS = 2 * LANES


def costs(sharpness=3.0):
    return (
        sharpness * torch.randn(LABELS, PIXELS, generator=torch.Generator().manual_seed(0))
    ).exp()


def test_softmax_rows_is_torchs():
    unary = costs(1.0).repeat(2, 1)[:COLUMNS].T.contiguous()
    message = torch.rand(50, COLUMNS, generator=torch.Generator().manual_seed(1)) * 20
    expected = torch.softmax(message - unary[30:80], 1)
    found = np.full((PIXELS, COLUMNS), -1, np.float32)
    softmax_rows(message.numpy(), unary.numpy(), 30, found)
    np.testing.assert_allclose(found[30:80], expected, rtol=1e-5, atol=1e-12)
    assert (found[:30] == -1).all()
    assert (found[80:] == -1).all()


def test_what_is_improbable_becomes_nothing():
    unary = np.zeros((1, LANES), np.float32)
    unary[0, 1:] = [39, 41, 90, 200, 1e4, 1e30, 1e38]
    found = np.empty_like(unary)
    softmax_rows(np.zeros_like(unary), unary, 0, found)
    np.testing.assert_allclose(found, [[1, np.exp(-39), 0, 0, 0, 0, 0, 0]], rtol=1e-5)


def test_labels_are_as_probable_as_torch_says():
    given = costs()
    expected = torch.softmax(-given[:, 13:], 0).amax(1)
    np.testing.assert_allclose(most_probable(given.numpy(), 13, PIXELS), expected, rtol=1e-5)


def test_rows_and_maps_are_each_others_way_back():
    given, kept = costs(), np.array([2, 3, 7])
    rows = np.full((PIXELS, LANES), 5, np.float32)
    pixel_rows(given.numpy(), kept, rows, 0, PIXELS)
    assert (rows[:, 3:] == 5).all()
    maps = np.zeros((LABELS, PIXELS), np.float32)
    label_maps(rows, kept, maps, 0, PIXELS)
    chosen = given[kept]
    np.testing.assert_array_equal(maps[kept], chosen - chosen.amin(0))
    assert not np.delete(maps, kept, 0).any()
