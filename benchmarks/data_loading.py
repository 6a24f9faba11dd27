"""Transforms at CamVid's size, one thread: ours beside torchvision.transforms.v2, in turn.

Both get the same image (360 x 480, as a decoder leaves it: channels last) with its labels and make
240 x 320 of it. Rounds alternate; the ratio is that of each round's medians.
"""

import statistics
import time
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torchvision import tv_tensors
from torchvision.transforms import v2

from segscape.ops.resize import resize_image
from segscape.structures import LabelMap, Sample, Taxonomy
from segscape.transforms import (
    TRANSFORMS,
    Blur,
    ColorJitter,
    Elastic,
    HorizontalFlip,
    Noise,
    RandomCrop,
    RandomResizedCrop,
    RandomScale,
    Resize,
    Rotation,
    Transform,
    VerticalFlip,
    apply,
)

ROUNDS = 9
CALLS = 15
SIZE, CROP = (360, 480), (240, 320)
SCALE = (0.7, 1.25)
# torchvision draws the share of the area, which a scale stands for, and the aspect ratio of 4 / 3.
SHARE = CROP[0] * CROP[1] / (SIZE[0] * SIZE[1])
AREA = (SHARE / SCALE[1] ** 2, SHARE / SCALE[0] ** 2)
FUSED = v2.RandomResizedCrop(CROP, scale=AREA, ratio=(4 / 3, 4 / 3), antialias=True)
OURS_FUSED = RandomResizedCrop(*CROP, scale=SCALE)
BILINEAR = v2.InterpolationMode.BILINEAR

Call = Callable[[], object]


