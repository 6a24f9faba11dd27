import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from skimage.metrics import adapted_rand_error, variation_of_information

from segscape.metrics.electron_microscopy import CellPartition, cell_scores, overlaps
from segscape.structures import StructureError, Taxonomy

MEMBRANES = Taxonomy.from_names(["membrane", "cell"])


def masks(seed, size=(24, 30)):
    generator = np.random.default_rng(seed)
    noise = ndimage.gaussian_filter(generator.random(size), 2)
    other = noise + 0.3 * ndimage.gaussian_filter(generator.random(size), 2)
    return other > np.quantile(other, 0.35), noise > np.quantile(noise, 0.35)


def labels(mask):
    return torch.from_numpy(mask.astype(np.int64))


def one_by_one(called, true):
    """The paper's sums over all cells, every called border pixel being a cell of its own."""
    called_ids, number = ndimage.label(called)
    true_ids, _ = ndimage.label(true)
    border = called_ids == 0
    called_ids[border] = number + 1 + np.arange(border.sum())
    s, t = called_ids[true], true_ids[true]
    n = len(t)
    p = {}
    for pair in zip(s.tolist(), t.tolist(), strict=True):
        p[pair] = p.get(pair, 0) + 1 / n
    p_s, p_t = {}, {}
    for (i, j), share in p.items():
        p_s[i] = p_s.get(i, 0) + share
        p_t[j] = p_t.get(j, 0) + share
    both = sum(v**2 for v in p.values())
    rand = both / (0.5 * sum(v**2 for v in p_s.values()) + 0.5 * sum(v**2 for v in p_t.values()))
    shared = sum(v * math.log(v / (p_s[i] * p_t[j])) for (i, j), v in p.items())
    entropies = [-sum(v * math.log(v) for v in part.values()) for part in (p_s, p_t)]
    return rand, shared / (0.5 * sum(entropies))


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_equals_the_paper_cell_by_cell(seed):
    called, true = masks(seed)
    found = cell_scores(overlaps(called, true))
    rand, information = one_by_one(called, true)
    assert found.rand == pytest.approx(rand)
    assert found.information == pytest.approx(information)
    mean = 2 / (1 / found.rand_split + 1 / found.rand_merge)
    assert found.rand == pytest.approx(mean)
    product = found.information_split * found.information_merge
    total = found.information_split + found.information_merge
    assert found.information == pytest.approx(2 * product / total if total else 0)


def test_equals_scikit_image_where_no_cell_pixel_is_called_border():
    # Its zeros would be one segment instead of single pixels; it also counts pairs without
    # repetition, a difference of one over the size of a cell.
    _, true = masks(3, (200, 240))
    cells, _ = ndimage.label(true)
    lines = np.ones(true.shape, bool)
    lines[::60], lines[:, ::50] = False, False
    called = true & lines
    inside = overlaps(called, true & called)
    ours = cell_scores(inside)
    called_ids, true_ids = ndimage.label(called)[0], ndimage.label(true & called)[0]
    assert called_ids.max() > 1
    assert cells.max() > 1
    error, precision, recall = adapted_rand_error(true_ids, called_ids, ignore_labels=(0,))
    assert ours.rand == pytest.approx(1 - error, abs=1e-3)
    assert ours.rand_merge == pytest.approx(precision, abs=1e-3)
    assert ours.rand_split == pytest.approx(recall, abs=1e-3)


def test_information_equals_scikit_images_variation():
    generator = np.random.default_rng(0)
    pairs = np.stack([generator.integers(1, 5, 400), generator.integers(1, 4, 400)])
    unique, counts = np.unique(pairs, axis=1, return_counts=True)
    found = cell_scores(np.concatenate([unique, counts[None]]).T.astype(np.int64))
    rest = variation_of_information(pairs[0], pairs[1])  # H(S | T), H(T | S)

    def entropy(ids):
        shares = np.bincount(ids) / len(ids)
        return -(shares[shares > 0] * np.log2(shares[shares > 0])).sum()

    assert found.information_merge == pytest.approx(1 - rest[1] / entropy(pairs[0]))
    assert found.information_split == pytest.approx(1 - rest[0] / entropy(pairs[1]))


def test_splits_and_mergers_by_hand():
    true = np.array([[1, 1, 1, 1, 0, 1, 1, 1, 1]], bool)
    whole = np.ones_like(true)  # one called cell over both: merged
    found = cell_scores(overlaps(whole, true))
    assert (found.rand_split, found.rand_merge) == (1.0, 0.5)
    assert (found.information_split, found.information_merge) == (1.0, 0.0)
    split = np.array([[1, 1, 0, 1, 0, 1, 1, 1, 1]], bool)  # 2, one border pixel, 1
    found = cell_scores(overlaps(split, true))
    assert found.rand_split == pytest.approx((4 + 1 + 1 + 16) / 32)
    assert found.rand_merge == 1.0


def test_thinning_makes_the_width_of_borders_not_matter():
    true = np.ones((9, 21), bool)
    true[:, 10] = False
    for gap in (0, 1, 2):
        called = np.ones_like(true)
        called[:, 10 - gap : 11 + gap] = False
        thick = CellPartition(MEMBRANES, foreground=1, thin=False)
        thin = CellPartition(MEMBRANES, foreground=1)
        for metric in (thick, thin):
            metric.update(labels(called), labels(true), "a")
        assert thin.compute().rand == 1.0
        assert (thick.compute().rand == 1.0) == (gap == 0)


def test_the_same_is_perfect_and_void_is_not_judged():
    _, true = masks(0)
    metric = CellPartition(MEMBRANES, foreground=1)
    metric.update(labels(true), labels(true), "a")
    assert set(vars(metric.compute()).values()) == {1.0}
    judged = labels(np.array([[1, 1, 0, 1, 1]], bool))
    judged[0, 3:] = 255
    metric = CellPartition(MEMBRANES, foreground=1)
    metric.update(torch.tensor([[1, 1, 0, 0, 1]]), judged, "a")
    assert metric.compute().rand == 1.0


def test_images_are_averaged_and_may_come_in_any_order():
    whole, part, rest = (CellPartition(MEMBRANES, foreground=1) for _ in range(3))
    for seed in range(3):
        called, true = masks(seed)
        whole.update(labels(called), labels(true), str(seed))
        (part if seed == 2 else rest).update(labels(called), labels(true), str(seed))
    part.merge(rest)
    assert part.compute() == whole.compute()
    each = [scores.rand for scores in whole.per_image().values()]
    assert whole.compute().rand == pytest.approx(sum(each) / 3)
    empty = torch.zeros(4, 4, dtype=torch.int64)
    whole.update(empty, empty, "no cell")
    assert whole.compute() == part.compute()


def test_wrong_input_is_refused():
    with pytest.raises(StructureError, match=r"foreground 2 is no category: give 0\.\.1"):
        CellPartition(MEMBRANES, foreground=2)
    metric = CellPartition(MEMBRANES, foreground=1)
    with pytest.raises(StructureError, match="no image was counted"):
        metric.compute()
    with pytest.raises(StructureError, match="other options cannot be merged"):
        metric.merge(CellPartition(MEMBRANES, foreground=0))
