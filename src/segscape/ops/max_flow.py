"""Exact minimum cuts, and so maximum flows, on grids of pixels or voxels.

Boykov and Kolmogorov 2004, "An experimental comparison of min-cut/max-flow algorithms for energy
minimization in vision" (doi:10.1109/TPAMI.2004.60); changed terminals keep the flow, Kohli and Torr
2005, "Efficiently solving dynamic Markov random fields using graph cuts" (doi:10.1109/ICCV.2005.81).
"""

from collections.abc import Sequence
from typing import no_type_check

import numba
import numpy as np
from jaxtyping import Bool, Shaped
from numpy import ndarray

FOUR = ((0, 1), (1, 0))
EIGHT = ((0, 1), (1, -1), (1, 0), (1, 1))
SIX = ((0, 0, 1), (0, 1, 0), (1, 0, 0))

_FREE, _SOURCE, _SINK = 0, 1, 2
_TERMINAL, _NONE = 254, 255


class GridCut:
    """A minimum cut of a grid, kept for edits: solve, change terminals, solve again.

    The cut splits the pixels into a source side and a sink side so that the sum of what it cuts is
    least: `source` of every pixel on the sink side, `sink` of every pixel on the source side, and
    the edges that lead from the source side to the sink side. That sum is the maximum flow.

    Pixels that could be on either side at the same cost go to the sink side: the source side is the
    smallest of all minimum cuts, so it does not depend on the way it was found. Pixels without any
    capacity are on the sink side, and cost nothing but memory.

    Capacities are held as float32, or as int32 when all are integers (exact, and a little faster).

    Args:
        source: capacities from the source, 0 or more: what it costs to be on the sink side.
        sink: capacities to the sink, 0 or more: what it costs to be on the source side.
        edges: for each offset, capacities from each pixel p to p + offset, 0 or more; those that
            lead out of the grid are ignored.
        reverse: the same for p + offset to p; None for the same capacities both ways.
        offsets: steps along the axes, one of each pair of opposite ones: `FOUR`, `EIGHT` for
            images, `SIX` for volumes, or others.

    Raises:
        ValueError: for shapes that do not fit, for capacities that are negative or not finite, or
            integers whose sum at one pixel is beyond 2^31.

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
        _check_shapes(source, sink, edges, reverse, steps)
        for name, values in (("source", source), ("sink", sink), ("edges", edges)):
            _check_capacities(name, values)
        _check_capacities("reverse", reverse)
        self._shape = source.shape
        self._dtype = _common_type(source, sink, edges, reverse)
        self._frame = np.abs(steps).max(axis=0)
        framed = tuple(np.array(self._shape) + 2 * self._frame)
        strides = np.append(np.cumprod(framed[:0:-1])[::-1], 1).astype(np.int64)
        ahead = steps @ strides
        order = np.argsort(ahead)
        self._offsets = np.concatenate([-ahead[order][::-1], ahead[order]])
        self._residual = np.zeros((*framed, 2 * len(steps)), self._dtype)
        for place, k in enumerate(order):
            self._set_edges(edges[k], steps[k], len(steps) + place, tail=True)
            self._set_edges(reverse[k], steps[k], len(steps) - 1 - place, tail=False)
        self._excess = np.zeros(framed, self._dtype)
        self._inner(self._excess)[...] = source.astype(self._dtype) - sink.astype(self._dtype)
        self._all_sink = float(source.sum(dtype=np.float64))
        self._tree = np.zeros(framed, np.uint8)
        self._check_range()

    def solve(self) -> float:
        """Find the minimum cut, from the last one's flow on if there is one, and return its sum."""
        count = self._excess.size
        _grow_and_augment(
            self._residual.reshape(count, -1),
            self._excess.ravel(),
            self._offsets,
            self._tree.ravel(),
            np.empty(count, np.uint8),
            np.zeros(count, np.int32),
            np.zeros(count, np.int32),
            np.empty(count, np.int32),
            np.empty(count, np.int32),
        )
        return self._all_sink - float(np.maximum(self._excess, 0).sum(dtype=np.float64))

    @property
    def source_side(self) -> Bool[ndarray, "*grid"]:
        """Where pixels are on the source side, after `solve`."""
        return self._inner(self._tree) == _SOURCE

    def add_terminals(
        self, source: Shaped[ndarray, "*grid"], sink: Shaped[ndarray, "*grid"]
    ) -> None:
        """Change the capacities of the terminals; the flow found so far is kept.

        Args:
            source: what is added to the capacities from the source; may be negative. A sum below
                zero is right, too: it rewards the sink side.
            sink: what is added to those to the sink, likewise.

        Raises:
            ValueError: for another shape, values that are not finite, floats for a cut of integers,
                or integers whose sum at one pixel is beyond 2^31.
        """
        for name, values in (("source", source), ("sink", sink)):
            if values.shape != self._shape:
                raise ValueError(
                    f"add_terminals got {name} of shape {values.shape}, expected {self._shape}"
                )
            if np.issubdtype(values.dtype, np.floating):
                if self._dtype == np.int32:
                    raise ValueError(
                        f"add_terminals got {name} of {values.dtype} for a cut of integers: "
                        "round it, or build the cut from floats"
                    )
                if not np.isfinite(values).all():
                    raise ValueError(f"add_terminals got {name} with values that are not finite")
        change = source.astype(self._dtype) - sink.astype(self._dtype)
        self._inner(self._excess)[...] += change
        self._all_sink += float(source.sum(dtype=np.float64))
        self._check_range()

    def _inner(self, framed: ndarray) -> ndarray:
        """The pixels without the frame of zeros that spares the kernel the tests for borders."""
        return framed[tuple(slice(f, f + n) for f, n in zip(self._frame, self._shape, strict=True))]

    def _set_edges(self, values: ndarray, step: ndarray, place: int, *, tail: bool) -> None:
        """Write one offset's capacities where the edge starts (tail) or ends."""
        here: list[slice] = []
        inside: list[slice] = []
        for f, n, s in zip(self._frame, self._shape, step, strict=True):
            low, high = max(0, -s), n - max(0, s)
            inside.append(slice(low, max(low, high)))
            shift = f if tail else f + s
            here.append(slice(shift + low, shift + max(low, high)))
        self._residual[(*here, place)] = values[tuple(inside)]

    def _check_range(self) -> None:
        if self._dtype != np.int32:
            return
        # What a pixel can come to hold: its own, and all that its edges can bring.
        most = np.abs(self._excess.astype(np.int64)) + 2 * self._residual.sum(
            axis=-1, dtype=np.int64
        )
        if most.max(initial=0) >= 2**31:
            raise ValueError(
                f"integer capacities at one pixel add up to {most.max():,}, beyond 2^31: "
                "divide all by a common number, or use floats"
            )


