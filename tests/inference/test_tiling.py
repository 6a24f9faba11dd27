import itertools

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from segscape.inference import tiling
from segscape.inference.blending import hann, keep_center
from segscape.inference.mirror import TensorReader, read_mirrored
from segscape.inference.strips import Strips
from segscape.inference.tiling import tiled, tiled_labels
from segscape.structures import Size, StructureError

sizes = st.tuples(st.integers(1, 40), st.integers(1, 40))


def picture(height: int, width: int, channels: int = 3, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (channels, height, width), generator=generator, dtype=torch.uint8)


def network(radius: int, categories: int = 4, seed: int = 1):
    """Two convolutions that see `radius` pixels each way, zero-padded, as float64 scores."""
    generator = torch.Generator().manual_seed(seed)
    first = torch.randn(5, 3, 3, 3, generator=generator, dtype=torch.float64)
    side = 2 * (radius - 1) + 1
    second = torch.randn(categories, 5, side, side, generator=generator, dtype=torch.float64)

    def score(image: Tensor) -> Tensor:
        hidden = F.conv2d(image[None].double() / 255, first, padding=1).tanh()
        return F.conv2d(hidden, second, padding=radius - 1)[0].softmax(0)

    return score


def constant(value: float):
    return lambda image: torch.full((2, *image.shape[1:]), value)


