"""What every loss promises."""

import inspect
import subprocess
import sys
from functools import partial

import pytest
import torch
from tests.support.processes import run_in_processes

from segscape.losses import BINARY_LOSSES, LOSSES
from segscape.losses.ohem import ohem_cross_entropy
from segscape.structures import StructureError

# Rules that the defaults would leave untried on so few pixels.
CHOSEN = {
    "ohem of few": partial(ohem_cross_entropy, threshold=0.2, min_kept=3),
    "lovasz_softmax of images": partial(LOSSES["lovasz_softmax"], per_image=True),
    "lovasz_hinge of images": partial(BINARY_LOSSES["lovasz_hinge"], per_image=True),
    "focal tversky": partial(LOSSES["tversky"], gamma=4 / 3),
    "focal below 1": partial(LOSSES["focal"], gamma=0.5),
}
EVERY = LOSSES | BINARY_LOSSES | CHOSEN
every_loss = pytest.mark.parametrize("loss", EVERY.values(), ids=EVERY.keys())
with_and_without_weights = pytest.mark.parametrize("weighted", [False, True])


def channels_of(loss):
    function = loss.func if isinstance(loss, partial) else loss
    return 1 if function in BINARY_LOSSES.values() else 3


def batch(loss, dtype=torch.float32, weighted=True):
    generator = torch.Generator().manual_seed(0)
    channels = channels_of(loss)
    logits = torch.randn(2, channels, 4, 5, generator=generator, dtype=dtype)
    labels = torch.randint(max(2, channels), (2, 4, 5), generator=generator)
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
    logits, labels, weights = batch(loss, torch.float64, weighted)
    assert torch.autograd.gradcheck(
        lambda x: loss(x, labels, ignore_id=255, pixel_weights=weights), logits.requires_grad_()
    )


@every_loss
@with_and_without_weights
def test_ignored_pixels_change_neither_value_nor_gradient(loss, weighted):
    logits, labels, weights = batch(loss, weighted=weighted)
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
    logits, labels, weights = batch(loss, weighted=weighted)
    value, gradient = value_and_gradient(loss, logits, torch.full_like(labels, 255), weights)
    assert float(value) == 0
    assert not gradient.any()
    if weights is not None:
        value, gradient = value_and_gradient(loss, logits, labels, torch.zeros_like(weights))
        assert float(value) == 0
        assert not gradient.any()


@every_loss
def test_inputs_are_never_written(loss):
    logits, labels, weights = batch(loss)
    assert weights is not None
    before = logits.clone(), labels.clone(), weights.clone()
    value_and_gradient(loss, logits, labels, weights)
    for now, then in zip((logits, labels, weights), before, strict=True):
        assert torch.equal(now, then)


@every_loss
@with_and_without_weights
def test_memory_format_and_another_ignored_id_change_nothing(loss, weighted):
    logits, labels, weights = batch(loss, weighted=weighted)
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
    logits, labels, _ = batch(loss)
    value, gradient = value_and_gradient(loss, logits * 1e4, labels, None)
    assert torch.isfinite(value)
    assert torch.isfinite(gradient).all()


@every_loss
def test_gradient_descent_finds_the_labels(loss):
    logits, labels, _ = batch(loss)
    logits = torch.zeros_like(logits).requires_grad_()
    optimizer = torch.optim.Adam([logits], lr=0.3)
    for _ in range(60):
        optimizer.zero_grad()
        loss(logits, labels, ignore_id=255, pixel_weights=None).backward()
        optimizer.step()
    valid = labels != 255
    found = logits.argmax(1) if logits.shape[1] > 1 else (logits[:, 0] > 0).long()
    assert torch.equal(found[valid], labels[valid])


@every_loss
@pytest.mark.parametrize("size", [(1, 1), (1, 7)])
def test_tiny_images_work(loss, size):
    logits = torch.randn(1, channels_of(loss), *size)
    value, _ = value_and_gradient(loss, logits, torch.ones(1, *size, dtype=torch.int64), None)
    assert torch.isfinite(value)


@every_loss
def test_half_precision_is_summed_in_single(loss):
    logits, labels, _ = batch(loss)
    half = loss(logits.bfloat16(), labels, ignore_id=255, pixel_weights=None)
    assert half.dtype == torch.float32
    rounded = loss(logits.bfloat16().float(), labels, ignore_id=255, pixel_weights=None)
    torch.testing.assert_close(half, rounded)


@every_loss
def test_weights_count_like_repeated_pixels(loss):
    logits, labels, _ = batch(loss)
    # Side by side instead of on top of each other where places matter.
    twice = torch.full(labels.shape, 2.0)
    value = loss(logits, labels, ignore_id=255, pixel_weights=twice)
    repeated = loss(logits[[0, 1, 0, 1]], labels[[0, 1, 0, 1]], ignore_id=255, pixel_weights=None)
    torch.testing.assert_close(value, repeated)


@every_loss
@pytest.mark.parametrize("label", [3, -1])
def test_a_label_of_no_category_is_named(loss, label):
    logits, labels, _ = batch(loss)
    labels[0, 0, 0] = label
    with pytest.raises(StructureError, match=rf"labels \[{label}\] for \d categories"):
        loss(logits, labels, ignore_id=255, pixel_weights=None)


@every_loss
def test_scores_that_are_no_numbers_are_no_loss_of_zero(loss):
    logits, labels, _ = batch(loss)
    value = loss(torch.full_like(logits, torch.nan), labels, ignore_id=255, pixel_weights=None)
    assert torch.isnan(value)


# Outside of the tests no shape is checked by its annotation: as a user, in a process of its own.
OF_ANOTHER_SIZE = """
import torch
from segscape.losses import BINARY_LOSSES, LOSSES
from segscape.structures import StructureError

for name, loss in (LOSSES | BINARY_LOSSES).items():
    logits = torch.zeros(2, 1 if name in BINARY_LOSSES else 3, 3, 5)
    for labels in (torch.zeros(2, 2, 5).long(), torch.zeros(2, 3, 6).long()):
        try:
            loss(logits, labels)
        except StructureError as error:
            assert "resize one to the other" in str(error), error
        else:
            raise SystemExit(f"{name} took labels of {tuple(labels.shape)}")
"""


def test_labels_of_another_size_are_refused():
    done = subprocess.run(
        [sys.executable, "-c", OF_ANOTHER_SIZE], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def share_of_two(rank, world, name):
    loss = EVERY[name]
    logits, labels, weights = batch(loss)
    assert weights is not None
    share = slice(0, 1) if rank == 0 else slice(1, 2)
    part = logits[share].clone().requires_grad_()
    value = loss(part, labels[share], ignore_id=255, pixel_weights=weights[share])
    value.backward()
    return value.detach(), part.grad


@pytest.mark.parametrize("name", EVERY)
def test_two_processes_have_the_loss_of_the_global_batch(name):
    logits, labels, weights = batch(EVERY[name])
    value, gradient = value_and_gradient(EVERY[name], logits, labels, weights)
    (one, first), (two, rest) = run_in_processes(share_of_two, name)
    assert torch.equal(one, two)
    torch.testing.assert_close(one, value)
    # Averaged over two processes, as DistributedDataParallel averages.
    torch.testing.assert_close(torch.cat([first, rest]) / 2, gradient)
