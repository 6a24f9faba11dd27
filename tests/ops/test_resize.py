"""The one resize rule against Pillow, torchvision and the definition."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torchvision.transforms.v2 import functional as tv

from segscape.ops.interpolation import interpolate
from segscape.ops.resize import (
    resize_image,
    resize_labels,
    resize_logits,
    resize_maps,
    resize_nearest,
)

SIZES = st.one_of(st.just(1), st.integers(1, 24))


def random_image(height: int, width: int, channels: int = 3, seed: int = 0) -> torch.Tensor:
    generator = np.random.default_rng(seed)
    pixels = generator.integers(0, 256, (height, width, channels), dtype=np.uint8)
    return torch.from_numpy(pixels).permute(2, 0, 1)


def triangle(source: int, target: int) -> np.ndarray:
    """The weights of the definition: a triangle about the centre, as wide as what it covers."""
    scale = source / target
    centers = (np.arange(target)[:, None] + 0.5) * scale
    distances = np.abs(np.arange(source)[None] + 0.5 - centers) / max(scale, 1.0)
    weights = np.maximum(0, 1 - distances)
    return weights / weights.sum(1, keepdims=True)


@settings(max_examples=300, deadline=None)
@given(
    h=SIZES,
    w=SIZES,
    height=SIZES,
    width=SIZES,
    channels=st.integers(1, 5),
    layout=st.sampled_from(["channels last", "channels first", "window", "transposed", "flipped"]),
)
def test_images_as_defined_in_any_memory_layout(
    h: int, w: int, height: int, width: int, channels: int, layout: str
) -> None:
    image = random_image(h, w, channels)
    if layout == "channels first":
        image = image.contiguous()
    elif layout == "window":
        image = random_image(h + 4, w + 3, channels).contiguous()[:, 2 : h + 2, 1 : w + 1]
    elif layout == "transposed":
        image = random_image(w, h, channels).contiguous().mT
    elif layout == "flipped":
        image = image.flip(2)
    rows, columns = triangle(h, height), triangle(w, width)
    expected = rows @ image.numpy().astype(float) @ columns.T
    # Rounded after each axis.
    assert np.abs(resize_image(image, (height, width)).numpy() - expected).max() <= 1.01


def by_pillow(image: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    picture = Image.fromarray(image.permute(1, 2, 0).contiguous().numpy())
    shrunk = picture.resize((size[1], size[0]), Image.Resampling.BILINEAR)
    return torch.from_numpy(np.array(shrunk)).permute(2, 0, 1)


@settings(max_examples=200, deadline=None)
@given(h=SIZES, w=SIZES, height=SIZES, width=SIZES, seed=st.integers(0, 9), plain=st.booleans())
def test_images_as_pillow(h: int, w: int, height: int, width: int, seed: int, plain: bool) -> None:
    image = random_image(h, w, seed=seed)
    image = image.contiguous() if plain else image
    gap = resize_image(image, (height, width)).int() - by_pillow(image, (height, width)).int()
    assert int(gap.abs().max()) <= 1


@pytest.mark.parametrize("size", [(240, 320), (90, 77), (1, 500), (720, 700)])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_images_as_torchvision(size: tuple[int, int], channels: int) -> None:
    image = random_image(360, 480, channels)
    expected = tv.resize(image, list(size), antialias=True)
    assert int((resize_image(image, size).int() - expected.int()).abs().max()) <= 1


def test_floats_stay_floats() -> None:
    image = torch.rand(2, 9, 7)
    found = resize_image(image, (4, 3))
    assert found.dtype == torch.float32
    rounded = resize_image((255 * image).round().to(torch.uint8), (4, 3))
    assert (255 * found - rounded).abs().max() < 2
    assert resize_image(image[:, :1], (1, 3)).dtype == torch.float32


def test_an_image_one_pixel_wide() -> None:
    # torch's own kernel for floating point gives 0, 0, 0, 0 here.
    image = torch.tensor([[[0], [255]]], dtype=torch.uint8)
    assert resize_image(image, (4, 1)).flatten().tolist() == [0, 64, 191, 255]


@settings(max_examples=200, deadline=None)
@given(h=SIZES, w=SIZES, height=SIZES, width=SIZES)
def test_labels_are_those_under_the_centre(h: int, w: int, height: int, width: int) -> None:
    labels = torch.arange(h * w).view(h, w)
    rows = [int((2 * i + 1) * h // (2 * height)) for i in range(height)]
    columns = [int((2 * j + 1) * w // (2 * width)) for j in range(width)]
    expected = [[int(labels[i, j]) for j in columns] for i in rows]
    assert resize_labels(labels, (height, width)).tolist() == expected


def test_labels_as_torch_and_pillow_at_sizes_they_round_well() -> None:
    labels = torch.randint(0, 256, (360, 480), dtype=torch.uint8)
    for height, width in ((180, 240), (240, 320), (720, 960)):
        ours = resize_labels(labels, (height, width))
        picture = Image.fromarray(labels.numpy()).resize((width, height), Image.Resampling.NEAREST)
        assert np.array_equal(ours.numpy(), np.array(picture))
        by_torch = torch.nn.functional.interpolate(
            labels[None, None], size=(height, width), mode="nearest-exact"
        )
        assert torch.equal(ours, by_torch[0, 0])


def test_labels_and_image_lie_on_top_of_each_other() -> None:
    labels = torch.zeros(60, 80, dtype=torch.uint8)
    labels[20:, 30:] = 200
    for size in ((120, 160), (37, 41), (200, 33)):
        image = resize_image(labels[None], size)[0].int()
        assert int(((image > 100) != (resize_labels(labels, size) > 100)).sum()) <= sum(size) // 4
        clear = (image == 0) | (image == 200)
        assert torch.equal(image[clear], resize_labels(labels, size)[clear].int())


def test_maps_by_hand_and_differentiable() -> None:
    maps = torch.tensor([[[[0.0, 8.0], [4.0, 12.0]]]], requires_grad=True)
    large = resize_maps(maps, (4, 4))
    assert large[0, 0, 0].tolist() == [0.0, 2.0, 6.0, 8.0]
    assert large[0, 0, :, 0].tolist() == [0.0, 1.0, 3.0, 4.0]
    large.sum().backward()
    assert maps.grad is not None
    assert torch.allclose(maps.grad, torch.full_like(maps, 4.0))


@settings(max_examples=100, deadline=None)
@given(h=SIZES, w=SIZES, height=SIZES, width=SIZES)
def test_maps_as_defined(h: int, w: int, height: int, width: int) -> None:
    maps = torch.from_numpy(np.random.default_rng(h).random((2, 3, h, w)))
    rows, columns = (tent(*lengths) for lengths in ((h, height), (w, width)))
    expected = rows @ maps.numpy() @ columns.T
    assert np.allclose(resize_maps(maps, (height, width)).numpy(), expected, atol=1e-12)


def tent(source: int, target: int) -> np.ndarray:
    """Bilinear weights of the two nearest centres, the border's value beyond it."""
    places = np.clip((np.arange(target) + 0.5) * source / target - 0.5, 0, source - 1)
    return np.maximum(0, 1 - np.abs(np.arange(source)[None] - places[:, None]))


