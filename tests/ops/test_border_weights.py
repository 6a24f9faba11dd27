"""U-Net's weight map against brute force over all cells and cases by hand."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy import ndimage
from tests.support.data_roots import data_root

from segscape.ops.border_weights import border_weights


def brute_force(
    ids: np.ndarray, w0: float, sigma: float, *, inside_cells: bool = False
) -> np.ndarray:
    """The second term of equation 2: one distance transform of the whole image for each cell."""
    cells = [ndimage.distance_transform_edt(ids != cell) for cell in np.unique(ids[ids != 0])]
    if len(cells) < 2:
        return np.zeros(ids.shape)
    first, second = np.sort(np.stack(cells), axis=0)[:2]
    term = w0 * np.exp(-((first + second) ** 2) / (2 * sigma**2))
    return term if inside_cells else np.where(ids != 0, 0.0, term)


@settings(max_examples=80, deadline=None)
@given(
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    cells=st.integers(0, 9),
    sigma=st.sampled_from([0.3, 1.0, 2.5, 5.0]),
    inside=st.booleans(),
    seed=st.integers(0, 10_000),
)
def test_as_brute_force_over_given_cells(
    height: int, width: int, cells: int, sigma: float, inside: bool, seed: int
) -> None:
    generator = np.random.default_rng(seed)
    ids = np.zeros((height, width), np.int32)
    for cell in range(1, cells + 1):
        top, left = generator.integers(height), generator.integers(width)
        rows, columns = generator.integers(1, 9, 2)
        # Any ids, negative ones and gaps too, and cells in two pieces.
        ids[top : top + rows, left : left + columns] = 7 * cell - 20
    labels = torch.from_numpy((ids != 0).astype(np.uint8))
    weights = border_weights(
        labels,
        foreground=1,
        cells=torch.from_numpy(ids),
        sigma_px=sigma,
        class_balance=False,
        inside_cells=inside,
    )
    expected = 1 + brute_force(ids, 10.0, sigma, inside_cells=inside)
    # Beyond six sigma the term is left out: less than w0 e^-18 = 1.6e-7.
    assert np.abs(weights.numpy() - expected).max() <= 10 * math.exp(-18) + 2e-6


@pytest.mark.data
def test_as_brute_force_on_an_electron_micrograph() -> None:
    path = data_root("isbi-em") / "masks" / "3.png"
    labels = (np.array(Image.open(path))[:300, :300] > 127).astype(np.uint8)
    ids, count = ndimage.label(labels)
    assert count > 20
    for inside in (False, True):
        weights = border_weights(
            torch.from_numpy(labels), foreground=1, class_balance=False, inside_cells=inside
        )
        expected = 1 + brute_force(ids, 10.0, 5.0, inside_cells=inside)
        assert np.abs(weights.numpy() - expected).max() < 3e-6


def test_one_cell_has_no_second_border() -> None:
    labels = torch.zeros(20, 20, dtype=torch.uint8)
    labels[5:10, 5:10] = 1
    weights = border_weights(labels, foreground=1)
    # w_c = N / (K n_c): 400 / (2 * 25) and 400 / (2 * 375).
    assert torch.allclose(weights[labels == 1], torch.tensor(8.0))
    assert torch.allclose(weights[labels == 0], torch.tensor(400 / 750))
    assert math.isclose(float(weights.mean()), 1.0, rel_tol=1e-6)


def test_two_cells_four_pixels_apart() -> None:
    labels = torch.zeros(9, 20, dtype=torch.uint8)
    labels[:, :8] = 1
    labels[:, 12:] = 1
    weights = border_weights(labels, foreground=1, class_balance=False)
    # Across the gap d1 + d2 is 1 + 4 or 2 + 3: 5 everywhere, the sigma.
    gap = 1 + 10 * math.exp(-0.5)
    assert torch.allclose(weights[:, 8:12], torch.tensor(gap))
    assert bool((weights[labels == 1] == 1).all())
    within = border_weights(labels, foreground=1, class_balance=False, inside_cells=True)
    assert math.isclose(float(within[4, 7]), 1 + 10 * math.exp(-0.5), rel_tol=1e-6)
    assert math.isclose(float(within[4, 6]), 1 + 10 * math.exp(-36 / 50), rel_tol=1e-6)


def test_cells_that_meet_at_a_corner_are_two() -> None:
    labels = torch.tensor([[1, 0], [0, 1]])
    weights = border_weights(labels, foreground=1, class_balance=False)
    assert math.isclose(float(weights[0, 1]), 1 + 10 * math.exp(-4 / 50), rel_tol=1e-6)


def test_cells_that_touch_are_told_apart_by_their_ids() -> None:
    labels = torch.ones(1, 6, dtype=torch.uint8)
    labels[0, 5] = 0
    cells = torch.tensor([[1, 1, 1, 2, 2, 0]])
    apart = border_weights(labels, foreground=1, cells=cells, class_balance=False)
    assert math.isclose(float(apart[0, 5]), 1 + 10 * math.exp(-16 / 50), rel_tol=1e-6)
    assert float(border_weights(labels, foreground=1, class_balance=False)[0, 5]) == 1.0


def test_ignored_pixels_weigh_nothing_and_count_for_no_class() -> None:
    labels = torch.tensor([[1, 0, 255, 255, 255, 255]], dtype=torch.uint8)
    assert border_weights(labels, foreground=1)[0].tolist() == [1.0, 1.0, 0, 0, 0, 0]
    kept = border_weights(labels, foreground=1, ignore_id=None)[0]
    assert torch.allclose(kept, torch.tensor([2.0, 2.0, 0.5, 0.5, 0.5, 0.5]))
    void = torch.full((3, 4), 255, dtype=torch.uint8)
    assert border_weights(void, foreground=1).abs().sum() == 0


def test_no_cells_and_wide_types() -> None:
    for kind in (torch.uint8, torch.int32, torch.int64):
        weights = border_weights(torch.zeros(3, 5, dtype=kind), foreground=1)
        assert torch.equal(weights, torch.ones(3, 5))


@pytest.mark.parametrize(("w0", "sigma"), [(-1.0, 5.0), (10.0, 0.0), (math.nan, 5.0)])
def test_wrong_options(w0: float, sigma: float) -> None:
    with pytest.raises(ValueError, match="expected >= 0 and > 0"):
        border_weights(torch.zeros(2, 2).byte(), foreground=1, w0=w0, sigma_px=sigma)
