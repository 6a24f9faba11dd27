"""The published sliding window, dense against window by window, on one image of 256 x 256.

Every window is the same work, so the peer classifies one window in `SHARE`, spread over the image,
and its time is multiplied; `python -m benchmarks.sliding_window --full` lets it classify all 65,536
once, which takes minutes, and times both. The logits are checked to be equal where both have them.
"""

import sys
import time

import torch
from torch import Tensor

from benchmarks.measure import Comparison, compare
from segscape.models.semantic.sliding_window import SlidingWindow
from segscape.structures import ImageBatch, Size, Taxonomy

# Few enough windows at once to stay in the cache: the fastest for the peer.
SIDE, SHARE, AT_ONCE = 256, 64, 32


def run() -> list[Comparison]:
    """Compare with a share of the windows, and print the factor for all."""
    model, tile = published()
    windows = tile.unfold(2, model.window, 1).unfold(3, model.window, 1)[0]
    step = round(SHARE**0.5)
    # One pixel of each square of `step` pixels, not always the same.
    places = torch.arange(0, SIDE, step)
    rows = (places[:, None] + places // step % step).flatten()
    columns = (places[None, :] + places[:, None] // step % step).flatten()

    @torch.inference_mode()
    def dense() -> Tensor:
        return model.score(tile).logits[0]

    @torch.inference_mode()
    def one_in_many() -> Tensor:
        chunks = zip(rows.split(AT_ONCE), columns.split(AT_ONCE), strict=True)
        return torch.cat(
            [model.score_window(windows[:, r, c].transpose(0, 1)) for r, c in chunks]
        ).T

    found = compare(
        dense,
        one_in_many,
        name=f"all {SIDE}x{SIDE} pixels at once, 1/{SHARE} by windows",
        check=lambda ours, peer: torch.allclose(ours[:, rows, columns], peer, atol=1e-5),
    )
    print(
        f"factor for all windows: {SHARE * found.ratio:.0f}x "
        f"({SHARE * found.ratio_low:.0f}-{SHARE * found.ratio_high:.0f})"
    )
    return [found]


@torch.inference_mode()
def run_full() -> None:
    """Classify every window once, and print the factor."""
    model, tile = published()
    model.score(tile)
    start = time.perf_counter()
    dense = model.score(tile).logits
    middle = time.perf_counter()
    slow = model.score_window_by_window(tile, at_once=AT_ONCE).logits
    end = time.perf_counter()
    difference = float((dense - slow).abs().max())
    print(
        f"dense {middle - start:.2f} s, window by window {end - middle:.1f} s: "
        f"{(end - middle) / (middle - start):.0f}x; logits differ by at most {difference:.1e}"
    )
    if difference > 1e-5:
        raise ValueError("the two forms do not compute the same function")


def published() -> tuple[SlidingWindow, Tensor]:
    """The network of the paper with random weights, and a mirrored image of noise."""
    torch.manual_seed(0)
    model = SlidingWindow(Taxonomy.from_names(["membrane", "cell"])).eval()
    images = ImageBatch(torch.rand(1, 1, SIDE, SIDE), (Size(SIDE, SIDE),))
    return model, model.tiles(images)


if __name__ == "__main__":
    run_full() if "--full" in sys.argv else run()
