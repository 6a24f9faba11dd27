"""Many labels at once: alpha-expansion and alpha-beta swap.

Boykov, Veksler and Zabih 2001, "Fast approximate energy minimization via graph cuts"
(doi:10.1109/34.969114). The energy of labels f, their equation 1 with an edge's term a weight times
a cost of two labels:

    E(f) = sum_p unary[f_p, p] + sum_pq weight[p, q] costs[f_p, f_q]

is lowered by moves, each the best of exponentially many, found by one minimum cut: an expansion
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
from jaxtyping import Float, Float32, Int32, Integer
from numpy import ndarray
from torch import Tensor

from segscape.classical.pixels import refuse_beyond_memory
from segscape.ops.label_moves import labelling_energy, move, move_space
from segscape.ops.max_flow import EIGHT, FOUR
from segscape.ops.sparse_cut import Arcs, graph_arcs, grid_arcs
from segscape.structures import MethodError, SegscapeWarning

# Steps in (row, column) to half of a pixel's neighbours; the other half are their opposites.
GRID_OFFSETS = {4: FOUR, 8: EIGHT}
_LARGEST = 1e30


def potts_costs(labels: int) -> Float[Tensor, "{labels} {labels}"]:
    """Cost 1 for two different labels, 0 for the same: a metric.

    Args:
        labels: how many there are, 1 or more.

    >>> potts_costs(2).tolist()
    [[0.0, 1.0], [1.0, 0.0]]
    """
    return 1 - torch.eye(labels)


def truncated_linear_costs(labels: int, *, truncation: float) -> Float[Tensor, "{labels} {labels}"]:
    """Cost min(|a - b|, truncation) for labels a and b in an order, as depths: a metric.

    Args:
        labels: how many there are, 1 or more.
        truncation: the greatest cost, above 0.

    Raises:
        MethodError: for a truncation of 0 or less.

    >>> truncated_linear_costs(4, truncation=2.0)[0].tolist()
    [0.0, 1.0, 2.0, 2.0]
    """
    return _differences(labels, truncation).clamp(max=truncation)


def truncated_quadratic_costs(
    labels: int, *, truncation: float
) -> Float[Tensor, "{labels} {labels}"]:
    """Cost min((a - b)^2, truncation): a semimetric, which swaps can use and expansions cannot.

    Args:
        labels: how many there are, 1 or more.
        truncation: the greatest cost, above 0.

    Raises:
        MethodError: for a truncation of 0 or less.

    >>> truncated_quadratic_costs(4, truncation=5.0)[0].tolist()
    [0.0, 1.0, 4.0, 5.0]
    """
    return _differences(labels, truncation).square().clamp(max=truncation)


def _differences(labels: int, truncation: float) -> Tensor:
    if not truncation > 0:
        raise MethodError(f"costs got truncation={truncation}: it is the greatest cost, above 0")
    places = torch.arange(labels, dtype=torch.float32)
    return (places[:, None] - places).abs()


@dataclass(frozen=True)
class LabelEnergy:
    """What labels cost, on a grid or another graph; made by `on_grid` or `on_graph`.

    Args:
        unary: the cost of each label at each node.
        arcs: the edges and their weights.
        costs: of two labels at the ends of an edge, per unit of its weight.
        shape: of the labels: height and width, or the number of nodes.
    """

    unary: Float32[ndarray, "label node"]
    arcs: Arcs
    costs: Float32[ndarray, "label label"]
    shape: tuple[int, ...]

    @classmethod
    def on_grid(
        cls,
        unary: Float[Tensor, "label height width"],
        *,
        weights: float | Float[Tensor, "offset height width"] = 1.0,
        costs: Float[Tensor, "label label"] | None = None,
        neighbors: Literal[4, 8] = 4,
    ) -> "LabelEnergy":
        """Make the energy of an image's labels.

        Args:
            unary: the cost of each label at each pixel; any finite numbers.
            weights: of the edges, 0 or more: one for all, or, for each offset of
                `GRID_OFFSETS[neighbors]`, of the edge from each pixel p to p + offset; those that
                lead out are ignored.
            costs: of two labels, symmetric, 0 or more, 0 for the same; None for Potts costs.
            neighbors: of a pixel, 4 or 8.

        Raises:
            MethodError: for costs or weights that are not finite or negative, shapes that do not
                fit, or more pixels than memory holds.
        """
        if neighbors not in GRID_OFFSETS:
            raise MethodError(f"LabelEnergy got neighbors={neighbors}, expected 4 or 8")
        offsets = GRID_OFFSETS[neighbors]
        _check_shape(unary, 3)
        labels, height, width = unary.shape
        refuse_large_energy(labels, height * width, neighbors * height * width)
        _check_range(unary)
        if isinstance(weights, Tensor):
            if weights.shape != (len(offsets), height, width):
                raise MethodError(
                    f"LabelEnergy got weights of shape {tuple(weights.shape)} for {neighbors} "
                    f"neighbors, expected {(len(offsets), height, width)}"
                )
            edges = _numbers(weights)
        else:
            edges = np.full((len(offsets), height, width), weights, np.float32)
        _check_weights(edges)
        flat = _numbers(unary).reshape(labels, -1)
        return cls(flat, grid_arcs(edges, offsets), _checked_costs(costs, labels), (height, width))

    @classmethod
    def on_graph(
        cls,
        unary: Float[Tensor, "label node"],
        edges: Integer[Tensor, "edge 2"],
        *,
        weights: float | Float[Tensor, "edge"] = 1.0,
        costs: Float[Tensor, "label label"] | None = None,
    ) -> "LabelEnergy":
        """Make the energy of labels of any graph, as one of regions that touch.

        Args:
            unary: the cost of each label at each node; any finite numbers.
            edges: pairs of nodes, each pair once; those given twice add up.
            weights: of the edges, 0 or more: one for all, or one for each.
            costs: of two labels, symmetric, 0 or more, 0 for the same; None for Potts costs.

        Raises:
            MethodError: for costs or weights that are not finite or negative, edges to nodes that
                are not there, shapes that do not fit, or more nodes than memory holds.
        """
        _check_shape(unary, 2)
        labels, count = unary.shape
        refuse_large_energy(labels, count, 2 * len(edges))
        _check_range(unary)
        if len(edges) and not (int(edges.min()) >= 0 and int(edges.max()) < count):
            raise MethodError(
                f"LabelEnergy got edges of nodes {int(edges.min())}..{int(edges.max())}, "
                f"expected 0..{count - 1}"
            )
        if isinstance(weights, Tensor):
            if weights.shape != (len(edges),):
                raise MethodError(
                    f"LabelEnergy got {tuple(weights.shape)} weights for {len(edges)} edges"
                )
            values = _numbers(weights)
        else:
            values = np.full(len(edges), weights, np.float32)
        _check_weights(values)
        pairs = np.ascontiguousarray(edges.detach().cpu().numpy().astype(np.int32))
        arcs = graph_arcs(count, pairs.reshape(-1, 2), values)
        return cls(_numbers(unary), arcs, _checked_costs(costs, labels), (count,))

    @property
    def labels(self) -> int:
        """The number of labels."""
        return len(self.costs)

    def of(self, labels: Integer[Tensor, "..."]) -> float:
        """Return the energy of a labelling.

        Args:
            labels: one for each pixel or node, 0..k-1.

        Raises:
            MethodError: for another shape or other labels.
        """
        return labelling_energy(self.unary, self.arcs, self.costs, self.checked(labels))

    def checked(self, labels: Integer[Tensor, "..."]) -> Int32[ndarray, "node"]:
        """Bring a labelling to a row of numbers.

        Raises:
            MethodError: for another shape or other labels than 0..k-1.
        """
        if tuple(labels.shape) != self.shape:
            raise MethodError(
                f"LabelEnergy got labels of shape {tuple(labels.shape)}, expected {self.shape}"
            )
        if not (int(labels.min()) >= 0 and int(labels.max()) < self.labels):
            raise MethodError(
                f"LabelEnergy got labels {int(labels.min())}..{int(labels.max())}, "
                f"expected 0..{self.labels - 1}"
            )
        return labels.detach().cpu().reshape(-1).numpy().astype(np.int32)


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


def refuse_large_energy(labels: int, nodes: int, arcs: int) -> None:
    """Refuse what this machine cannot hold.

    Args:
        labels: how many there are.
        nodes: likewise.
        arcs: twice the number of edges.

    Raises:
        MethodError: when an energy and its moves need more memory than is free.
    """
    cure = "label superpixels by LabelEnergy.on_graph, or shrink the image"
    refuse_beyond_memory(
        nodes * (8.0 * labels + 75) + 24.0 * arcs, "a labelling by alpha-expansion or swaps", cure
    )
    if arcs >= 2**31:
        raise MethodError(f"LabelEnergy got {arcs:,} arcs, expected less than 2^31: {cure}")


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


def _numbers(values: Tensor) -> Float32[ndarray, "..."]:
    return np.ascontiguousarray(values.detach().to("cpu", torch.float32).numpy())


def _check_shape(unary: Tensor, axes: int) -> None:
    if unary.ndim != axes or unary.numel() == 0:
        raise MethodError(
            f"LabelEnergy got unary costs of shape {tuple(unary.shape)}, expected "
            + ("label x height x width" if axes == 3 else "label x node")
            + ", each at least 1"
        )


def _check_range(unary: Tensor) -> None:
    low, high = (float(x) for x in torch.aminmax(unary))
    if not (low >= -_LARGEST and high <= _LARGEST):
        raise MethodError(
            f"LabelEnergy got unary costs from {low} to {high}: they must be finite; for a label "
            "that is not allowed give a cost larger than all others together"
        )


def _check_weights(weights: ndarray) -> None:
    if weights.size and not (weights.min() >= 0 and weights.max() <= _LARGEST):
        raise MethodError(
            f"LabelEnergy got weights from {weights.min()} to {weights.max()}: they must be finite "
            "and 0 or more; a negative one, which rewards a difference, cannot be cut"
        )


def _checked_costs(costs: Tensor | None, labels: int) -> Float32[ndarray, "label label"]:
    """Refuse costs that are no semimetric (but for zeros), naming the labels."""
    if costs is None:
        return _numbers(potts_costs(labels))
    if costs.shape != (labels, labels):
        raise MethodError(
            f"LabelEnergy got costs of shape {tuple(costs.shape)} for {labels} labels, "
            f"expected {(labels, labels)}"
        )
    values = _numbers(costs)
    for wrong, what, cure in (
        (~(np.abs(values) <= _LARGEST), "not finite", "give a large number"),
        (values < 0, "negative", "add a constant to all costs of two different labels"),
        (values != values.T, "unlike its mirror", "give (costs + costs.T) / 2"),
        ((values != 0) & np.eye(labels, dtype=bool), "above 0 for one label", "set it to 0"),
    ):
        if wrong.any():
            a, b = (int(x) for x in np.argwhere(wrong)[0])
            raise MethodError(f"LabelEnergy got costs[{a}, {b}] = {values[a, b]}, {what}: {cure}")
    return values


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
