"""Parameter groups, rates, and state that survives being saved."""

import pytest
import torch
from torch import nn

from segscape.structures import RecipeError
from segscape.training.optimizer import (
    OPTIMIZERS,
    SGD,
    AdamW,
    build_optimizer,
    optimizer_tensors,
    restore_optimizer,
    set_learning_rate,
)


class _Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
        self.head = nn.Conv2d(4, 2, 1)
        self.frozen = nn.Conv2d(2, 2, 1).requires_grad_(requires_grad=False)

    def forward(self, x):
        return self.head(self.encoder(x))


def _net() -> _Net:
    torch.manual_seed(0)
    return _Net().to(memory_format=torch.channels_last)


def test_norms_and_biases_do_not_decay_and_encoders_learn_slower():
    net = _net()
    rule = AdamW(learning_rate=0.1, weight_decay=0.3)
    optimizer = build_optimizer(rule, net, encoder_factor=0.5)
    set_learning_rate(optimizer, 0.2)
    found = {
        id(parameter): (group["lr"], group["weight_decay"])
        for group in optimizer.param_groups
        for parameter in group["params"]
    }
    expected = {
        net.encoder[0].weight: (0.01, 0.3),
        net.encoder[0].bias: (0.01, 0.0),
        net.encoder[1].weight: (0.01, 0.0),
        net.encoder[1].bias: (0.01, 0.0),
        net.head.weight: (0.02, 0.3),
        net.head.bias: (0.02, 0.0),
    }
    assert len(found) == len(expected)
    for parameter, (rate, decay) in expected.items():
        assert found[id(parameter)] == (pytest.approx(rate), decay)


def _steps(net, optimizer, numbers) -> None:
    for number in numbers:
        generator = torch.Generator().manual_seed(number)
        x = torch.randn(2, 3, 8, 8, generator=generator)
        optimizer.zero_grad()
        net(x.to(memory_format=torch.channels_last)).square().mean().backward()
        optimizer.step()


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("fused", [False, True])
def test_state_by_name_goes_on_to_the_same_bits(name, fused):
    rule = OPTIMIZERS[name]()
    straight, first, second = _net(), _net(), _net()
    whole = build_optimizer(rule, straight, fused=fused)
    _steps(straight, whole, range(6))
    before = build_optimizer(rule, first, fused=fused)
    _steps(first, before, range(3))
    # As a file keeps them: contiguous, by name.
    tensors = {
        key: value.contiguous().clone()
        for key, value in optimizer_tensors(before, first.named_parameters()).items()
    }
    second.load_state_dict(first.state_dict())
    after = build_optimizer(rule, second, fused=fused)
    restore_optimizer(after, second.named_parameters(), tensors)
    _steps(second, after, range(3, 6))
    for one, two in zip(straight.parameters(), second.parameters(), strict=True):
        assert torch.equal(one, two)


def test_sgd_follows_its_definition():
    weight = nn.Linear(1, 1, bias=False)
    nn.init.constant_(weight.weight, 1.0)
    rule = SGD(learning_rate=0.5, weight_decay=0.2, momentum=0.9)
    optimizer = build_optimizer(rule, weight)
    value, velocity = 1.0, 0.0
    for _ in range(4):
        optimizer.zero_grad()
        weight(torch.tensor([[3.0]])).sum().backward()
        optimizer.step()
        velocity = 0.9 * velocity + 3.0 + 0.2 * value
        value -= 0.5 * velocity
        assert float(weight.weight.detach()) == pytest.approx(value, rel=1e-5)


def test_a_rate_for_an_encoder_that_is_not_there_is_refused():
    with pytest.raises(RecipeError, match="a Linear has no encoder: leave it out"):
        build_optimizer(AdamW(), nn.Linear(2, 2), encoder_factor=0.1)
    build_optimizer(AdamW(), nn.Linear(2, 2))
