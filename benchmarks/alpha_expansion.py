"""Alpha-expansion with 8 labels on 640x480 pixels against PyMaxflow's `aexpansion_grid`.

Potts costs, one weight and 4 neighbours, which is what the peer can do, from the same start (the
label of least cost) in the same order until a cycle changes nothing. Set-up is included. Costs are
distances to the 8 colours that k-means finds in a photograph; little smoothing and much.
"""

import numpy as np
import torch
from jaxtyping import Float32
from skimage.data import coffee
from skimage.transform import resize
from torch import Tensor

from benchmarks.measure import Comparison, compare
from segscape.classical.alpha_expansion import alpha_expansion
from segscape.classical.k_means import k_means
from segscape.classical.label_energy import LabelEnergy, potts_costs

HEIGHT, WIDTH, LABELS = 480, 640, 8


def colour_costs() -> dict[str, Float32[Tensor, "label height width"]]:
    """The costs of the labels, 1 on average at the best label of each pixel."""
    photograph = resize(coffee(), (HEIGHT, WIDTH), anti_aliasing=True).astype(np.float32)
    pixels = torch.from_numpy(photograph).permute(2, 0, 1).contiguous()
    centers = k_means(pixels, clusters=LABELS, color_space="rgb", restarts=1).centers / 100
    distance = torch.cdist(pixels.flatten(1).T, centers).T.reshape(LABELS, HEIGHT, WIDTH)
    return {
        name: (costs / costs.amin(0).mean()).contiguous()
        for name, costs in (("squared distance", distance**2), ("distance", distance))
    }


def run() -> list[Comparison]:
    """Compare little and much smoothing of two kinds of costs."""
    from maxflow.fastmin import aexpansion_grid

    results: list[Comparison] = []
    for name, unary in colour_costs().items():
        for smoothness in (0.3, 1.0):
            theirs = np.ascontiguousarray(unary.permute(1, 2, 0).numpy().astype(np.float64))
            costs = (smoothness * potts_costs(LABELS)).numpy().astype(np.float64)

            def energy(unary: Tensor = unary, smoothness: float = smoothness) -> LabelEnergy:
                return LabelEnergy.on_grid(unary, weights=smoothness)

            def ours(energy=energy) -> Tensor:
                return alpha_expansion(energy()).labels

            def peer(theirs: np.ndarray = theirs, costs: np.ndarray = costs) -> Tensor:
                return torch.from_numpy(aexpansion_grid(theirs, costs))

            judge = energy()

            def no_higher(ours: Tensor, peer: Tensor, judge: LabelEnergy = judge) -> bool:
                mine, other = judge.of(ours), judge.of(peer)
                print(f"energy ours {mine:.4f} peer {other:.4f}")
                return mine <= other * (1 + 1e-7)

            results.append(
                compare(
                    ours,
                    peer,
                    name=f"alpha-expansion, {name}, smoothness {smoothness}",
                    rounds=3,
                    check=no_higher,
                )
            )
    return results


if __name__ == "__main__":
    run()
