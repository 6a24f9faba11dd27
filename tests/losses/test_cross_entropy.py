import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.processes import run_in_processes

from segscape.losses.cross_entropy import binary_cross_entropy, cross_entropy
from segscape.structures import StructureError


def batch(seed=0, categories=5, images=4, height=6, width=7, ignored=0.2):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(images, categories, height, width, generator=generator)
    labels = torch.randint(categories, (images, height, width), generator=generator)
    labels[torch.rand(labels.shape, generator=generator) < ignored] = 255
    return logits, labels


def in_plain_python(logits, labels, pixel_weights, class_weights, smoothing):
    """The definition in the docstring, pixel by pixel in doubles."""
    total = weight = 0.0
    categories = logits.shape[1]
    for b, i, j in torch.cartesian_prod(*map(torch.arange, labels.shape)).tolist():
        y = int(labels[b, i, j])
        if y == 255:
            continue
        values = logits[b, :, i, j].tolist()
        partition = math.log(sum(math.exp(value) for value in values))
        costs = [partition - value for value in values]
        u, w = float(pixel_weights[b, i, j]), class_weights.tolist()
        even = sum(w[c] * costs[c] for c in range(categories)) / categories
        total += u * ((1 - smoothing) * w[y] * costs[y] + smoothing * even)
        weight += u * w[y]
    return total / weight


@settings(max_examples=20, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    categories=st.integers(1, 6),
    smoothing=st.sampled_from([0.0, 0.1, 0.7]),
)
def test_equals_the_definition(seed, categories, smoothing):
    logits, labels = batch(seed, categories, 2, 3, 4)
    generator = torch.Generator().manual_seed(seed + 1)
    pixel_weights = torch.rand(labels.shape, generator=generator) + 0.1
    class_weights = torch.rand(categories, generator=generator) + 0.1
    labels[0, 0, 0] = 0
    ours = cross_entropy(
        logits,
        labels,
        pixel_weights=pixel_weights,
        class_weights=class_weights,
        label_smoothing=smoothing,
    )
    expected = in_plain_python(logits, labels, pixel_weights, class_weights, smoothing)
    assert float(ours) == pytest.approx(expected, rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_equals_torch_with_its_gradient(smoothing, weighted, layout):
    logits, labels = batch()
    logits = logits.contiguous(memory_format=layout).requires_grad_()
    weights = torch.tensor([0.5, 1.0, 2.0, 0.0, 3.0]) if weighted else None
    expected = F.cross_entropy(
        logits, labels, weight=weights, ignore_index=255, label_smoothing=smoothing
    )
    ours = cross_entropy(logits, labels, class_weights=weights, label_smoothing=smoothing)
    torch.testing.assert_close(ours, expected)
    torch.testing.assert_close(
        torch.autograd.grad(ours, logits), torch.autograd.grad(expected, logits)
    )


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("weights", [None, torch.tensor([0.5, 1.0, 2.0, 0.1, 3.0])])
def test_the_quick_sum_and_the_general_one_agree(smoothing, weights):
    logits, labels = batch(3)
    ones = torch.ones(labels.shape)
    options = {"class_weights": weights, "label_smoothing": smoothing}
    torch.testing.assert_close(
        cross_entropy(logits, labels, **options),
        cross_entropy(logits, labels, pixel_weights=ones, **options),
    )


@pytest.mark.parametrize("ignore_id", [-100, 255, 65535])
def test_any_id_can_be_ignored(ignore_id):
    logits, labels = batch()
    weights = torch.tensor([0.5, 1.0, 2.0, 4.0, 3.0])
    ones = torch.ones(labels.shape)
    moved = torch.where(labels == 255, ignore_id, labels)
    expected = F.cross_entropy(logits, labels, weight=weights, ignore_index=255)
    for pixel_weights in (None, ones):
        ours = cross_entropy(
            logits, moved, ignore_id=ignore_id, class_weights=weights, pixel_weights=pixel_weights
        )
        torch.testing.assert_close(ours, expected)


def test_pixel_weights_count_like_repeated_pixels():
    logits, labels = batch(ignored=0)
    weights = torch.ones(labels.shape)
    weights[0] = 3
    repeated = cross_entropy(logits[[0, 0, 0, 1, 2, 3]], labels[[0, 0, 0, 1, 2, 3]])
    torch.testing.assert_close(cross_entropy(logits, labels, pixel_weights=weights), repeated)


def test_half_precision_is_summed_in_single():
    logits, labels = batch()
    half = logits.bfloat16()
    assert cross_entropy(half, labels).dtype == torch.float32
    torch.testing.assert_close(cross_entropy(half, labels), cross_entropy(half.float(), labels))


def test_wrong_input_is_refused():
    logits, labels = batch()
    with pytest.raises(StructureError, match=r"labels \[7\] for 5 categories"):
        cross_entropy(logits, torch.where(labels == 1, 7, labels))
    with pytest.raises(StructureError, match=r"label_smoothing 1.0 is not in \[0, 1\)"):
        cross_entropy(logits, labels, label_smoothing=1.0)


def share_of_two(rank, world):
    logits, labels = batch()
    share = slice(0, 1) if rank == 0 else slice(1, 4)
    weights = torch.tensor([0.5, 1.0, 2.0, 4.0, 3.0])
    part = logits[share].clone().requires_grad_()
    loss = cross_entropy(part, labels[share], class_weights=weights)
    loss.backward()
    return loss.detach(), part.grad


def test_two_processes_have_the_loss_of_the_global_batch():
    logits, labels = batch()
    logits.requires_grad_()
    weights = torch.tensor([0.5, 1.0, 2.0, 4.0, 3.0])
    expected = cross_entropy(logits, labels, class_weights=weights)
    (gradient,) = torch.autograd.grad(expected, logits)
    (one, first), (two, rest) = run_in_processes(share_of_two)
    assert torch.equal(one, two)
    torch.testing.assert_close(one, expected.detach())
    # Averaged over two processes, as DistributedDataParallel averages.
    torch.testing.assert_close(torch.cat([first, rest]) / 2, gradient)


def test_binary_is_the_form_for_two_categories():
    logits, labels = batch(categories=2)
    x = logits[:, :1]
    weights = torch.rand(labels.shape)
    two = torch.cat([torch.zeros_like(x), x], 1)
    torch.testing.assert_close(
        binary_cross_entropy(x, labels, pixel_weights=weights, foreground_weight=3.0),
        cross_entropy(two, labels, pixel_weights=weights, class_weights=torch.tensor([1.0, 3.0])),
    )


def test_binary_equals_torch():
    logits, labels = batch(categories=2)
    x, valid = logits[:, 0], labels != 255
    torch.testing.assert_close(
        binary_cross_entropy(x[:, None], labels),
        F.binary_cross_entropy_with_logits(x[valid], labels[valid].float()),
    )
    with pytest.raises(StructureError, match=r"foreground_weight -1.0 is negative"):
        binary_cross_entropy(x[:, None], labels, foreground_weight=-1.0)
