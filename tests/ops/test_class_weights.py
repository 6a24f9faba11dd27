import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from tests.support.data_roots import data_root

from segscape.ops.class_weights import RULES, SEGNET_CAMVID_RELEASE, class_weights

COUNTS = torch.tensor([900, 90, 10, 0])


def test_inverse_lets_every_present_category_weigh_the_same():
    weights = class_weights(COUNTS, "inverse")
    share = weights * COUNTS
    assert share[:3].tolist() == pytest.approx([1000 / 3] * 3)
    assert weights[3] == 0


def test_enet_is_the_papers_formula():
    weights = class_weights(COUNTS, "enet")
    expected = [1 / math.log(1.02 + p) for p in (0.9, 0.09, 0.01)]
    assert weights[:3].tolist() == pytest.approx(expected)
    assert weights[3] == 0
    only = class_weights(torch.tensor([5, 0]), "enet")
    assert float(only[0]) == pytest.approx(1.4223, abs=1e-4)


def test_median_frequency_by_hand():
    # f = 0.5, 0.1, 0.02, absent; the median of the three is 0.1.
    images = torch.tensor([1800, 900, 500, 0])
    weights = class_weights(COUNTS, "median_frequency", image_counts=images)
    assert weights.tolist() == pytest.approx([0.2, 1.0, 5.0, 0.0])
    two = class_weights(
        torch.tensor([50, 10]), "median_frequency", image_counts=torch.tensor([100, 100])
    )
    assert two.tolist() == pytest.approx([0.6, 3.0])


def test_effective_number_is_equation_four():
    beta = 0.99
    raw = np.array([(1 - beta) / (1 - beta**n) for n in (900, 90, 10)])
    weights = class_weights(COUNTS, "effective_number", beta=beta)
    assert weights[:3].tolist() == pytest.approx((raw / raw.mean()).tolist(), rel=1e-5)
    flat = class_weights(COUNTS, "effective_number", beta=0.0)
    assert flat.tolist() == [1, 1, 1, 0]


@given(st.lists(st.integers(0, 10**12), min_size=1, max_size=30), st.sampled_from(RULES))
def test_rarer_never_weighs_less_and_absent_weighs_nothing(numbers, rule):
    counts = torch.tensor(numbers)
    total = counts.sum().expand(len(numbers)).clone()
    weights = class_weights(counts, rule, image_counts=total)
    assert bool(torch.isfinite(weights).all())
    assert bool(((weights > 0) == (counts > 0)).all())
    order = torch.argsort(counts[counts > 0], descending=True)
    along = weights[counts > 0][order].tolist()
    assert all(b >= a * (1 - 1e-6) for a, b in itertools.pairwise(along))


@pytest.mark.parametrize(
    ("counts", "rule", "options", "message"),
    [
        (COUNTS, "median", {}, "choose one of none, inverse"),
        (-COUNTS, "enet", {}, "negative"),
        (COUNTS, "median_frequency", {}, "needs image_counts"),
        (COUNTS, "median_frequency", {"image_counts": COUNTS // 2}, "at least the counts"),
        (COUNTS, "effective_number", {"beta": 1.0}, "below 1"),
    ],
)
def test_wrong_arguments_are_refused(counts, rule, options, message):
    with pytest.raises(ValueError, match=message):
        class_weights(counts, rule, **options)


@pytest.mark.data
def test_median_frequency_on_camvid_gives_the_known_numbers():
    masks = sorted((data_root("camvid") / "train" / "masks").glob("*.png"))
    counts, images = torch.zeros(11, dtype=torch.int64), torch.zeros(11, dtype=torch.int64)
    for path in masks:
        ids = np.asarray(Image.open(path))
        found = torch.from_numpy(np.bincount(ids.ravel(), minlength=12)[:11])
        counts += found
        images += (found > 0) * ids.size
    weights = class_weights(counts, "median_frequency", image_counts=images)
    # Worked out by an independent script, research sheet semantic.md sec. 3.3.
    expected = "0.2793 0.2017 4.7865 0.1490 1.0000 0.4217 3.8467 1.9736 0.7889 6.3747 8.8587"
    assert [f"{w:.4f}" for w in weights.tolist()] == expected.split()
    # SegNet's released weights are about these, but for signs, fences, pedestrians and bicyclists.
    ratios = torch.tensor(SEGNET_CAMVID_RELEASE) / weights
    assert float(ratios[6]) == pytest.approx(2.507, abs=1e-3)
    assert float(ratios[:6].sub(1).abs().max()) < 0.1
