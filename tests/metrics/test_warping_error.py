import numpy as np
import pytest
import torch
from scipy import ndimage

from segscape.metrics.warping_error import WarpingError, topology_errors
from segscape.structures import StructureError, Taxonomy

MEMBRANES = Taxonomy.from_names(["membrane", "cell"])


def two_cells(left=9, right=12, shape=(12, 21)):
    """A cell on either side of a membrane from column left up to, without, column right."""
    mask = np.ones(shape, bool)
    mask[:, left:right] = False
    return mask


@pytest.mark.parametrize(("left", "right"), [(9, 12), (10, 11), (6, 10), (11, 15), (3, 20)])
def test_a_border_that_moves_or_changes_its_width_is_no_error(left, right):
    assert not topology_errors(two_cells(left, right), two_cells()).any()


def test_a_gap_in_the_border_costs_its_thinnest_line():
    called = two_cells(10, 14)
    called[5:8] = True  # merges the two cells
    assert topology_errors(called, two_cells()).sum() == 3


def test_a_false_border_costs_its_thinnest_cut():
    called = two_cells()
    called[:, 3:5] = False  # splits a cell, two pixels wide
    # The truth's border can send out a branch from the rim, but must leave the cell in one piece:
    # one row of the false border, two pixels, stays wrong.
    assert topology_errors(called, two_cells()).sum() == 2


def test_a_thin_line_that_is_off_by_two_has_no_way_there():
    assert not topology_errors(two_cells(11, 12), two_cells(10, 11)).any()
    assert topology_errors(two_cells(12, 13), two_cells(10, 11)).any()


def test_a_lost_cell_and_an_invented_one_cost_a_pixel_each_at_least():
    true = np.zeros((9, 9), bool)
    true[2:5, 2:5] = True
    assert topology_errors(np.zeros_like(true), true).sum() == 1
    assert topology_errors(true, np.zeros_like(true)).sum() == 9


def test_the_limit_keeps_borders_near_where_they_were():
    assert not topology_errors(two_cells(11, 14), two_cells(), limit=2.0).any()
    assert not topology_errors(two_cells(11, 15), two_cells()).any()
    assert topology_errors(two_cells(11, 15), two_cells(), limit=2.0).any()


def test_errors_are_shares_of_the_judged_pixels():
    metric = WarpingError(MEMBRANES, foreground=1)
    called, true = two_cells(10, 14), torch.from_numpy(two_cells().astype(np.int64))
    called[5:8] = True
    metric.update(torch.from_numpy(called.astype(np.int64)), true, "a")
    metric.update(true, true, "b")
    found = metric.compute()
    assert found.per_image == {"a": 3 / 252, "b": 0.0}
    assert found.error == 3 / 504
    void = true.clone()
    void[:, 9:] = 255
    other = WarpingError(MEMBRANES, foreground=1)
    other.update(torch.from_numpy(called.astype(np.int64)), void, "c")
    assert other.compute().error == 0
    other.merge(metric)
    assert list(other.compute().per_image) == ["a", "b", "c"]


def test_real_shapes_are_warped_without_a_change_of_topology():
    generator = np.random.default_rng(0)
    noise = ndimage.gaussian_filter(generator.random((64, 64)), 3)
    true = noise > np.quantile(noise, 0.4)
    called = np.roll(true, 2, axis=1)
    wrong = topology_errors(called, true)
    assert wrong.sum() < 0.2 * (called != true).sum()


def test_wrong_options_are_refused():
    with pytest.raises(StructureError, match=r"foreground 3 is no category"):
        WarpingError(MEMBRANES, foreground=3)
    with pytest.raises(StructureError, match=r"limit 0.0 must be above 0"):
        WarpingError(MEMBRANES, foreground=1, limit=0.0)
    with pytest.raises(StructureError, match="other options cannot be merged"):
        WarpingError(MEMBRANES, foreground=1).merge(WarpingError(MEMBRANES, foreground=0))
