import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from segscape.layers.mirror import mirrored_positions


@given(st.integers(1, 9), st.integers(0, 40), st.integers(0, 40))
def test_equals_numpys_reflection(length: int, before: int, after: int):
    expected = np.pad(np.arange(length), (before, after), mode="reflect")
    assert mirrored_positions(length, -before, length + after).tolist() == expected.tolist()
