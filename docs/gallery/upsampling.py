"""Make the pictures and the numbers of `upsampling.md`: `python docs/gallery/upsampling.py`.

Half a minute on one core, without a download: a small U-Net learns drawn scenes, and its first
layers give the feature maps that all parts enlarge.
"""

import sys
from collections.abc import Callable, Mapping
from itertools import product
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from segscape.datasets.synthetic import SCENE_TAXONOMY, SyntheticSemantic
from segscape.io.image_files import write_image
from segscape.layers.upsampling import (
    UPSAMPLINGS,
    PixelShuffle,
    ResizeConvolution,
    TransposedConvolution,
    Upsampling,
)
from segscape.models import build_model
from segscape.models.outputs import SemanticTarget
from segscape.ops.unpool import pool_with_switches
from segscape.structures import ImageBatch, Size
from segscape.visualize.figures import stacked
from segscape.visualize.lettering import letter
from segscape.visualize.overlay import side_by_side

HERE = Path(__file__).parent
CHANNELS = 16
SIDE, CELL = 11, 20
SCENES = 48
FACTOR = 4
# Rows and columns that are shown of the map: a tree before a house.
WINDOW = (slice(24, 72), slice(44, 92))
# From dark to light in even steps of brightness.
COLORS = torch.tensor(
    [[13, 8, 36], [74, 22, 104], [160, 42, 99], [230, 93, 47], [251, 177, 60], [252, 253, 191]]
)
# Few colours, small files.
SHADES = 48
REPORTED = (0, 50, 100, 200, 400)
PAINTED = (0, 50, 400)


def feature_maps() -> tuple[Float[Tensor, "scene 16 _ _"], Float[Tensor, "scene 16 _ _"]]:
    """Feature maps, of spread 1, of training scenes and of larger scenes never seen."""
    torch.manual_seed(0)
    samples = [SyntheticSemantic(SCENES, size=Size(96, 128))[index] for index in range(SCENES)]
    options = {"encoder": "plain16", "depth": 4, "decoder_channels": [32, 32, 16]}
    model: Any = build_model("unet", SCENE_TAXONOMY, options)
    model.train().to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    for _ in range(90):
        chosen = [samples[index] for index in torch.randint(0, SCENES, (6,)).tolist()]
        images = ImageBatch.stack([sample.image for sample in chosen])
        target = SemanticTarget.stack([sample.target for sample in chosen])
        loss = torch.stack([*model.losses(model(images), target).values()]).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.eval()
    unseen = SyntheticSemantic(6, size=Size(192, 256), split="val")
    maps: list[Tensor] = []
    for images in ([s.image for s in samples], [unseen[index].image for index in range(6)]):
        with torch.no_grad():
            pixels = model.normalize(ImageBatch.stack(images).pixels)
            maps.append(model.encoder(pixels)[1][:, :CHANNELS].contiguous())
    spread = maps[0].std()
    return maps[0] / spread, maps[1] / spread