def _check_shapes(
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
    if len({tuple(s) for s in (*steps, *-steps)}) != 2 * len(steps):
        raise ValueError(
            f"GridCut got offsets {steps.tolist()}: each must differ from the others, their "
            "opposites and zero"
        )
    if edges.shape != (len(steps), *source.shape) or reverse.shape != edges.shape:
        raise ValueError(
            f"GridCut got edges {edges.shape} and reverse {reverse.shape}, "
            f"expected {(len(steps), *source.shape)}"
        )


def _check_capacities(name: str, values: ndarray) -> None:
    least = values.min()
    if not (least >= 0 and values.max() < np.inf):
        raise ValueError(
            f"GridCut got {name} with "
            + (f"{least}" if least < 0 else "values that are not finite")
            + ": capacities are finite and 0 or more (a negative terminal is the other terminal's "
            "positive; a negative edge makes the problem another, harder one)"
        )


def _common_type(*arrays: ndarray) -> np.dtype:
    whole = all(np.issubdtype(a.dtype, np.integer) or a.dtype == np.bool_ for a in arrays)
    if whole and max(int(a.max()) for a in arrays) >= 2**31:
        raise ValueError(
            "GridCut got integers beyond 2^31: divide all by a common number, or use floats"
        )
    return np.dtype(np.int32 if whole else np.float32)


@numba.njit(cache=True, nogil=True)
@no_type_check
def _grow_and_augment(  # noqa: ANN202
    residual,  # noqa: ANN001
    excess,  # noqa: ANN001
    offsets,  # noqa: ANN001
    tree,  # noqa: ANN001
    parent,  # noqa: ANN001
    stamp,  # noqa: ANN001
    distance,  # noqa: ANN001
    following,  # noqa: ANN001
    orphans,  # noqa: ANN001
):
    """Boykov and Kolmogorov's growth, augmentation and adoption until no path is left."""
    count = excess.shape[0]
    degree = offsets.shape[0]
    first = -1
    last = -1
    for v in range(count):
        following[v] = -1
        if excess[v] != 0:
            tree[v] = _SOURCE if excess[v] > 0 else _SINK
            parent[v] = _TERMINAL
            distance[v] = 1
            if first < 0:
                first = v
            else:
                following[last] = v
            last = v
            following[v] = v
        else:
            tree[v] = _FREE
            parent[v] = _NONE
    time = 0
    current = -1
    while True:
        p = current
        if p < 0 or tree[p] == _FREE:
            current = -1
            p = -1
            while first >= 0:
                p = first
                first = following[p] if following[p] != p else -1
                following[p] = -1
                if tree[p] != _FREE:
                    break
                p = -1
            if p < 0:
                return
        side = tree[p]
        u = -1
        way = 0
        for d in range(degree):
            q = p + offsets[d]
            back = degree - 1 - d
            open_ = residual[p, d] > 0 if side == _SOURCE else residual[q, back] > 0
            if not open_:
                continue
            if tree[q] == _FREE:
                tree[q] = side
                parent[q] = back
                distance[q] = distance[p] + 1
                stamp[q] = stamp[p]
                if following[q] < 0:
                    if first < 0:
                        first = q
                    else:
                        following[last] = q
                    last = q
                    following[q] = q
            elif tree[q] != side:
                u = p if side == _SOURCE else q
                way = d if side == _SOURCE else back
                break
            elif stamp[q] <= stamp[p] and distance[q] > distance[p] + 1:
                parent[q] = back
                distance[q] = distance[p] + 1
                stamp[q] = stamp[p]
        if u < 0:
            current = -1
            continue
        current = p
        time += 1
        w = u + offsets[way]
        amount = residual[u, way]
        v = u
        while parent[v] != _TERMINAL:
            d = parent[v]
            v += offsets[d]
            amount = min(amount, residual[v, degree - 1 - d])
        amount = min(amount, excess[v])
        v = w
        while parent[v] != _TERMINAL:
            d = parent[v]
            amount = min(amount, residual[v, d])
            v += offsets[d]
        amount = min(amount, -excess[v])
        waiting = 0
        residual[u, way] -= amount
        residual[w, degree - 1 - way] += amount
        v = u
        while parent[v] != _TERMINAL:
            d = parent[v]
            q = v + offsets[d]
            residual[v, d] += amount
            residual[q, degree - 1 - d] -= amount
            if residual[q, degree - 1 - d] <= 0:
                parent[v] = _NONE
                orphans[waiting] = v
                waiting += 1
            v = q
        excess[v] -= amount
        if excess[v] <= 0:
            parent[v] = _NONE
            orphans[waiting] = v
            waiting += 1
        v = w
        while parent[v] != _TERMINAL:
            d = parent[v]
            q = v + offsets[d]
            residual[v, d] -= amount
            residual[q, degree - 1 - d] += amount
            if residual[v, d] <= 0:
                parent[v] = _NONE
                orphans[waiting] = v
                waiting += 1
            v = q
        excess[v] += amount
        if excess[v] >= 0:
            parent[v] = _NONE
            orphans[waiting] = v
            waiting += 1
        while waiting > 0:
            waiting -= 1
            v = orphans[waiting]
            side = tree[v]
            best = _NONE
            nearest = 2147483647
            for d in range(degree):
                q = v + offsets[d]
                if tree[q] != side or parent[q] == _NONE:
                    continue
                if side == _SOURCE:
                    if residual[q, degree - 1 - d] <= 0:
                        continue
                elif residual[v, d] <= 0:
                    continue
                x = q
                steps = 0
                while True:
                    if stamp[x] == time:
                        steps += distance[x]
                        break
                    if parent[x] == _TERMINAL:
                        stamp[x] = time
                        distance[x] = 1
                        steps += 1
                        break
                    if parent[x] == _NONE:
                        steps = -1
                        break
                    steps += 1
                    x += offsets[parent[x]]
                if steps < 0:
                    continue
                if steps < nearest:
                    nearest = steps
                    best = d
                x = q
                while stamp[x] != time:
                    stamp[x] = time
                    distance[x] = steps
                    steps -= 1
                    x += offsets[parent[x]]
            if best != _NONE:
                parent[v] = best
                stamp[v] = time
                distance[v] = nearest + 1
                continue
            for d in range(degree):
                q = v + offsets[d]
                if tree[q] != side:
                    continue
                back = degree - 1 - d
                open_ = residual[q, back] > 0 if side == _SOURCE else residual[v, d] > 0
                if open_ and following[q] < 0:
                    if first < 0:
                        first = q
                    else:
                        following[last] = q
                    last = q
                    following[q] = q
                if parent[q] == back:
                    parent[q] = _NONE
                    orphans[waiting] = q
                    waiting += 1
            tree[v] = _FREE
