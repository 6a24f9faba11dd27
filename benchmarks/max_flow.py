"""Cut 640 x 480 pixels with 8 neighbours against PyMaxflow: set-up, flow and labels, memory.

The photograph is scikit-image's coffee cup. `strokes`: few strong marks, colours weigh much;
`marks`: the same with GrabCut's weight of boundaries; `noise`: no marks, weak and noisy colours;
`smooth`: the same with boundaries eight times as dear, where flows go far.
"""

import time

import maxflow
import numpy as np
import skimage.data
import skimage.transform
from numpy import ndarray

from benchmarks.measure import Comparison, compare, peak_memory
from segscape.ops.contrast import neighbours
from segscape.ops.max_flow import EIGHT, GridCut

HEIGHT, WIDTH = 480, 640
_WEIGHTS = {"strokes": 4.0, "marks": 50.0, "noise": 50.0, "smooth": 400.0}


def instance(kind: str) -> tuple[ndarray, ndarray, ndarray]:
    """Terminals and edges of one of the kinds above."""
    image = skimage.transform.resize(
        skimage.data.coffee(), (HEIGHT, WIDTH), anti_aliasing=True
    ).astype(np.float32)
    pairs = list(neighbours((HEIGHT, WIDTH), EIGHT))
    squares = [np.square(image[end] - image[start]).sum(axis=2) for start, end in pairs]
    mean = float(np.mean(np.concatenate([square.ravel() for square in squares])))
    edges = np.zeros((4, HEIGHT, WIDTH), np.float32)
    for edge, offset, square, (start, _) in zip(edges, EIGHT, squares, pairs, strict=True):
        edge[start] = _WEIGHTS[kind] * np.exp(-square / (2 * mean)) / np.hypot(*offset)
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    from_cup = np.square((y / HEIGHT - 0.5) / 0.28) + np.square((x / WIDTH - 0.45) / 0.28)
    bins = (image * 15.999).astype(int) @ np.array([256, 16, 1])
    shares = [
        np.bincount(bins[part], minlength=4096) + 1.0 for part in (from_cup > 1, from_cup < 1)
    ]
    source, sink = (-np.log(share / share.sum()).astype(np.float32)[bins] for share in shares)
    if kind in ("noise", "smooth"):
        rng = np.random.default_rng(0)
        noise = 3 * rng.random((2, HEIGHT, WIDTH), np.float32)
        return 0.3 * source + noise[0], 0.3 * sink + noise[1], edges
    hard = np.float32(1 + 8 * _WEIGHTS[kind])
    outer = (y < 20) | (y >= HEIGHT - 20) | (x < 20) | (x >= WIDTH - 20)
    for marked, own, other in ((from_cup < 0.18, source, sink), (outer, sink, source)):
        own[marked] = hard
        other[marked] = 0
    return source, sink, edges


def ours(source: ndarray, sink: ndarray, edges: ndarray) -> tuple[float, ndarray]:
    """The flow and the source side."""
    cut = GridCut(source, sink, edges)
    return cut.solve(), cut.source_side


def peers(source: ndarray, sink: ndarray, edges: ndarray) -> tuple[float, ndarray]:
    """The same by PyMaxflow, in doubles, as is its default."""
    graph = maxflow.GraphFloat(source.size, 4 * source.size)
    nodes = graph.add_grid_nodes(source.shape)
    for edge, (down, right) in zip(edges, EIGHT, strict=True):
        structure = np.zeros((3, 3))
        structure[1 + down, 1 + right] = 1
        graph.add_grid_edges(nodes, edge, structure=structure, symmetric=True)
    graph.add_grid_tedges(nodes, source, sink)
    return graph.maxflow(), ~graph.get_grid_segments(nodes)


def _agree(one: tuple[float, ndarray], other: tuple[float, ndarray]) -> bool:
    """Equal flows to a millionth, and labels but for pixels that rounding decides."""
    return abs(one[0] - other[0]) <= 1e-6 * other[0] and bool(np.mean(one[1] != other[1]) < 1e-3)


def _edited_and_solved(kind: str) -> Comparison:
    """After an edit of 1 % of the pixels: going on from the last flow against starting again."""
    source, sink, edges = instance(kind)
    edit = np.zeros_like(source)
    edit[200:248, 300:364] = 2
    cuts = [GridCut(source, sink, edges) for _ in range(5)]
    for cut in cuts:
        cut.solve()
    waiting = iter(cuts)

    def warm() -> tuple[float, ndarray]:
        cut = next(waiting)
        cut.add_terminals(np.zeros_like(edit), edit)
        return cut.solve(), cut.source_side

    return compare(
        warm,
        lambda: ours(source, sink + edit, edges),
        name=f"max-flow, {kind}: warm after 1 % edited, peer: cold",
        rounds=4,
        check=_agree,
    )


def bytes_per_node() -> float:
    """What holding and solving a cut takes beyond its arguments, at the peak, per pixel."""
    size = 1000
    arguments = (
        "import numpy as np; from segscape.ops.max_flow import GridCut; "
        "small = np.ones((4, 4), np.float32); GridCut(small, small, np.ones((4, 4, 4), np.float32))"
        ".solve(); rng = np.random.default_rng(0); "
        f"a, b = rng.random((2, {size}, {size}), np.float32); "
        f"e = rng.random((4, {size}, {size}), np.float32); "
    )
    without = peak_memory(arguments)
    return (peak_memory(arguments + "GridCut(a, b, e).solve()") - without) / size**2


def run() -> list[Comparison]:
    """All kinds against PyMaxflow, then ours warm against cold, then memory."""
    results: list[Comparison] = []
    for kind in _WEIGHTS:
        parts = instance(kind)
        results.append(
            compare(
                lambda parts=parts: ours(*parts),
                lambda parts=parts: peers(*parts),
                name=f"max-flow 640x480, 8 neighbours, {kind}",
                rounds=5,
                check=_agree,
            )
        )
    results += [_edited_and_solved(kind) for kind in ("strokes", "noise")]
    start = time.perf_counter()
    print(f"{bytes_per_node():.1f} bytes a pixel ({time.perf_counter() - start:.0f} s)")
    return results
