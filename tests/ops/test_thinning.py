"""Thinning is that of scikit-image."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.morphology import thin

from segscape.ops.thinning import thinned


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 99999), st.integers(1, 30), st.integers(1, 30))
def test_it_is_that_of_scikit_image(seed: int, height: int, width: int) -> None:
    random = np.random.default_rng(seed)
    mask = random.random((height, width)) < random.random()
    before = mask.copy()
    assert (thinned(mask) == thin(mask)).all()
    assert (mask == before).all()
