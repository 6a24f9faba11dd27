import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from segscape.inference.mirror import TensorReader, read_mirrored


@given(
    st.integers(1, 7),
    st.integers(1, 7),
    st.integers(-9, 9),
    st.integers(-9, 9),
    st.integers(1, 12),
    st.integers(1, 12),
)
def test_windows_are_those_of_the_padded_image(height, width, top, left, rows, columns):
    image = torch.arange(2 * height * width, dtype=torch.uint8).reshape(2, height, width)
    padded = image.numpy()
    for axis, length in ((1, height), (2, width)):
        pads = [(0, 0)] * 3
        pads[axis] = (30, 30)
        padded = np.pad(padded, pads, mode="reflect" if length > 1 else "edge")
    expected = padded[:, top + 30 : top + 30 + rows, left + 30 : left + 30 + columns]
    got = read_mirrored(TensorReader(image), top, left, rows, columns)
    assert np.array_equal(got.numpy(), expected)
