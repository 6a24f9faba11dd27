"""What every loss promises."""

import inspect

import pytest
import torch

from segscape.losses import LOSSES

every_loss = pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES.keys())
with_and_without_weights = pytest.mark.parametrize("weighted", [False, True])


def batch(dtype=torch.float32, weighted=True):
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 3, 4, 5, generator=generator, dtype=dtype)
    labels = torch.randint(3, (2, 4, 5), generator=generator)
    labels[torch.rand(labels.shape, generator=generator) < 0.3] = 255
    weights = torch.rand(labels.shape, generator=generator, dtype=dtype) + 0.5
    return logits, labels, weights if weighted else None


def value_and_gradient(loss, logits, labels, pixel_weights, ignore_id=255):
    logits = logits.detach().clone().requires_grad_()
    value = loss(logits, labels, ignore_id=ignore_id, pixel_weights=pixel_weights)
    (gradient,) = torch.autograd.grad(value, logits)
    return value.detach(), gradient


@every_loss
def test_takes_what_models_hand_over_and_named_options(loss):
    parameters = list(inspect.signature(loss).parameters.values())
    assert [p.name for p in parameters[:4]] == ["logits", "labels", "ignore_id", "pixel_weights"]
    assert all(p.kind == p.KEYWORD_ONLY for p in parameters[2:])
    assert all(p.default is not p.empty for p in parameters[4:])


@every_loss
@with_and_without_weights
def test_gradient_is_the_derivative(loss, weighted):
    logits, labels, weights = batch(torch.float64, weighted)
    assert torch.autograd.gradcheck(
        lambda x: loss(x, labels, ignore_id=255, pixel_weights=weights), logits.requires_grad_()
    )


@every_loss
@with_and_without_weights
def test_ignored_pixels_change_neither_value_nor_gradient(loss, weighted):
    logits, labels, weights = batch(weighted=weighted)
    ignored = labels == 255
    value, gradient = value_and_gradient(loss, logits, labels, weights)
    assert not gradient.movedim(1, -1)[ignored].any()
    other = torch.where(ignored[:, None], torch.randn_like(logits) * 50, logits)
    if weights is not None:
        weights = torch.where(ignored, 1000, weights)
    value_of_other, gradient_of_other = value_and_gradient(loss, other, labels, weights)
    assert torch.equal(value, value_of_other)
    assert torch.equal(gradient, gradient_of_other)
    assert float(value) > 0
    assert gradient.any()


@every_loss
@with_and_without_weights
def test_nothing_to_learn_from_gives_zero_without_gradient(loss, weighted):
    logits, labels, weights = batch(weighted=weighted)
    value, gradient = value_and_gradient(loss, logits, torch.full_like(labels, 255), weights)
    assert float(value) == 0
    assert not gradient.any()
    if weights is not None:
        value, gradient = value_and_gradient(loss, logits, labels, torch.zeros_like(weights))
        assert float(value) == 0
        assert not gradient.any()


@every_loss
def test_inputs_are_never_written(loss):
    logits, labels, weights = batch()
    assert weights is not None
    before = logits.clone(), labels.clone(), weights.clone()
    value_and_gradient(loss, logits, labels, weights)
    for now, then in zip((logits, labels, weights), before, strict=True):
        assert torch.equal(now, then)


@every_loss
@with_and_without_weights
def test_memory_format_and_another_ignored_id_change_nothing(loss, weighted):
    logits, labels, weights = batch(weighted=weighted)
    value, gradient = value_and_gradient(loss, logits, labels, weights)
    last = logits.contiguous(memory_format=torch.channels_last)
    moved = torch.where(labels == 255, 3, labels)
    for found, found_gradient in (
        value_and_gradient(loss, last, labels, weights),
        value_and_gradient(loss, logits, moved, weights, ignore_id=3),
    ):
        torch.testing.assert_close(found, value)
        torch.testing.assert_close(found_gradient, gradient)


@every_loss
def test_extreme_logits_stay_finite(loss):
    logits, labels, _ = batch()
    value, gradient = value_and_gradient(loss, logits * 1e4, labels, None)
    assert torch.isfinite(value)
    assert torch.isfinite(gradient).all()


@every_loss
def test_gradient_descent_finds_the_labels(loss):
    logits, labels, _ = batch()
    logits = torch.zeros_like(logits).requires_grad_()
    optimizer = torch.optim.Adam([logits], lr=0.3)
    for _ in range(60):
        optimizer.zero_grad()
        loss(logits, labels, ignore_id=255, pixel_weights=None).backward()
        optimizer.step()
    valid = labels != 255
    assert torch.equal(logits.argmax(1)[valid], labels[valid])


@every_loss
@pytest.mark.parametrize("size", [(1, 1), (1, 7)])
def test_tiny_images_work(loss, size):
    logits = torch.randn(1, 2, *size)
    value, _ = value_and_gradient(loss, logits, torch.ones(1, *size, dtype=torch.int64), None)
    assert torch.isfinite(value)