def run() -> None:
    """Print times per sample, and the peer's where it has the same transform."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        _run()
    finally:
        torch.set_num_threads(threads)


def _run() -> None:
    large, small = _sample(*SIZE), _sample(*CROP)
    _say_agreement(large)
    print(f"\n{'ms a sample, one thread':36s} {'ours':>7s} {'peer':>7s}  peer / ours (range)")
    for name, sample, transform, peer in _pairs(large, small):
        _compare(name, _ours([transform], sample), None if peer is None else _theirs(peer, sample))
    light = [OURS_FUSED, HorizontalFlip(), ColorJitter(0.2, 0.2, 0.2)]
    peer_light = v2.Compose([FUSED, v2.RandomHorizontalFlip(), v2.ColorJitter(0.2, 0.2, 0.2)])
    _compare("chain: scale+crop, flip, light", _ours(light, large), _theirs(peer_light, large))
    color = [OURS_FUSED, HorizontalFlip(), ColorJitter(0.2, 0.2, 0.2, 0.05)]
    peer_color = v2.Compose([FUSED, v2.RandomHorizontalFlip(), v2.ColorJitter(0.2, 0.2, 0.2, 0.05)])
    _compare("chain: scale+crop, flip, light, hue", _ours(color, large), _theirs(peer_color, large))


def _pairs(
    large: Sample[LabelMap], small: Sample[LabelMap]
) -> list[tuple[str, Sample[LabelMap], Transform, v2.Transform | None]]:
    rare = RandomResizedCrop(
        *CROP, scale=SCALE, rare_class_probability=1.0, max_category_share=0.75
    )
    return [
        # ScaleJitter divides its target's second number by the height: this target is a scale of 1.
        ("random_scale", large, RandomScale(SCALE), v2.ScaleJitter((480, 360), SCALE)),
        ("resize", large, Resize(*CROP), v2.Resize(CROP)),
        ("random_crop", large, RandomCrop(*CROP), v2.RandomCrop(CROP)),
        ("random_resized_crop", large, OURS_FUSED, FUSED),
        ("random_resized_crop, class-aware", large, rare, None),
        ("pad", small, TRANSFORMS["pad"](height=360, width=480), None),
        ("horizontal_flip", small, HorizontalFlip(1.0), v2.RandomHorizontalFlip(1.0)),
        ("vertical_flip", small, VerticalFlip(1.0), v2.RandomVerticalFlip(1.0)),
        ("quarter_turns", small, TRANSFORMS["quarter_turns"](), None),
        ("rotation", small, Rotation(15.0), v2.RandomRotation([-15, 15], BILINEAR)),
        ("elastic (theirs: another field)", small, Elastic(), v2.ElasticTransform()),
        ("color_jitter, brightness", small, ColorJitter(0.2), v2.ColorJitter(0.2)),
        (
            "color_jitter, light",
            small,
            ColorJitter(0.2, 0.2, 0.2),
            v2.ColorJitter(0.2, 0.2, 0.2),
        ),
        (
            "color_jitter, light and hue",
            small,
            ColorJitter(0.2, 0.2, 0.2, 0.05),
            v2.ColorJitter(0.2, 0.2, 0.2, 0.05),
        ),
        ("blur, sigma 1", small, Blur((1.0, 1.0)), v2.GaussianBlur(7, (1.0, 1.0))),
        ("noise (theirs: float images only)", small, Noise((10.0, 10.0)), None),
        ("border_weights", small, TRANSFORMS["border_weights"](foreground=1), None),
    ]


def _sample(height: int, width: int) -> Sample[LabelMap]:
    """A smooth picture with noise; labels in blobs of five categories, some ignored."""
    generator = np.random.default_rng(0)
    rows, columns = np.mgrid[:height, :width]
    waves = np.sin(rows / 37) + np.cos(columns / 23) + np.sin((rows + columns) / 61)
    labels = np.digitize(waves, [-1.2, -0.4, 0.4, 1.2]).astype(np.uint8)
    labels[waves > 2.2] = 255
    light = 128 + 30 * waves[..., None] + generator.normal(0, 12, (height, width, 3))
    pixels = np.clip(light, 0, 255).astype(np.uint8)
    taxonomy = Taxonomy.from_names(["sky", "road", "tree", "house", "car"])
    return Sample(
        torch.from_numpy(pixels).permute(2, 0, 1),
        LabelMap(torch.from_numpy(labels), taxonomy),
        "drawn",
    )


def _ours(transforms: Sequence[Transform], sample: Sample[LabelMap]) -> Call:
    generator = np.random.default_rng(0)
    return lambda: apply(transforms, sample, generator)


def _theirs(transform: v2.Transform, sample: Sample[LabelMap]) -> Call:
    image, mask = tv_tensors.Image(sample.image), tv_tensors.Mask(sample.target.labels)
    return lambda: transform(image, mask)


def _say_agreement(sample: Sample[LabelMap]) -> None:
    """Both resample the same windows to the same picture, or the times mean nothing."""
    worst = 0
    for top, left, height, width in ((0, 0, 360, 480), (13, 40, 300, 400), (100, 7, 192, 256)):
        ours = resize_image(sample.image[:, top : top + height, left : left + width], CROP)
        theirs = v2.functional.resized_crop(sample.image, top, left, height, width, list(CROP))
        worst = max(worst, int((ours.int() - theirs.int()).abs().max()))
    if worst > 1:
        raise SystemExit(f"data loading: our crops and torchvision's differ by {worst} grey levels")
    print(f"data loading: resampled crops agree with torchvision within {worst} grey levels")


def _compare(name: str, ours: Call, peer: Call | None) -> None:
    for call in (ours, peer):
        if call is not None:
            _milliseconds(call)
    times: list[float] = []
    peer_times: list[float] = []
    for _ in range(ROUNDS):
        times.append(_milliseconds(ours))
        if peer is not None:
            peer_times.append(_milliseconds(peer))
    line = f"{name:36s} {statistics.median(times):7.3f}"
    if peer_times:
        ratios = sorted(b / a for a, b in zip(times, peer_times, strict=True))
        line += f" {statistics.median(peer_times):7.3f}"
        line += f"  {statistics.median(ratios):6.2f} ({ratios[0]:.2f} .. {ratios[-1]:.2f})"
    print(line, flush=True)


def _milliseconds(call: Call) -> float:
    taken: list[float] = []
    for _ in range(CALLS):
        start = time.perf_counter()
        call()
        taken.append(time.perf_counter() - start)
    return 1e3 * statistics.median(taken)


if __name__ == "__main__":
    run()
