"""Our networks against those a user would take instead, on this machine's CPU.

Ours run as our defaults choose (layout and precision measured, normalisation folded to predict) and
once more in float32; the peers as their defaults are: float32, contiguous. torchvision's
networks hold the same weights as ours, and in float32 must give the same logits. Those of
segmentation_models_pytorch are other networks of the same name and encoder (its DeepLabv3+ has one
separable convolution in the decoder), so only times compare. Its PSPNet stops after the encoder's
third stage and has no dilation unless told otherwise: it is told to dilate all five to stride 8, as
the paper's does; what it is by itself is measured, too. Each of ours is first fitted to drawn
scenes for some steps, since an untrained network's labels are ties; labels in low precision must
then be those in float32 on 98 % of the pixels.
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.measure import Comparison, compare
from benchmarks.unet_speed import CATEGORIES, CPU, batch, step_of
from segscape.datasets.synthetic import SyntheticSemantic
from segscape.inference.precision import resolve_precision
from segscape.inference.preparation import prepared
from segscape.models import build_model
from segscape.models.outputs import SemanticTarget
from segscape.models.semantic_model import SemanticModel
from segscape.structures import ImageBatch, Size, Taxonomy
from segscape.training.hardware import choose

ROUNDS = 5
FITTING_STEPS = 60
# Of a network fitted for seconds, whose scores are still close: `label_agreement` judges trained
# ones.
AGREEMENT = 0.98


@dataclass(frozen=True)
class Pair:
    """Our network and the peer's."""

    name: str
    model: str
    options: dict[str, object]
    peer: Callable[[], nn.Module]
    same_weights: bool


def _torchvision(name: str) -> Callable[[], nn.Module]:
    def build() -> nn.Module:
        from torchvision.models import segmentation

        network: nn.Module = getattr(segmentation, name)(
            weights=None, weights_backbone=None, num_classes=CATEGORIES, aux_loss=False
        )
        return _Logits(network)

    return build


def smp_network(name: str, encoder: str, **options: int) -> Callable[[], nn.Module]:
    """What builds a network of segmentation_models_pytorch with random weights."""

    def build() -> nn.Module:
        import segmentation_models_pytorch as smp

        return getattr(smp, name)(encoder, encoder_weights=None, classes=CATEGORIES, **options)

    return build


