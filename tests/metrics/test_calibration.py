import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from segscape.metrics.calibration import CalibrationHistogram
from segscape.structures import LabelMap, StructureError, Taxonomy


def image(seed=0, categories=4, size=(11, 13)):
    generator = torch.Generator().manual_seed(seed)
    scores = (2 * torch.randn(categories, *size, generator=generator)).softmax(0)
    target = torch.randint(categories, size, generator=generator)
    target[torch.rand(size, generator=generator) < 0.2] = 255
    return scores, target


def one_by_one(images, bins):
    """Equations 2 and 3 of the paper, pixel by pixel."""
    held = [[] for _ in range(bins)]
    for scores, target in images:
        for i in range(target.shape[0]):
            for j in range(target.shape[1]):
                if target[i, j] == 255:
                    continue
                confidence = float(scores[:, i, j].max())
                right = int(scores[:, i, j].argmax()) == int(target[i, j])
                number = next(m for m in range(bins) if confidence <= (m + 1) / bins)
                held[number].append((confidence, right))
    everything = sum(len(one) for one in held)
    error = sum(
        len(one) / everything * abs(sum(r for _, r in one) - sum(c for c, _ in one)) / len(one)
        for one in held
        if one
    )
    return error, [len(one) for one in held]


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6), bins=st.integers(1, 20))
def test_equals_the_paper_pixel_by_pixel(seed, bins):
    images = [image(seed), image(seed + 1)]
    histogram = CalibrationHistogram(bins=bins)
    for scores, target in images:
        histogram.update(scores, target)
    found = histogram.compute()
    error, counts = one_by_one(images, bins)
    assert found.expected_calibration_error == pytest.approx(error, abs=1e-6)
    assert [one.pixels for one in found.table] == counts
    gaps = [abs(one.accuracy - one.confidence) for one in found.table if one.pixels]
    assert found.maximum_calibration_error == pytest.approx(max(gaps))
    assert 0 <= found.expected_calibration_error <= found.maximum_calibration_error + 1e-12 <= 1


def test_scores_that_are_probabilities_have_no_error_and_sharpened_ones_do():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(3, 200, 300, generator=generator)
    scores = logits.softmax(0)
    drawn = torch.multinomial(scores.flatten(1).T, 1, generator=generator).reshape(200, 300)
    honest, boastful = CalibrationHistogram(), CalibrationHistogram()
    honest.update(scores, drawn)
    boastful.update((3 * logits).softmax(0), drawn)
    assert honest.compute().expected_calibration_error < 0.01
    assert boastful.compute().expected_calibration_error > 0.2


def test_merging_in_any_order_gives_the_same_bits():
    images = [image(seed) for seed in range(4)]
    whole = CalibrationHistogram()
    for scores, target in images:
        whole.update(scores, target)
    parts = [CalibrationHistogram() for _ in images]
    for part, (scores, target) in zip(parts, images, strict=True):
        part.update(scores, target)
    merged = CalibrationHistogram()
    for part in reversed(parts):
        before = part.pixels.clone()
        merged.merge(part)
        assert torch.equal(part.pixels, before)
    assert repr(merged.compute()) == repr(whole.compute())


def test_label_maps_bring_their_ignored_id():
    scores, target = image()
    plain, mapped = CalibrationHistogram(), CalibrationHistogram()
    plain.update(scores, target)
    other = Taxonomy.from_names(list("wxyz"), ignore_id=99)
    mapped.update(scores, LabelMap(torch.where(target == 255, 99, target), other))
    assert repr(plain.compute()) == repr(mapped.compute())


def test_bounds_belong_to_the_bin_below():
    histogram = CalibrationHistogram(bins=4)
    scores = torch.tensor([[[1.0, 0.5, 0.75]], [[0.0, 0.5, 0.25]]])
    histogram.update(scores, torch.tensor([[0, 0, 0]]))
    assert [one.pixels for one in histogram.compute().table] == [0, 1, 1, 1]


def test_nothing_judged_is_nan():
    histogram = CalibrationHistogram()
    scores, target = image()
    histogram.update(scores, torch.full_like(target, 255))
    found = histogram.compute()
    assert math.isnan(found.expected_calibration_error)
    assert math.isnan(found.maximum_calibration_error)


def test_wrong_input_is_refused():
    scores, target = image()
    with pytest.raises(StructureError, match="apply a softmax"):
        CalibrationHistogram().update(scores * 9, target)
    with pytest.raises(StructureError, match="resize the scores"):
        CalibrationHistogram().update(scores, target[:-1])
    with pytest.raises(StructureError, match="bins=0"):
        CalibrationHistogram(bins=0)
    with pytest.raises(StructureError, match="of 3 bins cannot join one of 15"):
        CalibrationHistogram().merge(CalibrationHistogram(bins=3))
