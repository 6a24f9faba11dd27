import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import maximum_bipartite_matching
from tests.support.disturbed_labels import TAXONOMY, image

from segscape.metrics.boundary_f1 import BoundaryF1, boundary_counts
from segscape.structures import LabelMap, StructureError, Taxonomy


def edges_one_by_one(labels):
    """Boundary pixels by category; 255 bounds nothing."""
    height, width = labels.shape
    found = {}
    for i in range(height):
        for j in range(width):
            around = [(i - 1, j), (i + 1, j), (i, j - 1), (i, j + 1)]
            inside = [labels[k, m] for k, m in around if 0 <= k < height and 0 <= m < width]
            own = labels[i, j]
            if own != 255 and any(other not in (own, 255) for other in inside):
                found.setdefault(int(own), []).append((i, j))
    return found


def one_by_one(called, truth, radius, matching):
    called = called.clone()
    called[truth == 255] = 255
    called_edges, true_edges = edges_one_by_one(called), edges_one_by_one(truth)
    scores = {}
    for c in set(truth.unique().tolist()) - {255}:
        ours, theirs = called_edges.get(c, []), true_edges.get(c, [])
        if not ours and not theirs:
            continue
        near = np.array([[math.dist(p, t) <= radius for t in theirs] for p in ours])
        near = near.reshape(len(ours), len(theirs))
        if matching == "nearest":
            hits, met = near.any(1).sum(), near.any(0).sum()
        else:
            hits = met = (
                (maximum_bipartite_matching(csr_matrix(near)) >= 0).sum() if near.size else 0
            )
        precision = hits / len(ours) if ours else 0
        recall = met / len(theirs) if theirs else 0
        both = precision + recall
        scores[c] = 2 * precision * recall / both if both else 0.0
    return scores


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    radius=st.sampled_from([0.0, 1.0, 1.5, 3.0]),
    matching=st.sampled_from(["one_to_one", "nearest"]),
    grain=st.sampled_from([1, 3, 6]),
)
def test_equals_the_definition_with_scipys_matching(seed, radius, matching, grain):
    called, truth = image(seed, grain=grain)
    expected = one_by_one(called, truth, radius, matching)
    metric = BoundaryF1(TAXONOMY, tolerance=radius / math.hypot(14, 17) + 1e-12, matching=matching)
    metric.update(called, truth, "a")
    found = metric.compute()
    for c in range(3):
        assert found.per_class[c] == pytest.approx(expected.get(c, math.nan), nan_ok=True)
    mean = sum(expected.values()) / len(expected) if expected else math.nan
    assert found.score == pytest.approx(mean, nan_ok=True)


def test_means_run_over_categories_then_images():
    images = [image(1), image(2), image(3, size=(20, 9))]
    metric = BoundaryF1(TAXONOMY, tolerance=0.05)
    each = []
    for i, (called, truth) in enumerate(images):
        metric.update(called, truth, str(i))
        scores = one_by_one(called, truth, 0.05 * math.hypot(*truth.shape), "one_to_one")
        each.append(sum(scores.values()) / len(scores))
    found = metric.compute()
    assert list(found.per_image.values()) == pytest.approx(each)
    assert found.score == pytest.approx(sum(each) / 3)


def test_a_doubled_contour_does_not_count_twice():
    # One true edge column; the prediction draws three thin stripes beside it.
    truth = torch.zeros(8, 9, dtype=torch.int64)
    truth[:, 4:] = 1
    called = truth.clone()
    called[:, 5] = 0
    tolerance = 2.0 / math.hypot(8, 9)
    scores = {}
    for matching in ("one_to_one", "nearest"):
        metric = BoundaryF1(TAXONOMY, tolerance=tolerance, matching=matching)
        metric.update(called, truth, "a")
        scores[matching] = metric.compute().per_class[1]
    # Of category 1, columns 4 and 6 are called, column 4 is true, and both are near it.
    assert scores["nearest"] == pytest.approx(1.0)
    assert scores["one_to_one"] == pytest.approx(2 * 0.5 * 1 / 1.5)


