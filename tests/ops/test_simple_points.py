import itertools
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from segscape.ops.simple_points import _is_simple, thinned_borders, warped

CORNERS = np.ones((3, 3))


def counts(mask):
    """How many objects (over edges) and how many pieces of background (over corners)."""
    framed = np.pad(mask, 1)
    return ndimage.label(framed)[1], ndimage.label(~framed, CORNERS)[1]


def is_simple_one_by_one(patch):
    """Kong and Rosenfeld: one object at an edge, one piece of background at an edge or corner."""
    objects, _ = ndimage.label(patch & ~center())
    background, _ = ndimage.label(~patch & ~center(), CORNERS)
    at_edges = {objects[i] for i in ((0, 1), (1, 0), (1, 2), (2, 1))} - {0}
    return len(at_edges) == 1 and len(set(background.ravel().tolist()) - {0}) == 1


def center():
    mask = np.zeros((3, 3), bool)
    mask[1, 1] = True
    return mask


def test_all_neighbourhoods():
    for bits in itertools.product([False, True], repeat=9):
        patch = np.array(bits).reshape(3, 3)
        assert _is_simple(patch.ravel(), 4, 3) == is_simple_one_by_one(patch)


@cache
def simple_patches():
    patches = itertools.product([False, True], repeat=9)
    return {bits for bits in patches if is_simple_one_by_one(np.array(bits).reshape(3, 3))}


def reachable(start, flips):
    """All masks that flips of simple pixels lead to, each place of `flips` once or more."""
    found, waiting = {start.tobytes()}, [start]
    while waiting:
        mask = waiting.pop()
        framed = np.pad(mask, 1)
        for i, j in np.argwhere(flips(mask)):
            if tuple(framed[i : i + 3, j : j + 3].ravel().tolist()) in simple_patches():
                other = mask.copy()
                other[i, j] ^= True
                if other.tobytes() not in found:
                    found.add(other.tobytes())
                    waiting.append(other)
    return [np.frombuffer(mask, bool).reshape(start.shape) for mask in found]


def test_against_all_sequences_of_flips_in_tiny_images():
    generator = np.random.default_rng(0)
    best = 0
    for _ in range(30):
        start, target = generator.random((2, 3, 4)) < 0.5
        found = (warped(start, target) != target).sum()
        towards = reachable(start, lambda mask, target=target: mask != target)
        best += found == min((mask != target).sum() for mask in towards)
        assert any(np.array_equal(mask, warped(start, target)) for mask in towards)
    assert best >= 24


def test_never_beats_the_best_warping_of_any_kind():
    generator = np.random.default_rng(1)
    for _ in range(4):
        start, target = generator.random((2, 3, 3)) < 0.5
        least = min((mask != target).sum() for mask in reachable(start, np.ones_like))
        assert (warped(start, target) != target).sum() >= least


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    height=st.integers(1, 12),
    width=st.integers(1, 12),
    share=st.floats(0.1, 0.9),
)
def test_no_connection_changes(seed, height, width, share):
    generator = np.random.default_rng(seed)
    mask = ndimage.uniform_filter(generator.random((height, width)), 3) < share
    target = ndimage.uniform_filter(generator.random((height, width)), 3) < share
    allowed = generator.random((height, width)) < 0.8
    result = warped(mask, target, allowed)
    assert counts(result) == counts(mask)
    assert not ((result != mask) & ~allowed).any()
    assert not ((result != mask) & (result != target)).any()
    # Nothing is left that a single flip could mend.
    framed = np.pad(result, 1)
    for i, j in np.argwhere((result != target) & allowed):
        assert not is_simple_one_by_one(framed[i : i + 3, j : j + 3])
    thin = thinned_borders(mask)
    assert counts(thin) == counts(mask)
    assert (thin | ~mask).all()


@pytest.mark.parametrize("gap", [1, 2, 3, 8])
def test_a_thick_border_becomes_a_line_in_its_middle(gap):
    mask = np.ones((9, 20), bool)
    mask[:, 6 : 6 + gap] = False
    thin = thinned_borders(mask)
    assert ((~thin).sum(1) == 1).all()
    columns = (~thin).argmax(1)
    assert (abs(columns - (6 + (gap - 1) / 2)) <= 0.5).all()


def test_without_objects_nothing_grows():
    assert not thinned_borders(np.zeros((4, 5), bool)).any()
