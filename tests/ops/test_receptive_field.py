from fractions import Fraction
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from segscape.ops.receptive_field import (
    Layer,
    ReceptiveField,
    effective_receptive_field,
    effective_size,
    reads,
    receptive_field,
    traced_receptive_field,
)

SAME = Layer(3, padding=1)
VGG16_POOL2 = [Layer(3, padding=100), SAME, Layer(2, 2), SAME, SAME, Layer(2, 2)]
VGG16_POOL3 = [*VGG16_POOL2, *[SAME] * 3, Layer(2, 2)]
VGG16_POOL4 = [*VGG16_POOL3, *[SAME] * 3, Layer(2, 2)]
VGG16 = [*VGG16_POOL4, *[SAME] * 3, Layer(2, 2), Layer(7)]
ALEXNET_POOL2 = [Layer(11, 4, 100), Layer(3, 2), Layer(5, padding=2), Layer(3, 2)]
ALEXNET = [*ALEXNET_POOL2, *[SAME] * 3, Layer(3, 2), Layer(6)]


def test_published_receptive_fields():
    """Long et al. 2015, table 1: 355 for AlexNet, 404 for VGG16, stride 32 for both."""
    assert (receptive_field(ALEXNET).size, receptive_field(VGG16).size) == (355, 404)
    assert receptive_field(ALEXNET).stride == receptive_field(VGG16).stride == 32


def test_published_crops_follow():
    """FCN's offsets: an upsampled score map's place that lies over pixel 0 of the other map."""
    logits = {step: Layer(2 * step, step, transposed=True) for step in (2, 8, 16, 32)}
    assert receptive_field([*VGG16, logits[32]]).center == -19
    assert receptive_field([*VGG16, logits[2], logits[16]]).center == -27
    assert receptive_field([*VGG16, logits[2], logits[2], logits[8]]).center == -31
    twice = receptive_field([*VGG16, logits[2]])
    pool4 = receptive_field(VGG16_POOL4)
    assert twice.stride == pool4.stride == 16
    assert (twice.center - pool4.center) / 16 == 5
    four = receptive_field([*VGG16, logits[2], logits[2]])
    pool3 = receptive_field(VGG16_POOL3)
    assert (four.center - pool3.center) / 8 == 9
    assert receptive_field([*ALEXNET, Layer(63, 32, transposed=True)]).center == -18


layers = st.builds(
    Layer,
    kernel=st.integers(1, 4),
    stride=st.integers(1, 3),
    padding=st.integers(0, 2),
    dilation=st.integers(1, 3),
)
ups = st.builds(
    lambda kernel, more, padding: Layer(kernel + more, kernel, padding, transposed=True),
    st.integers(1, 3),
    st.integers(0, 3),
    st.integers(0, 1),
)


def modules(chain: list[Layer]) -> nn.Sequential:
    """The same chain of torch's layers, over rows alone."""
    made: list[nn.Module] = []
    for layer in chain:
        kind: Any = nn.ConvTranspose2d if layer.transposed else nn.Conv2d
        rows = {
            "kernel_size": (layer.kernel, 1),
            "stride": (layer.stride, 1),
            "padding": (layer.padding, 0),
            "dilation": (layer.dilation, 1),
        }
        made.append(kind(1, 1, bias=False, **rows))
        nn.init.ones_(made[-1].get_parameter("weight"))
    return nn.Sequential(*made).double()


@given(st.lists(st.one_of(layers, ups), min_size=1, max_size=4))
@settings(max_examples=60)
def test_a_chain_reads_what_torchs_gradient_says(chain: list[Layer]):
    """Brute force: the gradient of every output with weights of 1, far from the border."""
    if any(layer.dilation > 1 for layer in chain) and any(layer.transposed for layer in chain):
        chain = [Layer(one.kernel, one.stride, one.padding, 1, one.transposed) for one in chain]
    pixels = torch.zeros(1, 1, 400, 1, dtype=torch.float64, requires_grad=True)
    rows = modules(chain)(pixels)[0, 0, :, 0]
    field = receptive_field(chain)
    middle = len(rows) // 2
    largest = 0
    for output in range(middle, min(middle + 27, len(rows))):
        first, last = reads(chain, output, output)
        if first < 0 or last >= 400:
            return
        (gradient,) = torch.autograd.grad(rows[output], pixels, retain_graph=True)
        seen = gradient.flatten().nonzero().flatten()
        assert (int(seen[0]), int(seen[-1])) == (first, last)
        largest = max(largest, last - first + 1)
    assert largest == field.size
    if all(not layer.transposed for layer in chain):
        assert field.start + field.stride * middle == reads(chain, middle, middle)[0]


