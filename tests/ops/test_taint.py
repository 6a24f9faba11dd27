from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from segscape.ops.taint import Taint

LAYERS: dict[str, Any] = {
    "convolution": lambda: nn.Conv2d(4, 6, 3, stride=2, padding=1),
    "dilated": lambda: nn.Conv2d(4, 6, (3, 2), padding="same", dilation=2),
    "groups": lambda: nn.Conv2d(4, 6, 3, padding=1, groups=2),
    "depthwise": lambda: nn.Conv2d(4, 8, 3, padding=1, groups=4),
    "transposed": lambda: nn.ConvTranspose2d(4, 6, (4, 3), stride=(2, 3), padding=1, dilation=2),
    "transposed groups": lambda: nn.ConvTranspose2d(4, 6, 3, 2, output_padding=1, groups=2),
    "linear": lambda: nn.Sequential(nn.Flatten(2), nn.Linear(99, 5)),
    "group norm": lambda: nn.GroupNorm(2, 4),
    "squeeze": lambda: nn.AdaptiveAvgPool2d(1),
    "max pool": lambda: nn.MaxPool2d(3, 2, padding=1, ceil_mode=True),
    "written to": lambda: nn.Sequential(nn.Conv2d(4, 6, 1), nn.ReLU(True), nn.Softplus()),
}


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("meta", [False, True])
def test_a_layer_passes_on_what_torch_passes_on(name: str, meta: bool):
    """Torch itself, one element after the other, with weights that are nowhere 0."""
    torch.manual_seed(0)
    layer = LAYERS[name]().eval()
    for channel, row, column in ((0, 0, 0), (1, 4, 7), (3, 8, 10)):
        x = torch.zeros(2, 4, 9, 11)
        x[1, channel, row, column] = torch.nan
        expected = layer(x).isnan()
        stand_in = layer.to("meta") if meta else layer
        with Taint():
            found = stand_in(x).isnan()
        layer = LAYERS[name]().eval()
        assert torch.equal(found, expected)


def test_values_that_are_written_to_keep_their_marks():
    """Channels are kept once where they are alike; writing to one of them must not mark all."""
    layer = nn.Conv2d(1, 3, 1, device="meta")

    def network(pixels: Tensor) -> Tensor:
        x = layer(pixels)
        x[:, 0] = 0
        x += torch.ones(1)
        other = layer(pixels)
        other.mul_(torch.tensor([1.0, torch.nan, 1.0]).reshape(3, 1, 1))
        return torch.cat([x, other], 1)

    with Taint():
        found = network(torch.tensor([[[[0.0, torch.nan]]]])).isnan()
    rows = [
        [False, False],
        [False, True],
        [False, True],
        [False, True],
        [True, True],
        [False, True],
    ]
    assert found[0, :, 0].tolist() == rows


def test_maps_kept_once_are_added_and_enlarged_as_others():
    layer = nn.Conv2d(2, 5, 3, padding=1, device="meta")

    def network(pixels: Tensor) -> Tensor:
        x = layer(pixels)
        x = x + F.max_pool2d(x, 3, 1, padding=1)
        return F.interpolate(F.pad(x, (0, 1, 0, 0)), scale_factor=2)

    pixels = torch.zeros(1, 2, 6, 6)
    pixels[:, :, 1, 2] = torch.nan
    with Taint():
        found = network(pixels)
    assert found.shape == (1, 5, 12, 14)
    expected = torch.zeros(12, 14, dtype=torch.bool)
    expected[0:8, 0:10] = True  # two pixels each way around (1, 2), doubled
    assert torch.equal(found.isnan(), expected.expand(1, 5, -1, -1))


@pytest.mark.parametrize("matrix_first", [False, True])
def test_zeros_of_a_matrix_read_nothing(matrix_first: bool):
    """As interpolation between points: 0 times what is not a number is not one, but reads none."""
    matrix = torch.tensor([[0.5, 0.5, 0.0], [0.0, 0.0, 2.0], [0.0, 0.0, 0.0]])
    pixels = torch.zeros(1, 2, 3, 3)
    pixels[0, 1, 1, 1] = torch.nan
    with Taint():
        found = (matrix @ pixels if matrix_first else pixels @ matrix).isnan()
    expected = torch.zeros(1, 2, 3, 3, dtype=torch.bool)
    row, column = (0, 1) if matrix_first else (1, 2)
    expected[0, 1, row, column] = True
    assert torch.equal(found, expected)


def test_a_product_of_two_maps_reads_all():
    one = torch.zeros(1, 3, 3)
    one[0, 1, 2] = torch.nan
    with Taint():
        found = (one @ torch.zeros(1, 3, 4)).isnan()
    assert found.any(2).tolist() == [[False, True, False]]
