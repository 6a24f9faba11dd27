import pytest
import torch

from segscape.inference.blending import BlendingWindow, hann, keep_center


@pytest.mark.parametrize("window", [hann, keep_center])
@pytest.mark.parametrize("overlap", [0, 2, 16, 128])
def test_a_ramp_and_its_mirror_image_add_up_to_one(window: BlendingWindow, overlap):
    ramp = window(overlap)
    assert ramp.shape == (overlap,)
    torch.testing.assert_close(ramp + ramp.flip(0), torch.ones(overlap))
    assert bool((ramp.diff() >= 0).all())


def test_hann_is_positive_everywhere_and_keep_center_on_the_inner_half():
    assert float(hann(512).min()) > 0
    assert keep_center(6).tolist() == [0, 0, 0, 1, 1, 1]
