"""The moving average against its recursion."""

import pytest
import torch
from torch import nn

from segscape.training.weight_average import WeightAverage


def test_average_follows_the_recursion_and_copies_counters():
    net = nn.BatchNorm1d(1)
    average = WeightAverage(net, 0.9)
    counter, averaged = net.num_batches_tracked, average.model.num_batches_tracked
    assert counter is not None
    assert averaged is not None
    expected = 1.0
    for step in range(200):
        with torch.no_grad():
            net.weight.fill_(float(step))
            counter.fill_(step)
        average.update(net, step)
        decay = min(0.9, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * step
    assert float(average.model.weight) == pytest.approx(expected, rel=1e-4)
    assert int(averaged) == 199
    assert not average.model.training
    assert not any(parameter.requires_grad for parameter in average.model.parameters())
    # The average trails a ramp by decay / (1 - decay) steps.
    assert float(average.model.weight) == pytest.approx(199 - 9, abs=1.5)


def test_the_trained_model_is_left_alone():
    net = nn.Linear(2, 2)
    before = net.weight.clone()
    WeightAverage(net, 0.5).update(net, 0)
    assert torch.equal(net.weight, before)
    assert net.weight.requires_grad
