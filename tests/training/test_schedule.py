"""Schedules against torch's schedulers, which step where ours are functions."""

import pytest
import torch
from torch.optim import lr_scheduler

from segscape.training.schedule import SCHEDULES, Constant, Cosine, OneCycle, Poly, Step

STEPS = 57


def _stepped(make) -> list[float]:
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    scheduler = make(optimizer)
    rates = []
    for _ in range(STEPS):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return rates


@pytest.mark.parametrize(
    ("schedule", "peer"),
    [
        (Poly(0.9), lambda o: lr_scheduler.PolynomialLR(o, STEPS, 0.9)),
        (Cosine(0.1), lambda o: lr_scheduler.CosineAnnealingLR(o, STEPS, eta_min=0.1)),
        (OneCycle(), lambda o: lr_scheduler.OneCycleLR(o, 1.0, total_steps=STEPS)),
        (
            OneCycle(warmup=0.1),
            lambda o: lr_scheduler.OneCycleLR(o, 1.0, total_steps=STEPS, pct_start=0.1),
        ),
        (
            Step((0.5, 0.75), 0.2),
            lambda o: lr_scheduler.MultiStepLR(o, [29, 43], gamma=0.2),
        ),
        (Constant(), lambda o: lr_scheduler.ConstantLR(o, 1.0)),
    ],
)
def test_values_equal_torch(schedule, peer):
    ours = [schedule(step, STEPS) for step in range(STEPS)]
    assert ours == pytest.approx(_stepped(peer), abs=1e-9)


@pytest.mark.parametrize("schedule", [Poly(warmup=0.2), Cosine(warmup=0.2), Step(warmup=0.2)])
def test_warmup_is_linear_and_ends_at_one(schedule):
    assert [schedule(step, 50) for step in range(11)] == pytest.approx(
        [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.0]
    )


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("steps", [1, 2, 3, 1000])
def test_factors_stay_in_their_range(name, steps):
    factors = [SCHEDULES[name]()(step, steps) for step in range(steps)]
    assert all(0 <= factor <= 1 for factor in factors)
    assert max(factors) > 0
