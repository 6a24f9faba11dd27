"""The energy of labels: what each costs at a node, and what two cost side by side.

Boykov, Veksler and Zabih 2001, "Fast approximate energy minimization via graph cuts"
(doi:10.1109/34.969114), equation 1, with an edge's term a weight times a cost of two labels:

    E(f) = sum_p unary[f_p, p] + sum_pq weight[p, q] costs[f_p, f_q]

The paper's costs of two labels are here; `classical/alpha_expansion.py` lowers the energy.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Float32, Int32, Integer
from numpy import ndarray
from torch import Tensor

from segscape.classical.pixels import refuse_beyond_memory
from segscape.ops.label_moves import labelling_energy
from segscape.ops.max_flow import EIGHT, FOUR
from segscape.ops.sparse_cut import Arcs, graph_arcs, grid_arcs
from segscape.structures import MethodError

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


def truncated_costs(
    labels: int, *, truncation: float, power: Literal[1, 2] = 1
) -> Float[Tensor, "{labels} {labels}"]:
    """Cost min(|a - b|^power, truncation) for labels a and b in an order, as depths.

    Linear ones are a metric; quadratic ones a semimetric, which swaps can use and expansions
    cannot.

    Args:
        labels: how many there are, 1 or more.
        truncation: the greatest cost, above 0.
        power: 1 for linear costs, 2 for quadratic ones.

    Raises:
        MethodError: for a truncation of 0 or less, or another power.

    >>> truncated_costs(4, truncation=2.0)[0].tolist()
    [0.0, 1.0, 2.0, 2.0]
    >>> truncated_costs(4, truncation=5.0, power=2)[0].tolist()
    [0.0, 1.0, 4.0, 5.0]
    """
    if not truncation > 0:
        raise MethodError(f"costs got truncation={truncation}: it is the greatest cost, above 0")
    if power not in (1, 2):
        raise MethodError(f"costs got power={power}, expected 1 or 2")
    places = torch.arange(labels, dtype=torch.float32)
    return (places[:, None] - places).abs().pow(power).clamp(max=truncation)


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
        edges = _edge_weights(weights, (len(offsets), height, width))
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
        values = _edge_weights(weights, (len(edges),))
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


def _edge_weights(
    weights: float | Float[Tensor, "..."], shape: tuple[int, ...]
) -> Float32[ndarray, "..."]:
    if not isinstance(weights, Tensor):
        weights = torch.full(shape, float(weights))
    if weights.shape != shape:
        raise MethodError(
            f"LabelEnergy got weights of shape {tuple(weights.shape)}, expected {shape}"
        )
    values = _numbers(weights)
    if values.size and not (values.min() >= 0 and values.max() <= _LARGEST):
        raise MethodError(
            f"LabelEnergy got weights from {values.min()} to {values.max()}: they must be finite "
            "and 0 or more; a negative one, which rewards a difference, cannot be cut"
        )
    return values


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
