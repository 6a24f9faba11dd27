"""Exact minimum cuts, and so maximum flows, of grids: images, volumes and others.

The energies are those of Boykov and Kolmogorov 2004, "An experimental comparison of
min-cut/max-flow algorithms for energy minimization in vision" (doi:10.1109/TPAMI.2004.60). The
algorithm descends from Goldberg, Hed, Kaplan, Kohli, Tarjan and Werneck 2015, "Faster and more
dynamic maximum flow by incremental breadth-first search" (doi:10.1007/978-3-662-48350-3_52), and
through it from the preflows of Goldberg and Tarjan 1988 (doi:10.1145/48014.61051). Terminals that
change keep the flow: Kohli and Torr 2005, "Efficiently solving dynamic Markov random fields using
graph cuts" (doi:10.1109/ICCV.2005.81).

How it works is said in `ops/flow_forest.py`; here the grid is laid out for it.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Shaped
from numpy import ndarray

from segscape.ops.flow_forest import MOST_LEVELS, FlowGraph, flow_forest, reach, run_downhill

FOUR = ((0, 1), (1, 0))
EIGHT = ((0, 1), (1, -1), (1, 0), (1, 1))
SIX = ((0, 0, 1), (0, 1, 0), (1, 0, 0))

# An edge may hold as much again of its reverse, in 32 bits.
_MOST_WHOLE = 2**30 - 1


class GridCut:
    """A minimum cut of a grid, kept for edits: solve, change terminals, solve again.

    The cut splits the pixels into a source side and a sink side so that the sum of what it cuts is
    least: `source` of every pixel on the sink side, `sink` of every pixel on the source side, and
    the edges that lead from the source side to the sink side. That sum is the maximum flow.

    Pixels that could be on either side at the same cost go to the sink side: the source side is the
    smallest of all minimum cuts, so it does not depend on the way it was found. Pixels without any
    capacity are on the sink side, and cost nothing but memory.

    Edges are held as float32, or as int32 when all capacities are integers (then the cut is exact
    to the last unit); terminals as float64 or int64. At 8 neighbours that and the work take 63
    bytes a pixel.

    Args:
        source: capacities from the source, 0 or more: what it costs to be on the sink side.
        sink: capacities to the sink, 0 or more: what it costs to be on the source side.
        edges: for each offset, capacities from each pixel p to p + offset, 0 or more; those that
            lead out of the grid are ignored.
        reverse: the same for p + offset to p; None for the same capacities both ways.
        offsets: steps along the axes, one of each pair of opposite ones: `FOUR`, `EIGHT` for
            images, `SIX` for volumes, or up to 60 others.

    Raises:
        ValueError: for shapes that do not fit, for capacities that are negative, not finite or
            beyond their type.

    >>> source, sink = np.array([[9, 1, 0, 0]]), np.array([[0, 0, 2, 9]])
    >>> edges = np.array([[[5, 1, 5, 0]]])
    >>> cut = GridCut(source, sink, edges, offsets=((0, 1),))
    >>> cut.solve(), cut.source_side.astype(int).tolist()
    (1.0, [[1, 1, 0, 0]])
    >>> cut.add_terminals(np.array([[0, 0, 9, 0]]), np.array([[0, 0, 0, 0]]))
    >>> cut.solve(), cut.source_side.astype(int).tolist()
    (7.0, [[1, 1, 1, 0]])
    """

    def __init__(
        self,
        source: Shaped[ndarray, "*grid"],
        sink: Shaped[ndarray, "*grid"],
        edges: Shaped[ndarray, "offset *grid"],
        reverse: Shaped[ndarray, "offset *grid"] | None = None,
        *,
        offsets: Sequence[Sequence[int]] = EIGHT,
    ) -> None:
        reverse = edges if reverse is None else reverse
        steps = np.array(offsets, np.int64).reshape(len(offsets), -1)
        _check_grid(source, sink, edges, reverse, steps)
        whole = _are_whole(source, sink, edges, reverse)
        # The forest covers the larger side, whose nodes reach their terminal soonest: where that is
        # the source's, all arcs and signs are turned round.
        self._mirrored = bool(np.count_nonzero(source > sink) > np.count_nonzero(source < sink))
        ahead, behind = (reverse, edges) if self._mirrored else (edges, reverse)
        self._frame = np.abs(steps).max(axis=0)
        self._framed = tuple(int(n) for n in np.array(source.shape) + 2 * self._frame)
        strides = np.append(np.cumprod(self._framed[:0:-1])[::-1], 1).astype(np.int64)
        order = np.argsort(steps @ strides)
        ways = (steps @ strides)[order]
        residual = np.zeros((*self._framed, 2 * len(steps)), np.int32 if whole else np.float32)
        for place, k in enumerate(order):
            inside, start, end = _places(source.shape, self._frame, steps[k])
            residual[(*start, len(steps) + place)] = ahead[k][inside]
            residual[(*end, len(steps) - 1 - place)] = behind[k][inside]
        excess = np.zeros(self._framed, np.int64 if whole else np.float64)
        self._graph = FlowGraph(
            residual.reshape(-1), excess.reshape(-1), np.concatenate([-ways[::-1], ways])
        )
        self._excess = _inner(excess, self._frame, source.shape)
        self._side = np.zeros(excess.size, np.bool_)
        self._supply = 0.0
        self._change(source, sink)

    def solve(self) -> float:
        """Find the minimum cut, going on from the last flow if there is one; return its sum."""
        forest = flow_forest(self._graph.excess.size)
        while not run_downhill(self._graph, forest, MOST_LEVELS):
            forest.height.fill(-1)
        if self._mirrored:
            np.greater_equal(forest.height, 0, out=self._side)
        else:
            self._side.fill(False)
            reach(self._graph, forest.orphans, self._side)
        del forest  # before as much is taken for the sum
        return self._supply - float(np.maximum(self._graph.excess, 0).sum())

    @property
    def source_side(self) -> Bool[ndarray, "*grid"]:
        """Where pixels are on the source side, after `solve`."""
        side = self._side.reshape(self._framed)
        return _inner(side, self._frame, self._excess.shape).copy()

    def add_terminals(
        self, source: Shaped[ndarray, "*grid"], sink: Shaped[ndarray, "*grid"]
    ) -> None:
        """Change the capacities of the terminals; the flow found so far is kept.

        Args:
            source: what is added to the capacities from the source; may be negative. A sum below
                zero is right, too: it rewards the sink side.
            sink: what is added to those to the sink, likewise.

        Raises:
            ValueError: for another shape, values that are not finite, or floats for a cut of
                integers.
        """
        for name, values in (("source", source), ("sink", sink)):
            if values.shape != self._excess.shape:
                raise ValueError(
                    f"add_terminals got {name} of shape {values.shape}, "
                    f"expected {self._excess.shape}"
                )
            if np.issubdtype(values.dtype, np.floating):
                if self._excess.dtype == np.int64:
                    raise ValueError(
                        f"add_terminals got {name} of {values.dtype} for a cut of integers: "
                        "round it, or build the cut from floats"
                    )
                if not np.isfinite(values).all():
                    raise ValueError(f"add_terminals got {name} with values that are not finite")
            elif values.size and max(-int(values.min()), int(values.max())) > _MOST_WHOLE:
                raise ValueError(
                    f"add_terminals got {name} beyond {_MOST_WHOLE:,}: divide all by a common "
                    "number"
                )
        self._change(source, sink)

    def _change(self, source: ndarray, sink: ndarray) -> None:
        gain, loss = (sink, source) if self._mirrored else (source, sink)
        self._excess += gain.astype(self._excess.dtype, copy=False)
        self._excess -= loss.astype(self._excess.dtype, copy=False)
        self._supply += float(gain.sum(dtype=np.float64))


def _inner(framed: ndarray, frame: ndarray, shape: tuple[int, ...]) -> ndarray:
    return framed[tuple(slice(f, f + n) for f, n in zip(frame, shape, strict=True))]


def _places(
    shape: tuple[int, ...], frame: ndarray, step: ndarray
) -> tuple[tuple[slice, ...], tuple[slice, ...], tuple[slice, ...]]:
    """Where edges of one offset start that stay inside; the same places, and their ends, framed."""
    low = [max(0, -int(s)) for s in step]
    high = [max(a, n - max(0, int(s))) for a, n, s in zip(low, shape, step, strict=True)]
    inside = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    start = tuple(slice(f + a, f + b) for a, b, f in zip(low, high, frame, strict=True))
    end = tuple(slice(p.start + s, p.stop + s) for p, s in zip(start, step, strict=True))
    return inside, start, end


def _check_grid(
    source: ndarray, sink: ndarray, edges: ndarray, reverse: ndarray, steps: ndarray
) -> None:
    if source.shape != sink.shape or source.size == 0:
        raise ValueError(
            f"GridCut got source {source.shape} and sink {sink.shape}, "
            "expected one shape with at least one pixel"
        )
    if steps.shape[1] != source.ndim:
        raise ValueError(
            f"GridCut got offsets of {steps.shape[1]} axes for a grid of {source.ndim}: "
            "use FOUR or EIGHT for images, SIX for volumes"
        )
    if not 0 < len(steps) <= 60 or len({tuple(s) for s in (*steps, *-steps)}) != 2 * len(steps):
        raise ValueError(
            f"GridCut got offsets {steps.tolist()}: expected 1 to 60 that differ from each other, "
            "from their opposites and from zero"
        )
    if edges.shape != (len(steps), *source.shape) or reverse.shape != edges.shape:
        raise ValueError(
            f"GridCut got edges {edges.shape} and reverse {reverse.shape}, "
            f"expected {(len(steps), *source.shape)}"
        )
    _check_capacities(source=source, sink=sink, edges=edges, reverse=reverse)


def _check_capacities(**arrays: ndarray) -> None:
    for name, values in arrays.items():
        if values.dtype.kind not in "biuf":
            raise ValueError(f"got {name} of {values.dtype}, expected integers or floats")
        least, most = values.min(), values.max()
        if not least >= 0:
            raise ValueError(
                f"got {name} with {least}: capacities are 0 or more (a negative terminal is a "
                "positive one of the other terminal; negative edges make another, harder problem)"
            )
        limit = _MOST_WHOLE if np.issubdtype(values.dtype, np.integer) else 1e38
        if not most <= limit:
            raise ValueError(
                f"got {name} with {most}, expected at most {limit:.3g}: divide all by a common "
                "number"
            )


def _are_whole(*arrays: ndarray) -> bool:
    return all(np.issubdtype(a.dtype, np.integer) or a.dtype == np.bool_ for a in arrays)
