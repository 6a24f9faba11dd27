import pytest
import torch
from sklearn.metrics import jaccard_score

from segscape.losses.jaccard import binary_jaccard, jaccard
from segscape.structures import StructureError


def batch(seed=0, categories=4, images=3, height=5, width=6):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(images, categories, height, width, generator=generator)
    # The last category is absent from all images.
    labels = torch.randint(max(2, categories - 1), (images, height, width), generator=generator)
    labels[torch.rand(labels.shape, generator=generator) < 0.2] = 255
    return logits, labels


def one_by_one(scores, labels, smooth, categories, present_only):
    """The definition, pixel by pixel in doubles, for one group of images."""
    terms = []
    pixels = [tuple(place) for place in (labels != 255).nonzero().tolist()]
    for c in categories:
        p = [float(scores[b, c, i, j]) for b, i, j in pixels]
        g = [float(labels[b, i, j] == c) for b, i, j in pixels]
        both = sum(x * y for x, y in zip(p, g, strict=True))
        if sum(g) or not present_only:
            terms.append(1 - (both + smooth) / (sum(p) + sum(g) - both + smooth))
    return sum(terms) / len(terms)


@pytest.mark.parametrize("present_only", [True, False])
@pytest.mark.parametrize("per_image", [True, False])
@pytest.mark.parametrize("smooth", [0.0, 1.0])
def test_equals_the_definition(smooth, per_image, present_only):
    logits, labels = batch()
    scores = logits.double().softmax(1)
    groups = [[0], [1], [2]] if per_image else [[0, 1, 2]]
    expected = [one_by_one(scores[g], labels[g], smooth, range(4), present_only) for g in groups]
    found = jaccard(logits, labels, smooth=smooth, per_image=per_image, present_only=present_only)
    assert float(found) == pytest.approx(sum(expected) / len(expected), rel=1e-5)


def test_hard_predictions_have_the_jaccard_score_of_scikit_learn():
    logits, labels = batch()
    valid = labels != 255
    called = logits.argmax(1)
    hard = 1000 * torch.nn.functional.one_hot(called, 4).movedim(-1, 1).float()
    scores = jaccard_score(labels[valid], called[valid], labels=[0, 1, 2], average="macro")
    assert float(jaccard(hard, labels, smooth=0.0)) == pytest.approx(1 - scores, abs=1e-6)


@pytest.mark.parametrize("per_image", [True, False])
def test_binary_is_the_foreground_of_two_categories(per_image):
    logits, labels = batch(categories=1)
    scores = torch.cat([1 - logits.sigmoid(), logits.sigmoid()], 1)
    groups = [[0], [1], [2]] if per_image else [[0, 1, 2]]
    expected = [one_by_one(scores[g], labels[g], 1.0, [1], True) for g in groups]
    found = binary_jaccard(logits, labels, per_image=per_image)
    assert float(found) == pytest.approx(sum(expected) / len(expected), rel=1e-5)
    # Both sides have pixels, so two categories average the loss of either side.
    two = torch.cat([torch.zeros_like(logits), logits], 1)
    swapped = torch.where(labels == 255, 255, 1 - labels)
    either = (binary_jaccard(logits, labels) + binary_jaccard(-logits, swapped)) / 2
    torch.testing.assert_close(jaccard(two, labels), either)


def test_false_alarms_without_any_foreground_cost():
    labels = torch.zeros(1, 3, 3, dtype=torch.int64)
    calm, alarmed = torch.full((1, 1, 3, 3), -9.0), torch.full((1, 1, 3, 3), 2.0)
    assert float(binary_jaccard(calm, labels)) < 0.01 < 0.8 < float(binary_jaccard(alarmed, labels))


def test_nothing_true_and_nothing_called_agree():
    logits = torch.full((1, 1, 3, 3), -1000.0)
    labels = torch.zeros(1, 3, 3, dtype=torch.int64)
    assert float(binary_jaccard(logits, labels, smooth=0.0)) == 0


def test_negative_smoothing_is_refused():
    with pytest.raises(StructureError, match=r"jaccard: smooth -1.0 is negative"):
        jaccard(*batch(), smooth=-1.0)
    with pytest.raises(StructureError, match=r"binary_jaccard: smooth -1.0 is negative"):
        binary_jaccard(*batch(categories=1), smooth=-1.0)