@given(
    st.lists(layers.map(lambda one: Layer(one.kernel, 1, one.padding, one.dilation)), max_size=4)
)
@settings(max_examples=20)
def test_fields_of_kernels_add_up(chain: list[Layer]):
    """D (K - 1) + 1 each, for stride 1."""
    expected = 1 + sum(layer.dilation * (layer.kernel - 1) for layer in chain)
    assert receptive_field(chain).size == expected


def test_branches_join_to_what_either_reads():
    """The four branches of ASPP at rates 6 to 24 read what the widest reads."""
    branches = [receptive_field([Layer(3, padding=r, dilation=r)]) for r in (6, 12, 18, 24)]
    joined = branches[0]
    for branch in branches[1:]:
        joined = joined.union(branch)
    assert joined == branches[-1]
    shifted = ReceptiveField(3, Fraction(1), Fraction(5)).union(branches[0])
    assert (shifted.start, shifted.size) == (-6, 14)
    with pytest.raises(ValueError, match="strides 2 and 1 cannot be joined"):
        receptive_field([Layer(2, 2)]).union(branches[0])


class Crossing(nn.Module):
    """Down and up again beside a dilated branch."""

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.Conv2d(3, 4, 3, stride=2, padding=1)
        self.up = nn.ConvTranspose2d(4, 4, 4, stride=2, padding=1)
        self.side = nn.Conv2d(3, 4, 3, padding=5, dilation=5)

    def forward(self, pixels: Tensor) -> Tensor:
        return self.up(self.down(pixels).relu_()) + self.side(pixels)


def test_tracing_finds_what_chains_and_joins_say():
    way = [Layer(3, 2, 1), Layer(4, 2, 1, transposed=True)]
    side = receptive_field([Layer(3, padding=5, dilation=5)])
    assert traced_receptive_field(Crossing(), period=2) == side
    network = Crossing()
    nn.Module.__setattr__(network, "side", nn.Conv2d(3, 4, 1))
    assert traced_receptive_field(network, period=2) == receptive_field(way)


def test_tracing_the_published_network_finds_what_its_chain_says():
    chain = [*ALEXNET, Layer(63, 32, transposed=True), Layer(1, padding=-18)]

    def network(pixels: Tensor) -> Tensor:
        x = pixels
        for layer in chain[:-1]:
            if (layer.kernel, layer.stride) == (3, 2):
                x = nn.functional.max_pool2d(x, 3, 2, ceil_mode=True)
                continue
            kind: Any = nn.ConvTranspose2d if layer.transposed else nn.Conv2d
            x = kind(x.shape[1], 2, layer.kernel, layer.stride, layer.padding, device="meta")(x)
        return x[:, :, 18 : 18 + pixels.shape[2], 18:19]

    assert traced_receptive_field(network) == receptive_field(chain)
    assert receptive_field(chain).size == 355 + 32


@pytest.mark.parametrize(
    "network",
    [
        nn.InstanceNorm2d(3),
        lambda x: x + x.mean((2, 3), keepdim=True),
        lambda x: torch.softmax(x.flatten(2), 2).unflatten(2, x.shape[2:]),
        lambda x: nn.functional.interpolate(nn.functional.adaptive_avg_pool2d(x, 1), x.shape[2:]),
    ],
)
def test_what_sees_the_whole_image_has_no_size(network: Any):
    assert traced_receptive_field(network, period=1) is None


def test_values_that_are_not_numbers_are_refused():
    with pytest.raises(ValueError, match="not numbers"):
        traced_receptive_field(lambda x: x / 0, period=1)


def test_the_effective_field_of_a_linear_chain_is_its_kernel():
    """Three box filters: the gradient is their convolution, 1 3 6 7 6 3 1."""
    blur = nn.Sequential(*[nn.AvgPool2d((3, 1), 1, padding=(1, 0))] * 3)
    strength = effective_receptive_field(blur, torch.rand(4, 1, 15, 1))
    expected = torch.tensor([0, 0, 0, 0, 1, 3, 6, 7, 6, 3, 1, 0, 0, 0, 0]) / 7
    torch.testing.assert_close(strength.flatten(), expected)


def test_the_effective_field_grows_as_a_root_of_the_depth():
    """Luo et al. 2016, sec. 2: a Gaussian whose width grows with the square root of the layers."""
    sizes = []
    for depth in (4, 16):
        blur = nn.Sequential(*[nn.AvgPool2d(3, 1, padding=1)] * depth)
        strength = effective_receptive_field(blur, torch.rand(1, 1, 41, 41))
        sizes.append(effective_size(strength))
    assert sizes[1] / sizes[0] == pytest.approx(2, rel=0.1)


def test_a_place_can_be_named_and_silence_is_zero():
    x = torch.rand(1, 1, 7, 9)
    assert effective_receptive_field(nn.Identity(), x, place=(2, 3)).nonzero().tolist() == [[2, 3]]
    assert not effective_receptive_field(lambda one: one * 0, x).any()
