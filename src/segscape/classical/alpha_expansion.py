"""Many labels at once: alpha-expansion and alpha-beta swap.

Boykov, Veksler and Zabih 2001, "Fast approximate energy minimization via graph cuts"
(doi:10.1109/34.969114). The energy of labels, their equation 1 (`classical/label_energy.py`), is
lowered by moves, each the best of exponentially many, found by one minimum cut: an expansion
lets every node choose between its label and alpha (their section 5), a swap lets every node
labelled alpha or beta choose between these two (section 4). A cycle tries all labels, or pairs; the
method stops after a cycle that changed nothing. After expansions the energy is then at most 2c
times the least possible one, c the greatest cost of two different labels over the smallest (theorem
6.1; 2 for Potts costs); swaps have no such bound but allow more costs.

Differences from the paper: cuts are built after Kolmogorov and Zabih 2004
(doi:10.1109/TPAMI.2004.1262177), without auxiliary nodes; the same moves, smaller graphs. Two
different labels may cost 0. Costs that are no metric can be cut short (`truncate`): such a move is
no longer the best one, yet never raises the energy. Moves that cannot change anything are left out
at no loss (`ops/label_moves.py` says how).

How it differs from PyMaxflow's `aexpansion_grid` and `abswap_grid`: a weight for every edge, 8
neighbours and any other graph, as that of neighbouring regions; the costs are checked; the energies
are returned. The same energy where both can be used, and the same labels up to ties.

Complexity: a move is linear in the nodes and edges but for the cut, whose worst case is polynomial
and which is near linear on images; a cycle of expansions has k moves, one of swaps k (k - 1) / 2.
About 150 bytes a pixel with 4 neighbours, 230 with 8, and 4 more for each label.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float32, Integer
from numpy import ndarray
from torch import Tensor

from segscape.classical.label_energy import LabelEnergy
from segscape.ops.label_moves import labelling_energy, move, move_space
from segscape.structures import MethodError, SegscapeWarning


@dataclass(frozen=True)
class Labelling:
    """Labels that no move of one kind makes better, and how they were found.

    Args:
        labels: one for each pixel or node, 0..k-1.
        energies: before the first move, then after each; they never rise.
        cycles: how many were made, the last one, which changes nothing, included.
        converged: whether the last cycle changed nothing.
    """

    labels: Integer[Tensor, "*shape"]
    energies: tuple[float, ...]
    cycles: int
    converged: bool

    @property
    def energy(self) -> float:
        """The energy of the labels."""
        return self.energies[-1]


def alpha_expansion(
    energy: LabelEnergy,
    *,
    initial: Integer[Tensor, "..."] | None = None,
    cycles: int = 50,
    order: Literal["fixed", "random"] = "fixed",
    seed: int = 0,
    truncate: bool = False,
) -> Labelling:
    """Lower an energy by expansions of one label after the other.

    Args:
        energy: what to lower; its costs must be a metric.
        initial: labels to start from, as those of a similar image or before an edit; None for the
            label of least unary cost everywhere.
        cycles: the most that are made, 1 or more; a few are enough to converge.
        order: of the labels in a cycle: from 0 up, or shuffled anew for each cycle.
        seed: of the shuffling.
        truncate: take costs that are no metric, with a warning: terms that a cut cannot hold are
            cut short. Energies still never rise, but the bound on them is lost.

    Raises:
        MethodError: for costs that are no metric, initial labels that do not fit, or no cycle.
    """
    offence = _no_metric(energy.costs)
    if offence is not None:
        if not truncate:
            raise MethodError(
                f"alpha_expansion got costs with {offence}: they must be a metric; "
                "use alpha_beta_swap, or truncate=True"
            )
        warnings.warn(
            f"alpha_expansion got costs with {offence}: terms are cut short, and the bound on the "
            "energy is lost",
            SegscapeWarning,
            stacklevel=2,
        )
    moves = [(-1, label) for label in range(energy.labels)] if energy.labels > 1 else []
    return _descend(energy, "alpha_expansion", moves, initial, cycles, order, seed)


def alpha_beta_swap(
    energy: LabelEnergy,
    *,
    initial: Integer[Tensor, "..."] | None = None,
    cycles: int = 50,
    order: Literal["fixed", "random"] = "fixed",
    seed: int = 0,
) -> Labelling:
    """Lower an energy by swaps of two labels, pair after pair.

    Args:
        energy: what to lower; its costs need only be symmetric, 0 or more, and 0 on the diagonal.
        initial: labels to start from; None for the label of least unary cost everywhere.
        cycles: the most that are made, 1 or more.
        order: of the pairs in a cycle: (0, 1), (0, 2) and so on, or shuffled anew for each cycle.
        seed: of the shuffling.

    Raises:
        MethodError: for initial labels that do not fit, or no cycle.
    """
    pairs = list(combinations(range(energy.labels), 2))
    return _descend(energy, "alpha_beta_swap", pairs, initial, cycles, order, seed)


def _descend(
    energy: LabelEnergy,
    method: str,
    moves: Sequence[tuple[int, int]],
    initial: Tensor | None,
    cycles: int,
    order: str,
    seed: int,
) -> Labelling:
    """Cycle through the moves until a cycle changes nothing."""
    if cycles < 1:
        raise MethodError(f"{method} got cycles={cycles}, expected 1 or more")
    if order not in ("fixed", "random"):
        raise MethodError(f"{method} got order={order!r}, expected fixed or random")
    labels = (
        energy.unary.argmin(axis=0).astype(np.int32) if initial is None else energy.checked(initial)
    )
    space = move_space(energy.unary, energy.arcs, energy.costs, labels)
    generator = np.random.default_rng(seed)
    energies = [labelling_energy(energy.unary, energy.arcs, energy.costs, labels)]
    last = [-1] * len(moves)
    done, changed = 0, True
    while changed and done < cycles:
        changed = False
        turn = generator.permutation(len(moves)) if order == "random" else range(len(moves))
        for i in turn:
            number = len(energies)
            gain = float(move(space, *moves[i], number, last[i]))
            last[i] = number
            changed |= gain < 0
            energies.append(energies[-1] + gain)
        done += 1
    return Labelling(
        torch.from_numpy(space.labels).reshape(energy.shape), tuple(energies), done, not changed
    )


def _no_metric(costs: Float32[ndarray, "label label"]) -> str | None:
    """Say where the triangle inequality is broken, if it is."""
    exact = costs.astype(np.float64)
    # Sums of float32 may be wrong in their last digit.
    slack = 1e-6 * exact.max(initial=0)
    for middle in range(len(costs)):
        way = exact[:, middle, None] + exact[middle]
        broken = exact > way + slack
        if broken.any():
            a, b = (int(x) for x in np.argwhere(broken)[0])
            return (
                f"costs[{a}, {b}] = {costs[a, b]:g} above costs[{a}, {middle}] + "
                f"costs[{middle}, {b}] = {way[a, b]:g}"
            )
    return None
