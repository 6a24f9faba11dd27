import numpy as np
import torch

from segscape.classical.contours import local_contours, spectral_contours, thinned_contours
from segscape.classical.pixels import lab_pixels
from segscape.ops.affinity import pixel_affinity
from segscape.ops.leading_eigenvectors import leading_eigenvectors


def halves(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """Odds of contours in an image of two colours."""
    image = torch.empty(3, 40, 60)
    image[:, :, :30], image[:, :, 30:] = left[:, None, None], right[:, None, None]
    return local_contours(lab_pixels(image, "test"))


def test_an_edge_of_brightness_or_color_stands_out_along_itself():
    for right in (torch.tensor([0.9, 0.9, 0.9]), torch.tensor([0.6, 0.25, 0.3])):
        odds = halves(torch.tensor([0.3, 0.3, 0.3]), right)
        assert int(odds[:, 20, 30].argmax()) == 4  # 90 degrees from the row axis
        assert float(odds[4, 20, 30]) > 0 > float(odds[:, 20, 10].max())


def test_an_edge_of_texture_stands_out_in_even_brightness():
    generator = torch.Generator().manual_seed(0)
    gray = torch.full((1, 60, 80), 0.5)
    stripes = torch.arange(60) // 3 % 2 * 0.2 - 0.1
    gray[0, :, :40] += stripes[:, None]
    gray[0, :, 40:] += stripes[:40].repeat(2)[:40][None]
    gray += 0.01 * torch.randn(gray.shape, generator=generator)
    odds = local_contours(lab_pixels(gray.clamp(0, 1), "test")).max(0).values
    middle = float(odds[20:40, 38:43].max(1).values.mean())
    assert middle > float(odds[20:40, 15:25].mean()) + 1


def test_an_even_image_has_no_contours():
    odds = halves(torch.full((3,), 0.5), torch.full((3,), 0.5))
    assert float(odds.max()) < -3


def test_a_turned_image_has_turned_contours():
    # Stripes that go on beyond the mirrors at the borders: below 32 columns differ, so that each
    # kind is a texton, whichever way round they are clustered.
    stripes = torch.tensor([0.2, 0.6, 0.6, 0.2] * 8 + [0.3, 0.5, 0.4, 0.4, 0.5, 0.3] * 4)
    image = stripes.expand(1, 24, 56)
    odds = local_contours(lab_pixels(image, "test"))
    turned = local_contours(lab_pixels(image.flip(1, 2), "test"))
    torch.testing.assert_close(turned.flip(1, 2), odds, atol=1e-4, rtol=0)


def test_thinning_keeps_the_ridge():
    odds = torch.full((8, 9, 11), -5.0)
    odds[4] = torch.tensor([-5.0, -5, -4, -2, 0, 2, 0, -2, -4, -5, -5])
    thin = thinned_contours(odds)
    kept = np.flatnonzero(thin[4] > 0.01)
    assert kept.tolist() == [5]
    np.testing.assert_allclose(thin[4, 5], 1 / (1 + np.exp(-2)), rtol=1e-6)


def test_spectral_contours_follow_the_wall_and_are_even_elsewhere():
    wall = np.zeros((40, 60), np.float32)
    wall[:, 30] = 5
    graph = pixel_affinity(np.zeros((0, 40, 60), np.float32), wall, radius_px=3.0)
    found = spectral_contours(leading_eigenvectors(graph, 6))
    best = found.max(0).values
    assert int(found[:, 20, 30].argmax()) == 4
    assert float(best[:, 29:32].mean()) > 3 * float(best[:, 8:20].mean())
    assert 0.1 < float(best[:, 8:20].mean()) < 1