def test_the_same_size_is_the_same() -> None:
    image = random_image(5, 7)
    assert torch.equal(resize_image(image, (5, 7)), image)
    assert torch.equal(resize_labels(image[0], (5, 7)), image[0])
    maps = torch.rand(1, 2, 5, 7)
    assert torch.equal(resize_maps(maps, (5, 7)), maps)


def test_nearest_keeps_the_type() -> None:
    for kind in (torch.uint8, torch.int64, torch.float32, torch.bool):
        assert resize_nearest(torch.ones(3, 3, dtype=kind), (5, 2)).dtype == kind


@pytest.mark.parametrize("size", [(0, 3), (3, 0), (-1, 3)])
def test_no_pixels(size: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match=r"ask for at least 1 x 1"):
        resize_image(random_image(4, 4), size)
    with pytest.raises(ValueError, match=r"ask for at least 1 x 1"):
        resize_labels(random_image(4, 4)[0], size)
    with pytest.raises(ValueError, match=r"ask for at least 1 x 1"):
        resize_maps(torch.rand(1, 1, 4, 4), size)


def test_maps_by_matrices_where_determinism_is_asked():
    maps = torch.randn(2, 3, 7, 9)
    usual = resize_maps(maps, (20, 31))
    torch.use_deterministic_algorithms(True)
    try:
        asked = resize_maps(maps, (20, 31))
    finally:
        torch.use_deterministic_algorithms(False)
    assert torch.equal(asked, interpolate(maps, (20, 31)))
    torch.testing.assert_close(asked, usual, atol=1e-5, rtol=1e-5)


def test_logits_are_enlarged_in_float32_and_plain_memory_order():
    logits = torch.randn(2, 3, 4, 5).bfloat16().to(memory_format=torch.channels_last)
    enlarged = resize_logits(logits, (8, 10))
    assert enlarged.dtype == torch.float32
    assert enlarged.is_contiguous()
    assert torch.equal(enlarged, resize_maps(logits.float(), (8, 10)))
