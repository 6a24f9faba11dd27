import copy
from typing import Any

import pytest
import torch
from tests.support.processes import run_in_processes
from timm.layers.norm_act import BatchNormAct2d
from torch import nn

from segscape.layers.batch_norm import (
    FrozenBatchNorm2d,
    FrozenBatchNormAct2d,
    SynchronizedBatchNorm2d,
    SynchronizedBatchNormAct2d,
    freeze,
    normalize_pooled,
    remember_less,
    synchronize,
)
from segscape.ops.processes import sum_over_processes
from segscape.structures import StructureError

# Uneven on purpose: one process holds one image, the other three.
SHARES = (slice(0, 1), slice(1, 4))


def network(momentum=0.1):
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1),
        nn.BatchNorm2d(4, momentum=momentum),
        nn.ReLU(),
        nn.Conv2d(4, 5, 3, padding=1),
        BatchNormAct2d(5, act_layer=nn.PReLU),
        nn.BatchNorm2d(5, affine=False, track_running_stats=False),
    )


def images():
    return torch.randn(4, 3, 6, 5, generator=torch.Generator().manual_seed(1)) * 3 + 10


def loss_sum(output):
    ramp = torch.linspace(-1, 1, output[0].numel(), dtype=output.dtype).reshape(output[0].shape)
    return (output.sigmoid() * ramp).sum() + (output**3).sum()


def share_of_two(rank, world, momentum):
    model = synchronize(network(momentum).double())
    output = model(images().double()[SHARES[rank]])
    sum_over_processes(loss_sum(output)).backward()
    half = synchronize(nn.BatchNorm2d(3))(images()[SHARES[rank]].bfloat16())
    return {
        "output": output.detach(),
        "gradients": {name: p.grad for name, p in model.named_parameters()},
        "state": model.state_dict(),
        "half": half.detach(),
        "float32": synchronize(network())(images()[SHARES[rank]]).detach(),
        "evaluated": model.eval()(images().double()[:1]).detach(),
    }


@pytest.mark.parametrize("momentum", [0.1, None])
def test_two_processes_equal_one(momentum):
    model = network(momentum).double()
    output = model(images().double())
    names, parameters = zip(*model.named_parameters(), strict=True)
    gradients = torch.autograd.grad(loss_sum(output), parameters)
    results = run_in_processes(share_of_two, momentum)

    shares = [result["output"] for result in results]
    torch.testing.assert_close(torch.cat(shares), output.detach(), rtol=1e-10, atol=1e-10)
    for name, gradient in zip(names, gradients, strict=True):
        average = sum(result["gradients"][name] for result in results) / len(results)
        torch.testing.assert_close(average, gradient, rtol=1e-9, atol=1e-8)
    for result in results:
        for name, value in model.state_dict().items():
            torch.testing.assert_close(result["state"][name], value, rtol=1e-10, atol=1e-12)
    single = network()(images()).detach()
    torch.testing.assert_close(
        torch.cat([result["float32"] for result in results]), single, rtol=1e-5, atol=1e-6
    )
    half = torch.cat([result["half"] for result in results])
    assert half.dtype == torch.bfloat16
    torch.testing.assert_close(
        half.float(), nn.BatchNorm2d(3)(images().bfloat16().float()), rtol=0.01, atol=0.01
    )
    model.eval()
    expected = model(images().double()[:1]).detach()
    torch.testing.assert_close(results[0]["evaluated"], expected, rtol=1e-10, atol=1e-10)


def test_one_process_is_the_native_layer_to_the_bit():
    model = network()
    shared = synchronize(copy.deepcopy(model))
    assert torch.equal(shared(images()), model(images()))
    for name, value in model.state_dict().items():
        assert torch.equal(shared.state_dict()[name], value)


def test_parameters_buffers_and_names_stay_the_same_objects():
    model = network()
    before = dict(model.named_parameters()) | dict(model.named_buffers())
    act = model[4].act
    assert synchronize(model) is model
    after = dict(model.named_parameters()) | dict(model.named_buffers())
    assert list(before) == list(after)
    assert all(before[name] is after[name] for name in before)
    assert type(model[1]) is SynchronizedBatchNorm2d
    assert type(model[4]) is SynchronizedBatchNormAct2d
    assert model[4].act is act
    assert model[4].eps == BatchNormAct2d(5).eps
    layer = model[1]
    synchronize(model)
    assert model[1] is layer


