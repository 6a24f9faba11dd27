import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.processes import run_in_processes

from segscape.losses.dice import binary_dice, soft_dice
from segscape.structures import StructureError


def batch(seed=0, categories=4, images=3, height=4, width=5):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(images, categories, height, width, generator=generator)
    # The last category is absent from all, the second from the first image.
    labels = torch.randint(max(1, categories - 1), (images, height, width), generator=generator)
    labels[torch.rand(labels.shape, generator=generator) < 0.2] = 255
    labels[0][labels[0] == 1] = 0
    return logits, labels


def in_plain_python(logits, labels, weights, *, squared, smooth, per_image, present_only):
    scores = logits.double().softmax(1)
    images, categories = logits.shape[:2]
    groups = [[b] for b in range(images)] if per_image else [list(range(images))]
    losses = []
    for group in groups:
        terms = []
        pixels = [
            (b, i, j)
            for b in group
            for i in range(labels.shape[1])
            for j in range(labels.shape[2])
            if labels[b, i, j] != 255
        ]
        for c in range(categories):
            overlap = predicted = true = 0.0
            for b, i, j in pixels:
                p, u = float(scores[b, c, i, j]), float(weights[b, i, j])
                g = float(labels[b, i, j] == c)
                overlap += u * p * g
                predicted += u * (p * p if squared else p)
                true += u * g
            if true > 0 or (not present_only and pixels):
                terms.append(1 - (2 * overlap + smooth) / (predicted + true + smooth))
        if terms:
            losses.append(sum(terms) / len(terms))
    return sum(losses) / len(losses) if losses else 0.0


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    categories=st.integers(1, 4),
    squared=st.booleans(),
    smooth=st.sampled_from([0.0, 1.0, 20.0]),
    per_image=st.booleans(),
    present_only=st.booleans(),
)
def test_equals_the_definition(seed, categories, squared, smooth, per_image, present_only):
    logits, labels = batch(seed, categories, 3, 3, 3)
    labels[2] = 255  # an image without truth
    weights = torch.rand(labels.shape, generator=torch.Generator().manual_seed(seed)) + 0.1
    options = {
        "squared": squared,
        "smooth": smooth,
        "per_image": per_image,
        "present_only": present_only,
    }
    expected = in_plain_python(logits, labels, weights, **options)
    ours = soft_dice(logits, labels, pixel_weights=weights, **options)
    assert float(ours) == pytest.approx(expected, rel=1e-5, abs=1e-6)


def test_perfect_is_zero_and_disjoint_is_one():
    labels = torch.tensor([[[0, 1], [1, 0]]])
    right = 100 * torch.nn.functional.one_hot(labels).movedim(-1, 1).float()
    assert float(soft_dice(right, labels)) == pytest.approx(0, abs=1e-6)
    assert float(soft_dice(-right, labels, smooth=0.0)) == pytest.approx(1, abs=1e-6)


def test_categories_that_no_pixel_has_do_not_shrink_the_gradient():
    # Two more categories with scores of zero: the same problem, so the same loss and gradient.
    logits, labels = batch(categories=3)
    labels[labels == 2] = 0
    logits = logits[:, :2].clone().requires_grad_()
    hopeless = torch.full_like(logits, -1000.0)
    small = soft_dice(logits, labels)
    large = soft_dice(torch.cat([logits, hopeless], 1), labels)
    torch.testing.assert_close(small, large)
    torch.testing.assert_close(
        torch.autograd.grad(small, logits), torch.autograd.grad(large, logits)
    )


@pytest.mark.parametrize("present_only", [True, False])
def test_scores_spent_on_an_absent_category_cost(present_only):
    logits, labels = batch()
    wrong = logits.clone()
    wrong[:, 3] += 3
    before = soft_dice(logits, labels, present_only=present_only)
    assert float(soft_dice(wrong, labels, present_only=present_only)) > float(before)


def test_negative_smoothing_is_refused():
    with pytest.raises(StructureError, match=r"smooth -1.0 is negative"):
        soft_dice(*batch(), smooth=-1.0)


def share_of_two(rank, world, per_image):
    logits, labels = batch()
    share = slice(0, 1) if rank == 0 else slice(1, 3)
    part = logits[share].clone().requires_grad_()
    loss = soft_dice(part, labels[share], per_image=per_image)
    loss.backward()
    return loss.detach(), part.grad


@pytest.mark.parametrize("per_image", [False, True])
def test_two_processes_have_the_loss_of_the_global_batch(per_image):
    logits, labels = batch()
    logits.requires_grad_()
    expected = soft_dice(logits, labels, per_image=per_image)
    (gradient,) = torch.autograd.grad(expected, logits)
    (one, first), (two, rest) = run_in_processes(share_of_two, per_image)
    assert torch.equal(one, two)
    torch.testing.assert_close(one, expected.detach())
    torch.testing.assert_close(torch.cat([first, rest]) / 2, gradient)


@pytest.mark.parametrize("label", [3, 17, -1])
def test_a_label_of_no_category_is_named(label):
    labels = torch.tensor([[[0, label, 2, 255]]])
    with pytest.raises(StructureError, match=rf"labels \[{label}\] for 3 categories"):
        soft_dice(torch.zeros(1, 3, 1, 4), labels)


@pytest.mark.parametrize("squared", [True, False])
def test_binary_is_one_side_of_two_categories(squared):
    logits, labels = batch()
    x, labels = logits[:, :1], torch.where(labels == 2, 1, labels)
    two = torch.cat([torch.zeros_like(x), x], 1)
    swapped = torch.where(labels == 255, 255, 1 - labels)
    either = (
        binary_dice(x, labels, squared=squared) + binary_dice(-x, swapped, squared=squared)
    ) / 2
    torch.testing.assert_close(soft_dice(two, labels, squared=squared), either)


def test_binary_false_alarms_without_any_foreground_cost():
    labels = torch.zeros(1, 3, 3, dtype=torch.int64)
    # P / (P + smooth), with P = 9 / 2
    found = binary_dice(torch.zeros(1, 1, 3, 3), labels, smooth=1.5)
    assert float(found) == pytest.approx(4.5 / 6)
    with pytest.raises(StructureError, match=r"binary_dice: smooth -1.0 is negative"):
        binary_dice(torch.zeros(1, 1, 3, 3), labels, smooth=-1.0)
