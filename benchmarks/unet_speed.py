"""The padded U-Net over ResNet-34, training and prediction, against segmentation_models_pytorch.

Both nets hold the same weights, which is checked to give the same logits in float32. Ours then runs
as our defaults choose on this machine (layout and precision measured, normalisation folded for
prediction), the peer as its defaults are: float32, contiguous.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.measure import Comparison, compare
from segscape.inference.precision import resolve_precision
from segscape.inference.preparation import prepared
from segscape.models import build_model
from segscape.models.semantic.encoder_unet import EncoderUNet
from segscape.structures import ImageBatch, Size, Taxonomy
from segscape.training.hardware import choose

CATEGORIES = 11
CPU = torch.device("cpu")


def run() -> list[Comparison]:
    """Compare the training step at 4 x 256 x 256 and prediction at two sizes."""
    ours, peer = same_weights()
    images = batch(1, 256, 256)
    with torch.no_grad():
        a, b = ours.eval()(images).logits, peer.eval()(ours.normalize(images.pixels))
    difference = float((a - b).abs().max() / b.abs().max())
    print(f"same weights in float32: logits differ by {difference:.1e} of the largest")
    if difference > 1e-4:
        raise ValueError("ours and the peer do not compute the same function")
    sizes = (Size(512, 512), Size(360, 480))
    # Before training, which on noise would make every score a tie.
    return [*(prediction(ours, peer, size) for size in sizes), training_step(ours, peer)]


def same_weights() -> tuple[EncoderUNet, nn.Module]:
    """Our network and the peer's with the weights and statistics of one."""
    import segmentation_models_pytorch as smp

    torch.manual_seed(0)
    taxonomy = Taxonomy.from_names([f"class {index}" for index in range(CATEGORIES)])
    ours = build_model("unet", taxonomy, {"encoder": "resnet34"})
    if not isinstance(ours, EncoderUNet):
        raise TypeError(f"'unet' built a {type(ours).__name__}")
    peer = smp.Unet("resnet34", encoder_weights=None, classes=CATEGORIES)
    peer.train()
    with torch.no_grad():  # statistics that are not the initial ones
        peer(ours.normalize(batch(4, 64, 64).pixels))
    state = {renamed(name): value for name, value in peer.state_dict().items()}
    missing, surplus = ours.load_state_dict(state, strict=False)
    if surplus or set(missing) != {"mean", "std"}:
        raise ValueError(f"the networks differ: missing {missing}, surplus {surplus}")
    return ours, peer


def renamed(name: str) -> str:
    """Our name of the peer's tensor."""
    for theirs, ours in (
        ("encoder.", "encoder.backbone."),
        ("decoder.", ""),
        ("conv1.0", "conv1"),
        ("conv1.1", "norm1"),
        ("conv2.0", "conv2.conv"),
        ("conv2.1", "conv2.norm"),
        ("segmentation_head.0", "classifier"),
    ):
        if name.startswith("encoder.") and theirs != "encoder.":
            continue
        name = name.replace(theirs, ours, 1)
    return name


def batch(count: int, height: int, width: int) -> ImageBatch:
    """Random images."""
    generator = torch.Generator().manual_seed(count + height)
    pixels = torch.rand(count, 3, height, width, generator=generator)
    return ImageBatch(pixels, (Size(height, width),) * count)


def training_step(ours: EncoderUNet, peer: nn.Module) -> Comparison:
    """Forward, cross entropy, backward and a step of SGD with momentum."""
    images = batch(4, 256, 256)
    labels = torch.randint(0, CATEGORIES, (4, 256, 256))
    choice = choose(CPU)
    ours.train()
    if choice.channels_last:
        ours.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue] - missing in the stub
    peer.train()

    def our_logits() -> Tensor:
        with torch.autocast("cpu", torch.bfloat16, enabled=choice.precision == "bf16"):
            return ours(images).logits

    pixels = ours.normalize(images.pixels)
    layout = "channels last" if choice.channels_last else "contiguous"
    return compare(
        step_of(ours, our_logits, labels),
        step_of(peer, lambda: peer(pixels), labels),
        name=f"U-Net ResNet-34 step 4x256x256 ({choice.precision}, {layout})",
        # The loss before the first step: the same weights, rounded differently.
        check=lambda a, b: abs(a - b) < 0.02 * abs(b),
    )


def step_of(model: nn.Module, logits: Callable[[], Tensor], labels: Tensor) -> Callable[[], float]:
    """A training step that returns its loss."""
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9)

    def step() -> float:
        loss = F.cross_entropy(logits().float(), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return float(loss.detach())

    return step


def prediction(ours: EncoderUNet, peer: nn.Module, size: Size) -> Comparison:
    """One image to labels, the model prepared as the segmenter does."""
    precision = resolve_precision("auto", CPU)
    fast = prepared(ours, CPU, precision)
    peer.eval()
    images = batch(1, *size)
    pixels = ours.normalize(images.pixels)

    @torch.inference_mode()
    def our_labels() -> Tensor:
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
            return fast(images).logits.argmax(1)

    @torch.inference_mode()
    def peer_labels() -> Tensor:
        return peer(pixels).argmax(1)

    # Where a side is no multiple of 32 we repeat the border and the peer rounds at each level: the
    # results are compared on the pixels that we give the network, the times on the image.
    padding = (0, -size.width % 32, 0, -size.height % 32)
    with torch.inference_mode():
        expected = peer(F.pad(pixels, padding, mode="replicate")).argmax(1)
    expected = expected[:, : size.height, : size.width]
    agreement = float((our_labels() == expected).float().mean())
    print(f"labels at {size.height}x{size.width} in {precision}: {agreement:.2%} the same")
    # Untrained networks have many ties that rounding breaks.
    least = 0.95 if precision == "bf16" else 0.9999
    return compare(
        our_labels,
        peer_labels,
        name=f"U-Net ResNet-34 predict 1x{size.height}x{size.width} ({precision})",
        check=lambda a, _: float((a == expected).float().mean()) > least,
    )


if __name__ == "__main__":
    run()