def test_a_lone_layer_is_replaced_and_keeps_its_mode():
    layer = nn.BatchNorm2d(3, eps=0.5).eval()
    shared = synchronize(layer)
    assert type(shared) is SynchronizedBatchNorm2d
    assert not shared.training
    assert shared.eps == 0.5
    assert torch.equal(shared(images()), layer(images()))


def test_unknown_kinds_are_refused():
    class Strange(nn.BatchNorm2d):
        pass

    for change in (synchronize, freeze):
        with pytest.raises(StructureError, match=r"Strange .* use nn\.BatchNorm2d"):
            change(nn.Sequential(Strange(3)))


def test_frozen_layers_train_as_they_evaluate():
    model = network()
    for _ in range(3):
        model(images())  # statistics of its own
    model[5] = nn.BatchNorm2d(5)
    expected = copy.deepcopy(model).eval()(images())
    before = {name: value.clone() for name, value in model.state_dict().items()}
    objects = dict(model.named_parameters()) | dict(model.named_buffers())
    assert freeze(model) is model
    assert type(model[1]) is FrozenBatchNorm2d
    assert type(model[4]) is FrozenBatchNormAct2d
    for _ in range(2):  # a validation lies between
        model.train()
        output = model(images())
        assert torch.equal(output, expected)
        loss_sum(output).backward()
        model.eval()
    after = dict(model.named_parameters()) | dict(model.named_buffers())
    assert all(after[name] is objects[name] for name in objects)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    learning = {name for name, value in model.named_parameters() if value.grad is not None}
    assert learning == {"0.weight", "0.bias", "3.weight", "3.bias", "4.act.weight"}


def test_frozen_layers_go_on_dropping():
    layer = BatchNormAct2d(4, drop_layer=nn.Dropout)
    frozen: Any = freeze(layer).train()
    assert not frozen.training
    assert frozen.drop.training
    assert not frozen.eval().drop.training


def test_copies_of_frozen_layers_are_frozen():
    model: Any = copy.deepcopy(freeze(network())).train()
    assert not model[1].training
    assert model[0].training


def test_one_value_per_channel_takes_the_running_statistics():
    norm = nn.BatchNorm2d(2)
    norm.running_mean, norm.running_var = torch.tensor([1.0, 2.0]), torch.tensor([4.0, 9.0])
    x = torch.tensor([3.0, 8.0]).reshape(1, 2, 1, 1)
    normalized = normalize_pooled(norm, x)
    torch.testing.assert_close(normalized.flatten(), torch.tensor([1.0, 2.0]), atol=1e-4, rtol=0)
    assert torch.equal(normalized, normalize_pooled(norm.eval(), x))
    assert norm.running_mean.tolist() == [1, 2]
    normalized.sum().backward()
    assert norm.weight.grad is not None


def test_two_values_per_channel_take_their_own_statistics():
    norm, x = nn.BatchNorm2d(2), torch.randn(2, 2, 1, 1)
    assert torch.equal(normalize_pooled(norm, x), copy.deepcopy(norm)(x))
    assert norm.running_mean is not None
    assert norm.running_mean.ne(0).all()


def lone_value(rank, world):
    norm: Any = synchronize(nn.BatchNorm2d(1))
    return normalize_pooled(norm, torch.full((1, 1, 1, 1), 2.0 * rank)).item()


def test_one_value_on_each_process_takes_the_statistics_of_all():
    assert run_in_processes(lone_value) == pytest.approx([-1, 1], abs=1e-4)


def test_a_short_training_forgets_the_statistics_it_began_with():
    steps = 300
    slow, usual, cumulative = (nn.BatchNorm2d(2, momentum=m) for m in (0.01, 0.3, None))
    layers = nn.Sequential(slow, usual, cumulative)
    images = 0.01 * torch.randn(4, 2, 8, 8, generator=torch.Generator().manual_seed(0))
    remember_less(layers, steps)
    assert (usual.momentum, cumulative.momentum) == (0.3, None)
    for _ in range(steps):
        slow(images)
    assert slow.running_var is not None
    assert torch.allclose(slow.running_var, images.var((0, 2, 3)), rtol=0.01)


@pytest.mark.parametrize(("steps", "share"), [(10, 0.1), (1000, 0.02), (100_000, 0.01)])
def test_the_share_of_a_batch_follows_the_length_of_the_training(steps, share):
    layer = nn.BatchNorm2d(2, momentum=0.01)
    remember_less(layer, steps)
    assert layer.momentum == share
