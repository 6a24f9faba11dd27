import itertools

import pytest
import torch

from segscape.losses.lovasz import lovasz_hinge, lovasz_softmax


def batch(categories=3, images=3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(images, categories, 4, 5, generator=generator)
    labels = torch.randint(max(2, categories - 1), (images, 4, 5), generator=generator)
    labels[torch.rand(labels.shape, generator=generator) < 0.2] = 255
    return logits, labels


def extension(errors, true):
    """Equation 8, with the Jaccard loss of sets of wrong pixels evaluated anew at each step."""

    def jaccard_loss(wrong):
        called = {i for i in range(len(true)) if true[i] != (i in wrong)}
        real = {i for i in range(len(true)) if true[i]}
        return 1 - len(called & real) / len(called | real) if called | real else 0.0

    order = sorted(range(len(errors)), key=lambda i: -errors[i])
    total, wrong, before = 0.0, set(), 0.0
    for i in order:
        wrong.add(i)
        after = jaccard_loss(wrong)
        total += errors[i] * (after - before)
        before = after
    return total


def one_by_one(logits, labels, present_only):
    valid = labels != 255
    scores = logits.double().softmax(1).movedim(1, -1)[valid]
    truth = labels[valid]
    terms = []
    for c in range(logits.shape[1]):
        true = (truth == c).tolist()
        if any(true) or not present_only:
            p = scores[:, c].tolist()
            errors = [1 - x if t else x for x, t in zip(p, true, strict=True)]
            terms.append(extension(errors, true))
    return sum(terms) / len(terms)


@pytest.mark.parametrize("per_image", [True, False])
@pytest.mark.parametrize("present_only", [True, False])
def test_equals_the_extension_of_the_jaccard_loss(per_image, present_only):
    logits, labels = batch()
    groups = [[0], [1], [2]] if per_image else [[0, 1, 2]]
    expected = [one_by_one(logits[g], labels[g], present_only) for g in groups]
    found = lovasz_softmax(logits, labels, per_image=per_image, present_only=present_only)
    assert float(found) == pytest.approx(sum(expected) / len(expected), rel=1e-5)


@pytest.mark.parametrize("per_image", [True, False])
def test_hinge_equals_the_extension(per_image):
    logits, labels = batch(1)
    labels[1][labels[1] == 1] = 0  # an image without foreground
    groups = [[0], [1], [2]] if per_image else [[0, 1, 2]]
    expected = []
    for group in groups:
        valid = labels[group] != 255
        true = (labels[group][valid] == 1).tolist()
        x = logits[group, 0][valid].double().tolist()
        errors = [max(0.0, 1 - v if t else 1 + v) for v, t in zip(x, true, strict=True)]
        expected.append(extension(errors, true))
    found = lovasz_hinge(logits, labels, per_image=per_image)
    assert float(found) == pytest.approx(sum(expected) / len(expected), rel=1e-5)


def test_hard_predictions_have_their_jaccard_loss():
    # An extension agrees with the set function on sets, here on all predictions of five pixels.
    labels = torch.tensor([[[1, 1, 0, 0, 1]]])
    for called in itertools.product([0, 1], repeat=5):
        scores = torch.tensor([called])[:, None]
        logits = 1000 * torch.nn.functional.one_hot(scores, 2).movedim(-1, 1).float()
        costs = []
        for c in (0, 1):
            both = ((scores == c) & (labels == c)).sum()
            costs.append(1 - float(both / ((scores == c) | (labels == c)).sum()))
        found = lovasz_softmax(logits, labels)
        assert float(found) == pytest.approx(sum(costs) / 2, abs=1e-6)


def test_weights_count_like_repeated_pixels():
    logits, labels = batch()
    weights = torch.randint(0, 4, labels.shape).float()
    times = weights.long().flatten()
    flat = logits.movedim(1, -1).reshape(-1, 3).repeat_interleave(times, 0)
    repeated = lovasz_softmax(
        flat.T[None, :, None], labels.flatten().repeat_interleave(times)[None, None]
    )
    torch.testing.assert_close(lovasz_softmax(logits, labels, pixel_weights=weights), repeated)


def test_void_images_do_not_shrink_the_others():
    logits, labels = batch()
    void = torch.full_like(labels[:1], 255)
    torch.testing.assert_close(
        lovasz_softmax(torch.cat([logits, logits[:1]]), torch.cat([labels, void]), per_image=True),
        lovasz_softmax(logits, labels, per_image=True),
    )