def test_the_published_tolerance_is_that_of_the_diagonal():
    # 360 x 480 has a diagonal of 600: 4.5 pixels.
    truth = torch.zeros(360, 480, dtype=torch.uint8)
    truth[:, 200:] = 1
    for shift, expected in ((4, 1.0), (5, 0.0)):
        called = torch.zeros_like(truth)
        called[:, 200 + shift :] = 1
        metric = BoundaryF1(TAXONOMY)
        metric.update(called, truth, "a")
        assert metric.compute().score == expected


def test_what_is_void_is_no_boundary_and_hides_what_was_called_there():
    truth = torch.tensor([[0, 0, 255, 255, 1, 1]])
    metric = BoundaryF1(TAXONOMY)
    metric.update(torch.tensor([[0, 0, 2, 0, 1, 1]]), truth, "a")
    assert math.isnan(metric.compute().score)
    labels = np.array([[0, -1, 1]], np.int32)
    assert boundary_counts(labels, labels, 2, 1.0, "nearest")[:4].sum() == 0


def test_categories_without_boundary():
    full = torch.zeros(4, 4, dtype=torch.int64)
    split = full.clone()
    split[:, 2:] = 1
    metric = BoundaryF1(TAXONOMY)
    metric.update(full, full, "both are one category: nothing to judge")
    metric.update(split, full, "an invented boundary")
    found = metric.compute()
    assert found.per_image["an invented boundary"] == 0
    assert math.isnan(found.per_image["both are one category: nothing to judge"])
    assert found.score == 0
    assert math.isnan(found.per_class[1])  # true nowhere


def test_pixels_called_nothing_miss_their_boundary():
    truth = torch.tensor([[0, 0, 0, 1, 1, 1]])
    metric = BoundaryF1(TAXONOMY)
    metric.update(torch.tensor([[0, 0, 0, 255, 1, 1]]), truth, "a")
    found = metric.compute()
    assert found.per_class[0] == 1.0  # category 0 still ends where it should
    assert found.per_class[1] == 0.0


def test_order_and_sharing_change_nothing():
    images = {str(i): image(i) for i in range(4)}
    whole, first, second = (BoundaryF1(TAXONOMY) for _ in range(3))
    for key, (called, truth) in images.items():
        whole.update(called, truth, key)
    for key in ("3", "1"):
        first.update(*images[key], key)
    for key in ("2", "0", "1"):
        second.update(*images[key], key)
    first.merge(second)
    assert first.compute() == whole.compute()


def test_wrong_input_is_refused():
    called, truth = image(0)
    metric = BoundaryF1(TAXONOMY)
    with pytest.raises(StructureError, match="no image was counted"):
        metric.compute()
    with pytest.raises(StructureError, match="image 'a': the prediction has 13 x 17 pixels"):
        metric.update(called[:-1], truth, "a")
    with pytest.raises(StructureError, match=r"the target holds the ids \[3\]"):
        metric.update(called, torch.where(truth == 1, 3, truth), "a")
    with pytest.raises(StructureError, match=r"the prediction holds the ids \[-4\]"):
        metric.update(torch.where(called == 1, -4, called), truth, "a")
    other = Taxonomy.from_names(["x", "y", "z"])
    with pytest.raises(StructureError, match="got the categories x, y, z"):
        metric.update(LabelMap(called, other), truth, "a")
    metric.update(called, truth, "a")
    with pytest.raises(StructureError, match="'a' was counted before with another result"):
        metric.update(truth.clamp(max=2), truth, "a")
    with pytest.raises(StructureError, match="other options cannot be merged"):
        metric.merge(BoundaryF1(TAXONOMY, tolerance=0.1))
    with pytest.raises(StructureError, match=r"tolerance -1.0 is negative"):
        BoundaryF1(TAXONOMY, tolerance=-1.0)
