import pytest
import torch

from segscape.losses.boundary import boundary, signed_distances


def batch(seed=0):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(2, 4, 6, 7, generator=generator)
    labels = torch.randint(3, (2, 6, 7), generator=generator)  # the fourth category is absent
    labels[torch.rand(labels.shape, generator=generator) < 0.2] = 255
    return logits, labels


def distances_one_by_one(labels, categories):
    phi = torch.zeros(categories, *labels.shape)
    pixels = (labels != 255).nonzero().tolist()
    for c in range(categories):
        own = [(i, j) for i, j in pixels if labels[i, j] == c]
        rest = [(i, j) for i, j in pixels if labels[i, j] != c]
        if not own or not rest:
            continue
        for i, j in pixels:
            inside = labels[i, j] == c
            gaps = [((i - k) ** 2 + (j - m) ** 2) ** 0.5 for k, m in (rest if inside else own)]
            phi[c, i, j] = (0.5 - min(gaps)) if inside else (min(gaps) - 0.5)
    return phi


@pytest.mark.parametrize("seed", range(5))
def test_distances_equal_a_search_over_all_pixels(seed):
    _, labels = batch(seed)
    torch.testing.assert_close(signed_distances(labels[0], 4), distances_one_by_one(labels[0], 4))


def test_equals_the_definition():
    logits, labels = batch()
    weights = torch.rand(labels.shape)
    p = logits.softmax(1)
    total = weight = 0.0
    for b in range(2):
        phi = distances_one_by_one(labels[b], 4)
        for i, j in (labels[b] != 255).nonzero().tolist():
            y, u = int(labels[b, i, j]), float(weights[b, i, j])
            total += u * float((phi[:, i, j] * p[b, :, i, j]).sum() - phi[y, i, j])
            weight += u
    found = boundary(logits, labels, pixel_weights=weights)
    assert float(found) == pytest.approx(total / weight, rel=1e-4)


def test_a_shifted_border_costs_its_distance():
    # Twelve columns, the border moved by three: columns 0.5, 1.5 and 2.5 off, on either side.
    labels = (torch.arange(12) >= 6).long().expand(1, 4, 12).contiguous()
    called = (torch.arange(12) >= 3).long().expand(1, 4, 12)
    logits = 100 * torch.nn.functional.one_hot(called, 2).movedim(-1, 1).float()
    assert float(boundary(logits, labels)) == pytest.approx(2 * (0.5 + 1.5 + 2.5) / 12)


def test_scores_on_an_absent_category_cost_everywhere():
    _, labels = batch()
    truth = torch.where(labels == 255, 0, labels)
    right = 100 * torch.nn.functional.one_hot(truth, 4).movedim(-1, 1).float()
    assert float(boundary(right, labels)) == pytest.approx(0, abs=1e-6)
    for b, i, j in (labels != 255).nonzero().tolist():
        wrong = right.clone()
        wrong[b, 3, i, j] = 200
        assert float(boundary(wrong, labels)) > 0.4 / labels.numel()


def test_an_image_of_one_category_teaches_nothing():
    logits, labels = batch()
    logits = logits.requires_grad_()
    value = boundary(logits, torch.zeros_like(labels))
    (gradient,) = torch.autograd.grad(value, logits)
    assert float(value.detach()) == 0
    assert not gradient.any()
