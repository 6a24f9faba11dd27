import pytest
import torch
from torch import nn

from segscape.inference import precision
from segscape.inference.precision import (
    bf16_is_faster,
    check_precision,
    resolve_precision,
    store_kernels,
)
from segscape.structures import StructureError

CPU = torch.device("cpu")


def test_what_is_asked_for_is_taken():
    assert resolve_precision("fp32", CPU) == "fp32"
    assert resolve_precision("bf16", CPU) == "bf16"
    with pytest.raises(StructureError, match="auto, fp32, bf16"):
        check_precision("half")
    assert check_precision("auto") == "auto"


@pytest.mark.parametrize(("ratio", "expected"), [(4.0, "bf16"), (1.1, "fp32"), (0.3, "fp32")])
def test_auto_follows_the_measurement(monkeypatch, ratio, expected):
    seconds = {torch.float32: 1.0, torch.bfloat16: 1 / ratio}
    monkeypatch.setattr(precision, "_round", seconds.__getitem__)
    monkeypatch.setattr(precision, "has_bf16_units", lambda: True)
    bf16_is_faster.cache_clear()
    assert resolve_precision("auto", CPU) == expected
    bf16_is_faster.cache_clear()


def test_a_processor_without_the_units_is_not_timed(monkeypatch):
    monkeypatch.setattr(precision, "has_bf16_units", lambda: False)
    monkeypatch.delattr(precision, "_round")
    bf16_is_faster.cache_clear()
    assert resolve_precision("auto", CPU) == "fp32"
    bf16_is_faster.cache_clear()


def test_measuring_leaves_the_threads_as_they_were():
    threads = torch.get_num_threads()
    bf16_is_faster.cache_clear()
    assert bf16_is_faster(CPU) in (True, False)
    assert torch.get_num_threads() == threads


def test_only_kernels_change_their_type():
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.ConvTranspose2d(4, 2, 2))
    store_kernels(model, torch.bfloat16)
    kinds = {name: tensor.dtype for name, tensor in model.state_dict().items()}
    assert kinds["0.weight"] == kinds["0.bias"] == kinds["2.weight"] == torch.bfloat16
    assert kinds["1.weight"] == kinds["1.running_var"] == torch.float32
