import pytest
import torch

from segscape.losses.dice import soft_dice
from segscape.losses.jaccard import jaccard
from segscape.losses.tversky import tversky
from segscape.structures import StructureError


def batch(seed=0):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(2, 3, 4, 5, generator=generator)
    labels = torch.randint(3, (2, 4, 5), generator=generator)
    labels[torch.rand(labels.shape, generator=generator) < 0.2] = 255
    return logits, labels


@pytest.mark.parametrize("per_image", [True, False])
def test_holds_jaccard_and_dice(per_image):
    logits, labels = batch()
    torch.testing.assert_close(
        tversky(logits, labels, alpha=1.0, beta=1.0, smooth=2.0, per_image=per_image),
        jaccard(logits, labels, smooth=2.0, per_image=per_image),
    )
    torch.testing.assert_close(
        tversky(logits, labels, alpha=0.5, beta=0.5, smooth=2.0, per_image=per_image),
        soft_dice(logits, labels, smooth=4.0, per_image=per_image),
    )


@pytest.mark.parametrize("gamma", [1.0, 4 / 3, 3.0])
def test_equals_the_definition(gamma):
    logits, labels = batch()
    p = logits.double().softmax(1).movedim(1, -1)[labels != 255]
    g = torch.nn.functional.one_hot(labels[labels != 255], 3).double()
    hits, alarms, misses = (p * g).sum(0), (p * (1 - g)).sum(0), ((1 - p) * g).sum(0)
    index = (hits + 1) / (hits + 0.2 * alarms + 0.9 * misses + 1)
    expected = ((1 - index) ** (1 / gamma)).mean()
    found = tversky(logits, labels, alpha=0.2, beta=0.9, gamma=gamma)
    assert float(found) == pytest.approx(float(expected), rel=1e-5)


def test_alpha_is_for_alarms_and_beta_for_misses():
    labels = torch.tensor([[[0, 0, 1, 1]]])

    def cost(called, **weights):
        logits = 50 * torch.nn.functional.one_hot(called, 2).movedim(-1, 1).float()
        return float(tversky(logits, labels, smooth=0.0, **weights))

    missing = torch.tensor([[[0, 0, 0, 1]]])
    # Category 1 lacks a pixel (a miss), category 0 has one too many (an alarm).
    of_alarms = (1 - 2 / 3 + 1 - 1) / 2
    of_misses = (1 - 1 + 1 - 1 / 2) / 2
    assert cost(missing, alpha=1.0, beta=0.0) == pytest.approx(of_alarms)
    assert cost(missing, alpha=0.0, beta=1.0) == pytest.approx(of_misses)


def test_a_perfect_prediction_has_a_finite_gradient_in_the_focal_form():
    labels = torch.tensor([[[0, 1]]])
    logits = (1000 * torch.nn.functional.one_hot(labels, 2).movedim(-1, 1).float()).requires_grad_()
    value = tversky(logits, labels, gamma=4 / 3)
    (gradient,) = torch.autograd.grad(value, logits)
    assert float(value.detach()) < 1e-4
    assert torch.isfinite(gradient).all()


@pytest.mark.parametrize(
    "option", [{"alpha": -0.1}, {"beta": -1.0}, {"smooth": -1.0}, {"gamma": 0.0}]
)
def test_options_out_of_range_are_refused(option):
    with pytest.raises(StructureError, match=r"tversky: alpha .* gamma above 0"):
        tversky(*batch(), **option)
