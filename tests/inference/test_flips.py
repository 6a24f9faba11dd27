import pytest
import torch
import torch.nn.functional as F

from segscape.inference.flips import average_views
from segscape.structures import StructureError


def images(height=12, width=20):
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (2, 3, height, width), generator=generator, dtype=torch.uint8)


def leaning(batch):
    """Depends on left and right: each pixel against its right neighbour."""
    x = batch.float() / 255
    return torch.cat([x[:, :1], (x - x.roll(1, 3)).abs()[:, :1]], 1)


def test_one_view_is_the_scores_themselves():
    assert torch.equal(
        average_views(leaning, images(), flips=False, scales=(1.0,)), leaning(images())
    )


def test_a_flipped_view_is_flipped_back():
    expected = (leaning(images()) + leaning(images().flip(3)).flip(3)) / 2
    got = average_views(leaning, images(), flips=True, scales=(1.0,))
    torch.testing.assert_close(got, expected)
    assert not torch.allclose(got, leaning(images()))


def test_scales_are_scored_at_their_size_and_averaged():
    sizes = []

    def score(batch):
        sizes.append(tuple(batch.shape[2:]))
        return leaning(batch)

    x = images()
    got = average_views(score, x, flips=True, scales=(0.5, 1.0, 2.0))
    assert sizes == [(6, 10), (6, 10), (12, 20), (12, 20), (24, 40), (24, 40)]
    total = torch.zeros_like(got)
    for size in ((6, 10), (12, 20), (24, 40)):
        view = torch.stack(
            [F.interpolate(one[None], size=size, mode="bilinear", antialias=True)[0] for one in x]
        )
        for flip in (False, True):
            scores = leaning(view.flip(3)).flip(3) if flip else leaning(view)
            total += F.interpolate(scores, size=(12, 20), mode="bilinear")
    torch.testing.assert_close(got, total / 6)


def test_tiny_images_survive_small_scales():
    got = average_views(leaning, images(1, 3), flips=True, scales=(0.1, 1.0))
    assert got.shape == (2, 2, 1, 3)


@pytest.mark.parametrize("scales", [(), (0.0,), (1.0, float("nan")), (17.0,)])
def test_scales_that_give_no_image(scales):
    with pytest.raises(StructureError, match="scales"):
        average_views(leaning, images(), flips=False, scales=scales)
