import numpy as np
import pytest
import torch
import torch.nn.functional as F

from segscape.inference.flips import average_views
from segscape.structures import StructureError


def images(height=12, width=20):
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (2, 3, height, width), generator=generator, dtype=torch.uint8)


def slanting(batch):
    """Each pixel against one of its own by place: all eight symmetries give other scores."""
    x = batch.float() / 255
    rows, columns = torch.arange(x.shape[2])[:, None], torch.arange(x.shape[3])
    return torch.cat([x[:, :1] * (1 + 3 * rows + columns), x.roll((1, 2), (2, 3))[:, :1]], 1)


def by_hand(turns, flip):
    """A symmetry of the square in NumPy's words, on the last two axes, and the way back."""

    def there(x):
        turned = np.rot90(x.numpy(), turns, (-2, -1))
        return torch.from_numpy((turned[..., ::-1] if flip else turned).copy())

    def back(x):
        flipped = x.numpy()[..., ::-1] if flip else x.numpy()
        return torch.from_numpy(np.rot90(flipped, 4 - turns, (-2, -1)).copy())

    return there, back


EIGHT = [by_hand(turns, flip) for turns in range(4) for flip in (False, True)]


def leaning(batch):
    """Depends on left and right: each pixel against its right neighbour."""
    x = batch.float() / 255
    return torch.cat([x[:, :1], (x - x.roll(1, 3)).abs()[:, :1]], 1)


def test_one_view_is_the_scores_themselves():
    assert torch.equal(
        average_views(leaning, images(), flips=False, turns=False, scales=(1.0,)), leaning(images())
    )


def test_a_flipped_view_is_flipped_back():
    expected = (leaning(images()) + leaning(images().flip(3)).flip(3)) / 2
    got = average_views(leaning, images(), flips=True, turns=False, scales=(1.0,))
    torch.testing.assert_close(got, expected)
    assert not torch.allclose(got, leaning(images()))


def test_turned_views_are_turned_back():
    seen = []

    def score(batch):
        seen.append(tuple(batch.shape[2:]))
        return slanting(batch)

    x = images()
    got = average_views(score, x, flips=False, turns=True, scales=(1.0,))
    assert seen == [(12, 20), (20, 12), (12, 20), (20, 12)]
    expected = sum(back(slanting(there(x))) for there, back in EIGHT[::2]) / 4
    torch.testing.assert_close(got, expected)


def test_flips_and_turns_are_the_eight_symmetries_of_the_square():
    x = images(9, 9)
    views = []

    def score(batch):
        views.append(batch)
        return slanting(batch)

    got = average_views(score, x, flips=True, turns=True, scales=(1.0,))
    different = {view.numpy().tobytes() for view in views}
    assert len(views) == 8
    assert different == {there(x).numpy().tobytes() for there, _ in EIGHT}
    assert len(different) == 8
    expected = sum(back(slanting(there(x))) for there, back in EIGHT) / 8
    torch.testing.assert_close(got, expected)


def test_an_image_seen_from_elsewhere_has_the_same_scores():
    def average(x, *, turns=True):
        return average_views(slanting, x, flips=True, turns=turns, scales=(1.0,))

    x = images()
    for there, back in EIGHT:
        torch.testing.assert_close(back(average(there(x))), average(x))
    assert not torch.allclose(average(x), average(x, turns=False))


def test_scales_are_scored_at_their_size_and_averaged():
    sizes = []

    def score(batch):
        sizes.append(tuple(batch.shape[2:]))
        return leaning(batch)

    x = images()
    got = average_views(score, x, flips=True, turns=False, scales=(0.5, 1.0, 2.0))
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
    got = average_views(leaning, images(1, 3), flips=True, turns=False, scales=(0.1, 1.0))
    assert got.shape == (2, 2, 1, 3)


@pytest.mark.parametrize("scales", [(), (0.0,), (1.0, float("nan")), (17.0,)])
def test_scales_that_give_no_image(scales):
    with pytest.raises(StructureError, match="scales"):
        average_views(leaning, images(), flips=False, turns=False, scales=scales)
