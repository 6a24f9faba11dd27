import pytest
import torch
from torchvision.ops import sigmoid_focal_loss

from segscape.losses.cross_entropy import binary_cross_entropy, cross_entropy
from segscape.losses.focal import binary_focal, focal
from segscape.structures import StructureError


def batch(categories=4, seed=0):
    generator = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(2, categories, 5, 6, generator=generator)
    labels = torch.randint(max(2, categories), (2, 5, 6), generator=generator)
    labels[torch.rand(labels.shape, generator=generator) < 0.2] = 255
    return logits, labels, torch.rand(labels.shape, generator=generator) + 0.1


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0, 5.0])
@pytest.mark.parametrize("alpha", [0.25, 0.5])
def test_binary_is_the_mean_of_torchvisions(gamma, alpha):
    logits, labels, _ = batch(1)
    valid = labels != 255
    truth = labels[valid].float()
    terms = sigmoid_focal_loss(logits[:, 0][valid], truth, alpha=alpha, gamma=gamma)
    weights = torch.where(truth == 1, alpha, 1 - alpha)
    found = binary_focal(logits, labels, gamma=gamma, alpha=alpha)
    torch.testing.assert_close(found, terms.sum() / weights.sum())


@pytest.mark.parametrize("gamma", [0.0, 2.0])
def test_binary_is_the_form_for_two_categories(gamma):
    logits, labels, weights = batch(1)
    two = torch.cat([torch.zeros_like(logits), logits], 1)
    torch.testing.assert_close(
        binary_focal(logits, labels, pixel_weights=weights, gamma=gamma, alpha=0.25),
        focal(
            two,
            labels,
            pixel_weights=weights,
            gamma=gamma,
            class_weights=torch.tensor([0.75, 0.25]),
        ),
    )


def test_gamma_0_is_cross_entropy():
    logits, labels, weights = batch()
    balance = torch.tensor([0.5, 1.0, 2.0, 0.1])
    torch.testing.assert_close(
        focal(logits, labels, pixel_weights=weights, gamma=0.0, class_weights=balance),
        cross_entropy(logits, labels, pixel_weights=weights, class_weights=balance),
    )
    one, labels, weights = batch(1)
    torch.testing.assert_close(
        binary_focal(one, labels, pixel_weights=weights, gamma=0.0),
        binary_cross_entropy(one, labels, pixel_weights=weights),
    )


def test_equals_the_definition():
    logits, labels, weights = batch()
    balance = torch.tensor([0.5, 1.0, 2.0, 0.1])
    total = weight = 0.0
    scores = logits.double().softmax(1)
    for b, i, j in (labels != 255).nonzero().tolist():
        y = int(labels[b, i, j])
        p = scores[b, y, i, j]
        u = float(weights[b, i, j] * balance[y])
        total += u * float((1 - p) ** 3 * -p.log())
        weight += u
    found = focal(logits, labels, pixel_weights=weights, gamma=3.0, class_weights=balance)
    assert float(found) == pytest.approx(total / weight, rel=1e-5)


def test_options_out_of_range_are_refused():
    logits, labels, _ = batch()
    with pytest.raises(StructureError, match=r"focal: gamma -1.0 is negative"):
        focal(logits, labels, gamma=-1.0)
    with pytest.raises(StructureError, match=r"alpha 1.5 is not in \[0, 1\]"):
        binary_focal(*batch(1)[:2], alpha=1.5)