def learn(
    enlarge: Callable[[Tensor], Tensor],
    parameters: list[nn.Parameter],
    fine: Float[Tensor, "scene 16 _ _"],
    shrink: Callable[[Tensor], Tensor],
    *,
    steps: int,
    watch: Callable[[int], None] = lambda _: None,
) -> None:
    """Learn to bring shrunk maps back, by their mean squared error; `watch` sees every step."""
    optimizer = torch.optim.Adam(parameters, 1e-3)
    for step in range(steps + 1):
        watch(step)
        target = fine[torch.randint(0, len(fine), (4,))]
        loss = F.mse_loss(enlarge(shrink(target)), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def parts(train: Float[Tensor, "scene 16 _ _"], fine: Float[Tensor, "1 16 _ _"]) -> None:
    """Every part on one map, pooled by four."""
    channel = clearest_channel(fine)
    size = Size(*fine.shape[2:])
    coarse, switches = pool_with_switches(fine, window=FACTOR)
    tiles = [paint(fine, channel), paint(coarse, channel, pixels_each=FACTOR)]
    captions = ["the map", "maxima of 4 x 4"]
    for name, part in UPSAMPLINGS.items():
        torch.manual_seed(0)
        upsample = part(CHANNELS, factor=FACTOR)
        if learned := [*upsample.parameters()]:
            learn(
                lambda x, upsample=upsample: upsample(x, Size(x.shape[2] * 4, x.shape[3] * 4)),
                learned,
                train,
                lambda x: F.max_pool2d(x, FACTOR),
                steps=300,
            )
        with torch.no_grad():
            found = upsample(coarse, size, *([switches] if part.needs_switches else []))
        error = F.mse_loss(found, fine).sqrt().item()
        tiles.append(paint(found, channel))
        captions.append(f"{name.replace('_', ' ')}: {error:.2f}")
    grid(tiles, captions, columns=5, name="upsampling_parts.png")


def overlaps() -> None:
    """How many taps of a transposed convolution of stride 2 meet each fine pixel."""
    tiles: list[Tensor] = []
    captions: list[str] = []
    for kernel_size in (2, 3, 4, 5):
        ones = torch.ones(1, 1, kernel_size, kernel_size)
        taps = F.conv_transpose2d(torch.ones(1, 1, 8, 8), ones, stride=2)[0, 0, :SIDE, :SIDE]
        tile = colored(taps / 9).repeat_interleave(CELL, 1).repeat_interleave(CELL, 2)
        for row, column in product(range(SIDE), repeat=2):
            count = int(taps[row, column])
            place = row * CELL + 1, column * CELL + (CELL - 8) // 2
            # Light on dark: letters are dark, so the negative is lettered.
            dark = count < 5
            lettered = letter(255 - tile if dark else tile, f"{count}", *place)
            tile = 255 - lettered if dark else lettered
        tiles.append(tile)
        captions.append(f"kernel {kernel_size}, stride 2")
    grid(tiles, captions, columns=4, name="upsampling_overlaps.png")


def random_shuffle() -> PixelShuffle:
    """Pixel shuffle as first published: the values of a block begin unlike each other."""
    shuffle = PixelShuffle(CHANNELS)
    nn.init.kaiming_normal_(shuffle.convolution.weight, nonlinearity="linear")
    return shuffle


CONTENDERS: Mapping[str, Callable[[], Upsampling]] = {
    "kernel 2": lambda: TransposedConvolution(CHANNELS, kernel_size=2),
    "kernel 3": lambda: TransposedConvolution(CHANNELS, kernel_size=3),
    "kernel 4": lambda: TransposedConvolution(CHANNELS, kernel_size=4),
    "shuffle, random": random_shuffle,
    "pixel shuffle": lambda: PixelShuffle(CHANNELS),
    "resize conv.": lambda: ResizeConvolution(CHANNELS),
}


def checkerboard(
    train: Float[Tensor, "scene 16 _ _"], fine: Float[Tensor, "scene 16 _ _"]
) -> list[str]:
    """Two doublings with a ReLU between, while they learn; the lines of the table of numbers."""
    channel = clearest_channel(fine[:1])
    columns: list[Tensor] = []
    lines = [f"| truth | {nyquist_share(fine):.2%} |"]
    for name, make in CONTENDERS.items():
        torch.manual_seed(0)
        first, second = make(), make()

        def enlarge(x: Tensor, first: Upsampling = first, second: Upsampling = second) -> Tensor:
            half = F.relu(first(x, Size(x.shape[2] * 2, x.shape[3] * 2)))
            return second(half, Size(x.shape[2] * 4, x.shape[3] * 4))

        shares: list[str] = []
        tiles: list[Tensor] = []

        def watch(
            step: int,
            enlarge: Callable[[Tensor], Tensor] = enlarge,
            shares: list[str] = shares,
            tiles: list[Tensor] = tiles,
            name: str = name,
        ) -> None:
            if step not in REPORTED:
                return
            with torch.no_grad():
                found = enlarge(F.avg_pool2d(fine, 4))
            shares.append(f"{nyquist_share(found):.2%}")
            if step in PAINTED:
                tile = paint(found[:1], channel, scale=3, stretch=True)
                tiles.append(side_by_side([tile], captions=[f"{step} steps: {shares[-1]}"]))
            if step == PAINTED[0]:
                tiles.insert(0, side_by_side([spectrum(found[:1])], captions=[name]))

        parameters = [*first.parameters(), *second.parameters()]
        learn(enlarge, parameters, train, lambda x: F.avg_pool2d(x, 4), steps=400, watch=watch)
        columns.append(stacked(tiles, gap=4))
        lines.append(f"| {name} | {' | '.join(shares)} |")
    write_image(HERE / "upsampling_checkerboard.png", side_by_side(columns, gap=6))
    return lines


def nyquist_share(maps: Float[Tensor, "scene channel _ _"]) -> float:
    """The part of the maps' variance at the highest frequency: rows, columns or both alternating.

    The Fourier sums there are those over even and odd rows and columns, so that their energy is the
    variance of the four means.
    """
    inner = maps[..., 8:-8, 8:-8]
    means = [inner[..., row::2, column::2].mean((2, 3)) for row in (0, 1) for column in (0, 1)]
    alternating = torch.stack(means).var(0, unbiased=False)
    return (alternating.sum() / inner.var((2, 3), unbiased=False).sum()).item()


def spectrum(maps: Float[Tensor, "1 channel _ _"]) -> UInt8[Tensor, "3 144 144"]:
    """Energy of each frequency over all channels on a scale of tens, slowest in the middle."""
    inner = maps[0, :, *WINDOW]
    energy = torch.fft.fft2(inner - inner.mean((1, 2), keepdim=True)).abs().square().mean(0)
    tens = torch.fft.fftshift(energy).clamp(min=1e-9).log10()
    shown = ((tens - tens.max() + 4) / 4).clamp(0, 1)
    return colored(shown).repeat_interleave(3, 1).repeat_interleave(3, 2)


def clearest_channel(maps: Float[Tensor, "1 channel _ _"]) -> int:
    """The channel that varies most in the window, compared with its largest value."""
    inner = maps[0, :, *WINDOW]
    return int((inner.std((1, 2)) / inner.amax((1, 2)).clamp(min=1e-6)).argmax())


def paint(
    maps: Float[Tensor, "1 channel _ _"],
    channel: int,
    *,
    pixels_each: int = 1,
    scale: int = 4,
    stretch: bool = False,
) -> UInt8[Tensor, "3 _ _"]:
    """A window of one channel, its pixels as squares; between its extremes or from 0 to 6."""
    values = maps[0, channel].repeat_interleave(pixels_each, 0).repeat_interleave(pixels_each, 1)
    values = values[WINDOW]
    low, high = (values.min(), values.max()) if stretch else (0.0, 6.0)
    shown = ((values - low) / (high - low)).clamp(0, 1)
    return colored(shown).repeat_interleave(scale, 1).repeat_interleave(scale, 2)


def colored(values: Float[Tensor, "height width"]) -> UInt8[Tensor, "3 height width"]:
    """Colours of values from 0 to 1."""
    place = (values * SHADES).round() / SHADES * (len(COLORS) - 1)
    below = place.floor().long().clamp(max=len(COLORS) - 2)
    mixed = torch.lerp(COLORS[below].float(), COLORS[below + 1].float(), (place - below)[..., None])
    return mixed.round().to(torch.uint8).permute(2, 0, 1)


def grid(tiles: list[Tensor], captions: list[str], *, columns: int, name: str) -> None:
    """Write captioned tiles in rows."""
    rows = [
        side_by_side(tiles[start : start + columns], captions=captions[start : start + columns])
        for start in range(0, len(tiles), columns)
    ]
    write_image(HERE / name, stacked(rows))


if __name__ == "__main__":
    seen, unseen = feature_maps()
    parts(seen, unseen[:1])
    overlaps()
    sys.stdout.write("\n".join(checkerboard(seen, unseen)) + "\n")