@given(sizes, st.integers(3, 24), st.integers(0, 12), st.sampled_from([1, 4]))
@settings(max_examples=80, deadline=None)
def test_weights_of_every_pixel_add_up_to_one(size, tile, overlap, align):
    overlap = min(overlap, tile // 2)
    scores = tiled(
        constant(0.7), picture(*size), tile=Size(tile, tile), overlap=overlap, align=align
    )
    assert scores.shape == (2, *size)
    torch.testing.assert_close(scores, torch.full_like(scores, 0.7))


@given(sizes, st.integers(1, 24), st.integers(0, 12), st.sampled_from([hann, keep_center]))
@settings(max_examples=50, deadline=None)
def test_a_function_of_the_pixel_alone_is_not_changed(size, tile, overlap, window):
    image = picture(*size)
    scores = tiled(
        lambda part: part.double() / 255,
        image,
        tile=Size(tile, tile + 3),
        overlap=min(overlap, tile // 2),
        window=window,
    )
    torch.testing.assert_close(scores, image.double() / 255, rtol=0, atol=1e-6)


@given(
    st.integers(1, 70), st.integers(1, 70), st.integers(1, 3), st.integers(0, 9), st.integers(0, 3)
)
@settings(max_examples=40, deadline=None)
def test_a_network_that_sees_no_further_than_the_margin_gives_what_it_gives_on_the_whole(
    height, width, radius, more_tile, more_margin
):
    margin = radius + more_margin
    tile = 4 * margin + more_tile
    image, score = picture(height, width), network(radius)
    got = tiled(score, image, tile=Size(tile, tile), overlap=2 * margin, window=keep_center)
    # The whole image with the border that tiling gives it: mirrored where an axis is cut.
    reach = [margin if side > tile else 0 for side in (height, width)]
    whole = read_mirrored(
        TensorReader(image), -reach[0], -reach[1], height + 2 * reach[0], width + 2 * reach[1]
    )
    expected = score(whole)[:, reach[0] : reach[0] + height, reach[1] : reach[1] + width]
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-12)


def by_definition(score, image: Tensor, tile: int, overlap: int, cell: tuple[int, int]) -> Tensor:
    """Sum over windows of weight times score, on a canvas as large as all the windows."""
    size, margin = image.shape[1:], overlap // 2
    counts = [-(-length // side) for length, side in zip(size, cell, strict=True)]
    margins = [margin if length > tile else 0 for length in size]
    total = weight = torch.zeros(1)
    for i, j in itertools.product(range(counts[0]), range(counts[1])):
        starts = [k * side - m for k, side, m in zip((i, j), cell, margins, strict=True)]
        lengths = [side + 2 * m for side, m in zip(cell, margins, strict=True)]
        scores = score(read_mirrored(TensorReader(image), *starts, *lengths)).double()
        profiles = []
        for axis, k in enumerate((i, j)):
            profile = torch.ones(lengths[axis], dtype=torch.float64)
            shared = 2 * margins[axis]
            if k > 0:
                profile[:shared] = hann(shared).double()
            if k + 1 < counts[axis]:
                profile[lengths[axis] - shared :] = hann(shared).double().flip(0)
            profiles.append(profile)
        weights = profiles[0][:, None] * profiles[1]
        if total.numel() == 1:
            far = [n * side + 2 * m for n, side, m in zip(counts, cell, margins, strict=True)]
            total = torch.zeros(scores.shape[0], *far, dtype=torch.float64)
            weight = torch.zeros(*far, dtype=torch.float64)
        rows = slice(starts[0] + margins[0], starts[0] + margins[0] + lengths[0])
        columns = slice(starts[1] + margins[1], starts[1] + margins[1] + lengths[1])
        total[:, rows, columns] += weights * scores
        weight[rows, columns] += weights
    inside = (
        slice(margins[0], margins[0] + size[0]),
        slice(margins[1], margins[1] + size[1]),
    )
    assert bool((weight[inside] > 0).all())
    return (total[:, *inside]) / weight[inside]


@pytest.mark.parametrize(
    ("height", "width", "cell"), [(37, 50, (10, 10)), (60, 16, (12, 16)), (21, 100, (11, 12))]
)
def test_blending_is_the_weighted_mean_of_the_windows(height, width, cell):
    image, score = picture(height, width), network(3)  # sees beyond the margin: windows differ
    got = tiled(score, image, tile=Size(16, 16), overlap=4)
    expected = by_definition(score, image, 16, 4, cell)
    torch.testing.assert_close(got.double(), expected, rtol=0, atol=1e-6)


@given(sizes, st.integers(2, 20), st.integers(0, 10))
@settings(max_examples=30, deadline=None)
def test_bands_are_the_labels_of_the_scores_in_order(size, tile, overlap):
    image, score = picture(*size), network(3)
    overlap = min(overlap, tile // 2)
    scores = tiled(score, image, tile=Size(tile, tile), overlap=overlap)
    row = 0
    for top, labels in tiled_labels(score, image, tile=Size(tile, tile), overlap=overlap):
        assert top == row
        assert labels.dtype == torch.uint8
        assert labels.shape[1] == size[1]
        assert torch.equal(labels, scores[:, top : top + labels.shape[0]].argmax(0).byte())
        row += labels.shape[0]
    assert row == size[0]


def test_strips_on_disk_change_nothing(monkeypatch):
    image, score = picture(50, 70), network(3)
    in_memory = tiled(score, image, tile=Size(16, 16), overlap=8).float()
    monkeypatch.setattr(tiling, "Strips", lambda: Strips(limit=1000))
    on_disk = tiled(score, image, tile=Size(16, 16), overlap=8).float()
    torch.testing.assert_close(on_disk, in_memory, rtol=0, atol=1e-7)
    single = lambda part: score(part).float()  # noqa: E731
    on_disk = tiled(single, image, tile=Size(16, 16), overlap=8)
    monkeypatch.setattr(tiling, "Strips", Strips)
    assert torch.equal(on_disk, tiled(single, image, tile=Size(16, 16), overlap=8))


def test_windows_never_exceed_the_tile_and_start_at_multiples_of_align():
    seen = []

    class Reader:
        size = Size(700, 130)

        def read(self, top, left, height, width):
            seen.append((top, height, width))
            return torch.zeros(3, height, width, dtype=torch.uint8)

    def score(window):
        assert window.shape[1] <= 200
        return torch.ones(2, *window.shape[1:])

    list(tiled_labels(score, Reader(), tile=Size(200, 200), overlap=40, align=32))
    tops = [top for top, _, _ in seen[1:-1]]  # the first and last are mirrored, so read less
    assert tops == [140, 300, 460]
    assert all(width == 130 for _, _, width in seen)  # an axis that fits is not cut
    assert max(height for _, height, _ in seen) <= 200


def test_what_is_in_memory_does_not_grow_with_the_image():
    """The reader is asked for windows only, and each window once."""

    class Reader:
        def __init__(self, side: int):
            self.size = Size(side, side)
            self.pixels = 0

        def read(self, top, left, height, width):
            assert height * width <= 64 * 64
            self.pixels += height * width
            return torch.zeros(3, height, width, dtype=torch.uint8)

    reader = Reader(1000)
    bands = tiled_labels(constant(0.5), reader, tile=Size(64, 64), overlap=8)
    assert sum(labels.numel() for _, labels in bands) == 1000 * 1000
    assert reader.pixels < 1.4 * 1000 * 1000


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 90), (90, 1), (2, 3)])
def test_the_smallest_images(height, width):
    image = picture(height, width)
    scores = tiled(network(2), image, tile=Size(16, 16), overlap=8)
    assert scores.shape == (4, height, width)


@pytest.mark.parametrize(("tile", "overlap"), [((0, 4), 0), ((8, 8), 5), ((8, 8), -1)])
def test_a_tile_that_cannot_be_used_is_refused(tile, overlap):
    with pytest.raises(StructureError, match="half its shorter side"):
        tiled(network(2), picture(20, 20), tile=Size(*tile), overlap=overlap)
    with pytest.raises(StructureError, match="half its shorter side"):
        tiled_labels(network(2), picture(20, 20), tile=Size(*tile), overlap=overlap)