class _Logits(nn.Module):
    """torchvision's networks give a dict."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, pixels: Tensor) -> Tensor:
        """The logits."""
        return self.network(pixels)["out"]


PAIRS = (
    Pair(
        "FCN ResNet-50, torchvision",
        "torchvision_fcn",
        {"auxiliary": False},
        _torchvision("fcn_resnet50"),
        True,
    ),
    Pair(
        "DeepLabv3 ResNet-50, torchvision",
        "torchvision_deeplab_v3",
        {"auxiliary": False},
        _torchvision("deeplabv3_resnet50"),
        True,
    ),
    Pair(
        "DeepLabv3+ ResNet-50, smp",
        "deeplab_v3_plus",
        {"encoder": "resnet50"},
        smp_network("DeepLabV3Plus", "resnet50"),
        False,
    ),
    Pair(
        "PSPNet ResNet-50, smp dilated",
        "pspnet",
        {"encoder": "resnet50", "auxiliary": False},
        smp_network("PSPNet", "resnet50", encoder_depth=5, output_stride=8),
        False,
    ),
    Pair(
        "PSPNet ResNet-50, smp of three stages",
        "pspnet",
        {"encoder": "resnet50", "auxiliary": False},
        smp_network("PSPNet", "resnet50"),
        False,
    ),
    Pair(
        "UPerNet ResNet-50, smp",
        "upernet",
        {"encoder": "resnet50", "channels": 256},
        smp_network("UPerNet", "resnet50"),
        False,
    ),
    Pair("SegFormer MiT-B0, smp", "segformer", {}, smp_network("Segformer", "mit_b0"), False),
)


def run(names: tuple[str, ...] = ()) -> list[Comparison]:
    """Compare prediction at 512 x 512 and the training step at 4 x 256 x 256."""
    return [
        comparison
        for pair in PAIRS
        if not names or pair.model in names
        for comparison in _compared(pair)
    ]


def _compared(pair: Pair) -> list[Comparison]:
    torch.manual_seed(0)
    taxonomy = Taxonomy.from_names([f"class {index}" for index in range(CATEGORIES)])
    ours: Any = build_model(pair.model, taxonomy, pair.options)
    _fit(ours)
    peer = pair.peer()
    if pair.same_weights:
        own = ours.state_dict().items()
        peer.load_state_dict(
            {f"network.{name}": value for name, value in own if name not in ("mean", "std")}
        )
    return [
        _prediction(pair, ours, peer, "auto"),
        _prediction(pair, ours, peer, "fp32"),
        _step(pair, ours, peer, "auto"),
        _step(pair, ours, peer, "fp32"),
    ]


def _fit(model: SemanticModel) -> None:
    """Some steps on drawn scenes, so that labels mean something."""
    scenes = SyntheticSemantic(4, size=Size(128, 160))
    samples = [scenes[index] for index in range(4)]
    images = ImageBatch.stack([sample.image for sample in samples])
    target = SemanticTarget.stack([sample.target for sample in samples])
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    model.train().to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue] - missing in the stub
    for _ in range(FITTING_STEPS):
        with torch.autocast("cpu", torch.bfloat16):
            outputs = model(images)
        loss = torch.stack(list(model.losses(outputs, target).values())).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.eval()


def _prediction(pair: Pair, ours: SemanticModel, peer: nn.Module, wanted: Any) -> Comparison:
    precision = resolve_precision(wanted, CPU)
    fast = prepared(ours, CPU, precision)
    peer.eval()
    images = _scene(512)
    pixels = ours.normalize(images.pixels)

    @torch.inference_mode()
    def our_logits() -> Tensor:
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
            return fast(images).logits

    @torch.inference_mode()
    def peer_logits() -> Tensor:
        return peer(pixels)

    with torch.inference_mode():
        expected = ours(images).logits
    labels = our_logits().argmax(1)
    agreement = float((labels == expected.argmax(1)).float().mean())
    print(f"{pair.name}: labels in {precision} are {agreement:.2%} those in fp32")
    if agreement < AGREEMENT:
        raise ValueError(f"{pair.name}: labels in {precision} differ too much from those in fp32")
    if pair.same_weights and precision == "fp32":
        apart = float((our_logits() - peer_logits()).abs().max() / peer_logits().abs().max())
        print(f"{pair.name}: logits differ by {apart:.1e} of the largest")
        if apart > 1e-4:
            raise ValueError(f"{pair.name}: ours and the peer do not compute the same function")
    return compare(
        our_logits,
        peer_logits,
        name=f"{pair.name} predict 512 ({precision})",
        rounds=ROUNDS,
        check=lambda a, _: bool((a.argmax(1) == labels).all()),
    )


def _scene(side: int) -> ImageBatch:
    return ImageBatch.stack([SyntheticSemantic(1, size=Size(side, side), seed=5)[0].image])


def _step(pair: Pair, ours: SemanticModel, peer: nn.Module, wanted: str) -> Comparison:
    images = batch(4, 256, 256)
    labels = torch.randint(0, CATEGORIES, (4, 256, 256))
    precision = choose(CPU).precision if wanted == "auto" else wanted
    ours.train()
    peer.train()

    def our_logits() -> Tensor:
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
            return ours(images).logits

    pixels = ours.normalize(images.pixels)
    return compare(
        step_of(ours, our_logits, labels),
        step_of(peer, lambda: peer(pixels), labels),
        name=f"{pair.name} step 4x256 ({precision})",
        rounds=ROUNDS,
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="*", help="only these of ours, as pspnet")
    run(tuple(parser.parse_args().models))
