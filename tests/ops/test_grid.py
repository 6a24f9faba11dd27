import pytest
import torch
import torch.nn.functional as F

from segscape.ops.grid import read_grid


@pytest.mark.parametrize("side", [1, 2, 41])
def test_enlarging_is_torchs_corner_to_corner_on_a_multiple_and_one(side: int):
    points = torch.randn(2, 3, side, 5)
    size = (8 * (side - 1) + 1, 33)
    expected = F.interpolate(points, size, mode="bilinear", align_corners=True)
    torch.testing.assert_close(read_grid(points, size, step=1 / 8), expected, atol=1e-5, rtol=1e-5)
    # Other sizes are cut out of the same surface.
    cut = read_grid(points, (size[0], 30), step=1 / 8)
    torch.testing.assert_close(cut, expected[:, :, :, :30], atol=1e-5, rtol=1e-5)


def test_steps_of_two_skip_points():
    points = torch.randn(1, 1, 9, 7)
    assert torch.equal(read_grid(points, (5, 4), step=2.0), points[:, :, ::2, ::2])


def test_beyond_the_last_point_it_is_repeated():
    points = torch.randn(1, 1, 2, 2)
    read = read_grid(points, (5, 5), step=0.5)
    assert torch.equal(read[:, :, 2:, 2:], points[:, :, 1:, 1:].expand(-1, -1, 3, 3))


def test_gradient():
    points = torch.randn(1, 2, 3, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: read_grid(x, (7, 5), step=0.4), points)


def test_autocast_loses_no_digits():
    points = torch.randn(1, 2, 9, 9)
    with torch.autocast("cpu", torch.bfloat16):
        inside = read_grid(points, (20, 20), step=0.3)
    assert torch.equal(inside, read_grid(points, (20, 20), step=0.3))


@pytest.mark.parametrize(("size", "step"), [((0, 1), 1.0), ((1, 1), 0.0), ((1, 1), float("nan"))])
def test_empty_readings_are_refused(size: tuple[int, int], step: float):
    with pytest.raises(ValueError, match="ask for at least 1 x 1"):
        read_grid(torch.zeros(1, 1, 2, 2), size, step=step)
