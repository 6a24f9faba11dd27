import math
from typing import Any

import numpy as np
import pytest
import torch

from segscape.ops.oriented_gradient import oriented_gradient


def brute(codes, weights, radius, orientations):
    """Both halves of each disc counted pixel by pixel."""
    framed = np.pad(codes.numpy(), radius, mode="symmetric")
    reach = range(-radius, radius + 1)
    out = np.zeros((orientations, *codes.shape))
    for o, y, x in np.ndindex(out.shape):
        halves = np.zeros((2, weights.shape[1]))
        for dy in reach:
            for dx in reach:
                if 0 < dx * dx + dy * dy <= radius * radius:
                    turn = (math.atan2(dy, dx) - o * math.pi / orientations + 1e-9) % (2 * math.pi)
                    code = framed[y + dy + radius, x + dx + radius]
                    halves[int(turn >= math.pi)] += weights[code].numpy()
        total = halves.sum(0)
        distance = (halves[0] - halves[1]) ** 2 / np.where(total > 0, total, 1)
        out[o, y, x] = distance.sum() / total.sum()
    return out


@pytest.mark.parametrize(("radius", "orientations"), [(1, 1), (2, 4), (4, 8), (3, 3)])
def test_agrees_with_counting_pixel_by_pixel(radius, orientations):
    generator = torch.Generator().manual_seed(0)
    codes = torch.randint(5, (9, 7), generator=generator).to(torch.uint8)
    weights = torch.rand(5, 6, generator=generator)
    found = oriented_gradient(codes, weights, radius_px=radius, orientations=orientations)
    np.testing.assert_allclose(
        found.numpy(), brute(codes, weights, radius, orientations), atol=1e-5
    )


def test_an_edge_is_strongest_along_itself():
    codes = torch.zeros(20, 20, dtype=torch.uint8)
    codes[10:] = 1
    found = oriented_gradient(codes, torch.eye(2), radius_px=4)
    assert int(found[:, 10, 10].argmax()) == 0
    assert torch.equal(found[:, 3, 3], torch.zeros(8))
    turned = oriented_gradient(codes.T.contiguous(), torch.eye(2), radius_px=4)
    assert int(turned[:, 10, 10].argmax()) == 4


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"radius_px": 0}, "radius_px=0"),
        ({"radius_px": 1, "orientations": 0}, "orientations=0"),
        ({"radius_px": 1, "weights": torch.eye(33)}, "33 bins"),
        ({"radius_px": 1, "weights": torch.eye(1)}, "code 1"),
    ],
)
def test_bad_options_are_refused(options, said):
    codes = torch.tensor([[0, 1]], dtype=torch.uint8)
    given: dict[str, Any] = {"weights": torch.eye(2), **options}
    with pytest.raises(ValueError, match=said):
        oriented_gradient(codes, **given)
