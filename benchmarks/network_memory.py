"""Peak memory of our networks and of those a user would take instead, on this machine's CPU.

A network is built and predicts, or trains, three times in a process of its own; what counts is the
most that the process held above what its libraries took. Ours run as our defaults choose, once
more in float32, the peers as theirs are. The networks are those of `network_speed`, and the
padded U-Net.
"""

import argparse
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib import import_module
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.measure import peak_memory
from benchmarks.network_speed import PAIRS, Pair, smp_network
from benchmarks.unet_speed import CATEGORIES, CPU, batch, step_of
from segscape.inference.precision import resolve_precision
from segscape.inference.preparation import prepare
from segscape.models import build_model
from segscape.ops.allocator import keep_freed_memory
from segscape.structures import Taxonomy
from segscape.training.hardware import choose

MEBIBYTE = 2**20
LIBRARIES = ("timm", "torchvision", "segmentation_models_pytorch")
TIMES = 3
UNET = Pair(
    "U-Net ResNet-34, smp", "unet", {"encoder": "resnet34"}, smp_network("Unet", "resnet34"), False
)


@dataclass(frozen=True)
class Peaks:
    """The most memory that ours and the peer held, above what their libraries took.

    Args:
        name: what was done.
        ours: in bytes.
        peer: in bytes.
    """

    name: str
    ours: int
    peer: int

    def row(self) -> str:
        """One line of the table."""
        ours, peer = self.ours / MEBIBYTE, self.peer / MEBIBYTE
        return f"{self.name:<58} ours {ours:6.0f} MiB  peer {peer:6.0f} MiB  {ours / peer:5.2f}x"

    def to_json(self) -> dict[str, Any]:
        """The numbers as a dict that `json` can write."""
        return asdict(self)


def run(models: tuple[str, ...] = ()) -> list[Peaks]:
    """Measure all pairs, or those of the models that are named."""
    libraries = _peak("nothing", "ours")
    found: list[Peaks] = []
    for pair in (UNET, *PAIRS):
        if models and pair.model not in models:
            continue
        for work in ("predict", "step"):
            peer = _peak(work, "peer", pair.name) - libraries
            for precision in ("auto", "fp32"):
                ours = _peak(work, "ours", pair.name, precision) - libraries
                found.append(Peaks(f"{pair.name} {work} ({precision})", ours, peer))
                print(found[-1].row(), flush=True)
    return found


def _peak(*arguments: str) -> int:
    return peak_memory(f"from benchmarks.network_memory import do\ndo{arguments!r}")


def do(work: str, of: str, name: str = "", precision: Any = "auto") -> None:
    """The measured work: "predict" at 512 x 512 or "step" at 4 x 256 x 256, of "ours" or "peer"."""
    for library in LIBRARIES:  # which both load on demand
        import_module(library)
    if work == "nothing":
        return
    pair = next(pair for pair in (UNET, *PAIRS) if pair.name == name)
    torch.manual_seed(0)
    if work == "predict":
        _predict_ours(pair, precision) if of == "ours" else _predict_peer(pair)
    else:
        _train_ours(pair, precision) if of == "ours" else _train_peer(pair)


def _predict_ours(pair: Pair, wanted: Any) -> None:
    precision = resolve_precision(wanted, CPU)
    model = prepare(_built(pair), CPU, precision)
    images = batch(1, 512, 512)
    for _ in range(TIMES):
        with torch.inference_mode(), torch.autocast("cpu", enabled=precision == "bf16"):
            model(images).logits.argmax(1)


def _predict_peer(pair: Pair) -> None:
    model = pair.peer().eval()
    pixels = batch(1, 512, 512).pixels
    for _ in range(TIMES):
        with torch.inference_mode():
            model(pixels).argmax(1)


def _train_ours(pair: Pair, precision: str) -> None:
    keep_freed_memory()
    choice = choose(CPU)
    low = precision == "auto" and choice.precision == "bf16"
    model = _built(pair).train()
    if choice.channels_last:
        model.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue] - missing in the stub
    images = batch(4, 256, 256)

    def logits() -> Tensor:
        with torch.autocast("cpu", enabled=low):
            return model(images).logits

    _train(model, logits)


def _train_peer(pair: Pair) -> None:
    model = pair.peer().train()
    pixels = batch(4, 256, 256).pixels
    _train(model, lambda: model(pixels))


def _train(model: nn.Module, logits: Callable[[], Tensor]) -> None:
    step = step_of(model, logits, torch.randint(0, CATEGORIES, (4, 256, 256)))
    for _ in range(TIMES):
        step()


def _built(pair: Pair) -> Any:
    taxonomy = Taxonomy.from_names([f"class {index}" for index in range(CATEGORIES)])
    return build_model(pair.model, taxonomy, pair.options)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="*", help="only these of ours, as pspnet")
    run(tuple(parser.parse_args().models))
