"""Networks become programs for any size, with no choice by the size they were traced at."""

import pytest
import torch
from tests.support.small_models import small_model
from torch import Tensor, nn
from torch.export import Dim, export

FAST = ("upernet", "refinenet")
NETWORKS = (
    *FAST,
    *("unet", "fcn_resnet", "fcn8s", "segnet", "deeplab_largefov", "deeplab_v2", "deeplab_v3"),
    *("deeplab_v3_plus", "pspnet", "light_weight_refinenet", "segformer"),
)


class _Scores(nn.Module):
    def __init__(self, model) -> None:
        super().__init__()
        self.model = model

    def forward(self, pixels: Tensor) -> Tensor:
        return self.model.score(pixels).logits


@pytest.mark.usefixtures("sizes_may_be_symbols")
@pytest.mark.parametrize(
    "name", [pytest.param(one, marks=() if one in FAST else pytest.mark.slow) for one in NETWORKS]
)
def test_a_program_traced_at_one_size_reads_others(name: str):
    model = small_model(name).eval()
    step = max(32, model.pad_to)
    height, width = Dim("height", min=2, max=32), Dim("width", min=2, max=32)
    pixels = torch.rand(1, model.in_channels, 3 * step, 4 * step)
    with torch.no_grad():
        sides = {2: step * height, 3: step * width}
        program = export(_Scores(model), (pixels,), dynamic_shapes=(sides,)).module()
        for shape in ((3, 4), (2, 5), (4, 2)):
            other = torch.rand(1, model.in_channels, *(step * side for side in shape))
            torch.testing.assert_close(program(other), model.score(other).logits)
