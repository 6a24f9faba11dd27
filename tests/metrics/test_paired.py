import itertools
import math

import numpy as np
import pytest
import torch
from scipy import stats
from tests.support.disturbed_labels import TAXONOMY, image

from segscape.metrics.confusion import ConfusionMatrix
from segscape.metrics.paired import compare
from segscape.structures import StructureError, Taxonomy


def scores(worsened=0.0, images=6, skip=(), taxonomy=TAXONOMY, change_truth=None):
    matrix = ConfusionMatrix(taxonomy)
    for seed in range(images):
        if seed in skip:
            continue
        called, truth = image(seed, grain=5)
        generator = torch.Generator().manual_seed(99 + seed)
        wrong = torch.rand(called.shape, generator=generator) < worsened
        called[wrong] = (called[wrong] + 1) % 3
        if seed == change_truth:
            truth[0, 0] = (truth[0, 0].where(truth[0, 0] != 255, 0) + 1) % 3
        matrix.update(called, truth, str(seed))
    return matrix.compute()


def test_numbers_are_those_of_the_runs_and_of_scipy():
    good, bad = scores(), scores(worsened=0.3)
    found = compare(bad, good, samples=500)
    assert found.miou == (bad.miou, good.miou)
    assert found.difference == good.miou - bad.miou
    each = {key: good.per_image()[key].miou - bad.per_image()[key].miou for key in good.per_image()}
    assert found.image_differences == pytest.approx(each)
    assert found.mean_image_difference == pytest.approx(np.mean(list(each.values())))
    assert found.wilcoxon == stats.wilcoxon(list(each.values())).pvalue
    assert found.interval.low <= found.difference <= found.interval.high
    assert found.interval.low > 0


def test_sign_flips_are_exact_for_few_images():
    good, bad = scores(), scores(worsened=0.02)
    found = compare(bad, good, samples=64)
    d = np.array(list(found.image_differences.values()))
    means = [abs(np.dot(signs, d)) for signs in itertools.product([-1, 1], repeat=len(d))]
    expected = np.mean([mean >= abs(d.sum()) * (1 - 1e-12) for mean in means])
    assert found.sign_flips == pytest.approx(expected)
    drawn = compare(bad, good, samples=63).sign_flips
    assert drawn == pytest.approx(expected, abs=0.2)


def test_pairing_makes_the_interval_narrower_than_the_runs_own():
    good, bad = scores(images=20), scores(worsened=0.01, images=20)
    found = compare(bad, good, samples=2000).interval
    alone = good.bootstrap(2000).miou
    assert found.high - found.low < alone.high - alone.low


def test_a_run_equals_itself():
    found = compare(scores(), scores(), samples=100)
    assert found.difference == 0
    assert (found.interval.low, found.interval.high) == (0, 0)
    assert found.wilcoxon == found.sign_flips == 1


def test_the_interval_holds_the_paired_draws():
    good, bad = scores(), scores(worsened=0.2)
    generator = np.random.default_rng(5)
    draws = generator.integers(6, size=(30, 6))
    found = compare(bad, good, samples=30, seed=5, level=0.8)
    differences = []
    for drawn in draws:
        both = []
        for run in (bad, good):
            counts = run.image_counts
            hits, true, predicted = (
                part[drawn].sum(0) for part in (counts.hits, counts.true, counts.predicted)
            )
            both.append(np.nanmean(hits / (true + predicted - hits)))
        differences.append(both[1] - both[0])
    low, high = np.quantile(differences, [0.1, 0.9])
    assert (found.interval.low, found.interval.high) == pytest.approx((low, high))


def test_void_images_are_left_out_of_the_tests():
    matrices = []
    for worse in (0, 1):
        matrix = ConfusionMatrix(TAXONOMY)
        for seed in range(3):
            called, truth = image(seed)
            matrix.update(called if not worse else (called + 1) % 3, truth, str(seed))
        void = torch.full((4, 4), 255)
        matrix.update(torch.zeros(4, 4, dtype=torch.int64), void, "void")
        matrices.append(matrix.compute())
    found = compare(*matrices, samples=50)
    assert list(found.image_differences) == ["0", "1", "2"]
    assert not math.isnan(found.interval.low)


def test_runs_on_other_data_are_refused():
    with pytest.raises(StructureError, match="1 images were judged in one run only, as '2'"):
        compare(scores(), scores(skip=(2,)))
    with pytest.raises(StructureError, match="the truth of image '4' differs"):
        compare(scores(), scores(change_truth=4))
    with pytest.raises(StructureError, match="3 categories in one run, 4 in the other"):
        compare(scores(), scores(taxonomy=Taxonomy.from_names(list("abcd"))))
    with pytest.raises(StructureError, match=r"samples=0, level=0.95"):
        compare(scores(), scores(), samples=0)
