import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from segscape.structures import ImageBatch, Size, StructureError

SIZES = st.lists(st.tuples(st.integers(1, 6), st.integers(1, 6)), min_size=1, max_size=4)


@given(SIZES, st.integers(1, 4))
def test_images_come_back_from_the_batch(sizes, channels):
    images = [torch.randint(0, 256, (channels, *size), dtype=torch.uint8) for size in sizes]
    batch = ImageBatch.stack(images)
    assert batch.sizes == tuple(Size(*size) for size in sizes)
    valid = batch.valid()
    for image, pixels, size, inside in zip(images, batch.pixels, batch.sizes, valid, strict=True):
        back = (pixels[:, : size.height, : size.width] * 255).round().to(torch.uint8)
        assert torch.equal(back, image)
        assert int(inside.sum()) == size.height * size.width
        assert bool(inside[: size.height, : size.width].all())
        assert float(pixels.abs()[:, ~inside].sum()) == 0
    assert tuple(batch.pixels.shape[2:]) == (max(h for h, _ in sizes), max(w for _, w in sizes))


def test_moving_keeps_sizes():
    batch = ImageBatch.stack([torch.zeros(3, 2, 5, dtype=torch.uint8)])
    assert batch.to("cpu").sizes == ((2, 5),)


@pytest.mark.parametrize(
    ("sizes", "words"),
    [
        ((Size(2, 2),), "2 images but 1 sizes: give one per image"),
        ((Size(2, 2), Size(3, 2)), "3 x 2 does not fit into pixels of 2 x 2: pad"),
        ((Size(0, 2), Size(2, 2)), "0 x 2 does not fit"),
    ],
)
def test_wrong_sizes_are_refused_with_the_cure(sizes, words):
    with pytest.raises(StructureError, match=words):
        ImageBatch(torch.zeros(2, 3, 2, 2), sizes)


def test_no_image_is_refused():
    with pytest.raises(StructureError, match="give at least one"):
        ImageBatch.stack([])


def test_mixed_channels_are_refused_with_the_cure():
    images = [torch.zeros(1, 2, 2, dtype=torch.uint8), torch.zeros(3, 2, 2, dtype=torch.uint8)]
    with pytest.raises(StructureError, match=r"\[1, 3\] channels: convert them"):
        ImageBatch.stack(images)
