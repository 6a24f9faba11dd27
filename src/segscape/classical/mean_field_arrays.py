"""A mean field's filters and updates by numba's kernels in several threads; see mean_field.py."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float32
from torch import Tensor

from segscape.classical.gaussian_kernels import (
    FeatureKernel,
    SpatialKernel,
    all_pairs,
    normalizers,
)
from segscape.ops.grid_gaussian import filter_rows, gaussian_taps, sums_of_taps
from segscape.ops.lanes import LANES
from segscape.ops.mean_field import label_maps, most_probable, pixel_rows, softmax_rows
from segscape.ops.permutohedral import PermutohedralLattice
from segscape.ops.workers import Workers

# Messages of so many bytes stay in a core's cache from the first kernel to the softmax.
_CACHED = 2**18
# The cost of the places that fill up the last vector: no label is ever found there.
_NEVER = 1e4


class ArrayField:
    """One row per pixel, one column per label, filled up to whole vectors of the processor.

    Args:
        kernels: of one image.
        costs: of each label; those of `kept` alone are used.
        kept: the labels.
        compatibility: mu, or None for Potts.
        workers: threads to use.
        self_message: whether pixels send messages to themselves.
    """

    def __init__(
        self,
        kernels: Sequence[SpatialKernel | FeatureKernel],
        costs: Float32[Tensor, "category height width"],
        kept: Sequence[int],
        compatibility: Float32[Tensor, "category category"] | None,
        workers: Workers,
        *,
        self_message: bool,
    ) -> None:
        self._size = costs.shape
        self._kept = np.array(kept)
        self._workers = workers
        lanes = whole_lanes(len(kept))
        unary = np.full((costs[0].numel(), lanes), _NEVER, np.float32)
        flat = costs.flatten(1).numpy()
        workers.run(
            lambda start, stop: pixel_rows(flat, self._kept, unary, start, stop), len(unary)
        )
        self.unary = torch.from_numpy(unary)
        self.matrix = None
        if compatibility is not None:
            self.matrix = torch.nn.functional.pad(compatibility, [0, lanes - len(kept)] * 2)
        self._kernels = [_prepared(kernel, lanes, costs.shape[1:], workers) for kernel in kernels]
        self._own = None
        if not self_message and kernels:
            self._own = np.sum([kernel.own() for kernel in self._kernels], 0)[:, None]

    def start(self) -> Float32[Tensor, "pixel label"]:
        """The softmax of the costs alone."""
        out = torch.empty_like(self.unary)
        self._each_part(out.numpy(), [], self._softmax_into(out))
        return out

    def filter(self, field: Float32[Tensor, "pixel label"]) -> Float32[Tensor, "pixel label"]:
        """The sum over the kernels of w_m K_m Q."""
        out = torch.empty_like(field)

        def keep(message: Float32[np.ndarray, "part label"], first: int) -> None:
            out.numpy()[first : first + len(message)] = message

        self._each_part(field.numpy(), self._kernels, keep)
        return out

    def update(
        self, field: Float32[Tensor, "pixel label"], out: Float32[Tensor, "pixel label"]
    ) -> None:
        """One iteration (eq. 4)."""
        self._each_part(field.numpy(), self._kernels, self._softmax_into(out))

    def maps(
        self, field: Float32[Tensor, "pixel label"]
    ) -> Float32[Tensor, "category height width"]:
        """A map of each category, 0 for those that were left out."""
        rows, scores = field.numpy(), np.zeros((self._size[0], len(field)), np.float32)
        self._workers.run(
            lambda start, stop: label_maps(rows, self._kept, scores, start, stop), len(rows)
        )
        return torch.from_numpy(scores).reshape(self._size)

    def _softmax_into(
        self, out: Float32[Tensor, "pixel label"]
    ) -> Callable[[Float32[np.ndarray, "part label"], int], None]:
        unary, rows = self.unary.numpy(), out.numpy()
        # Transposed, and negative as messages are: what agrees is favoured, not what differs.
        matrix = None if self.matrix is None else -self.matrix.T.numpy()

        def choose(message: Float32[np.ndarray, "part label"], first: int) -> None:
            if matrix is not None:
                message = message @ matrix
            softmax_rows(message, unary, first, rows)

        return choose

    def _each_part(
        self,
        field: Float32[np.ndarray, "pixel label"],
        kernels: "Sequence[_Prepared]",
        use: Callable[[Float32[np.ndarray, "part label"], int], None],
    ) -> None:
        """Filter some rows of the image at a time, and hand them on with their first pixel."""
        for kernel in kernels:
            kernel.gather(field)
        labels, (height, width) = field.shape[1], self._size[1:]
        rows = max(_CACHED // (4 * labels * width), 1)

        def filter_part(start: int, stop: int) -> None:
            for row in range(start, stop, rows):
                count = min(rows, stop - row) * width
                message = np.zeros((count, labels), np.float32)
                for kernel in kernels:
                    kernel.add(field, row, message)
                first = row * width
                if self._own is not None and kernels:
                    part = slice(first, first + count)
                    message -= self._own[part] * field[part]
                use(message, first)

        self._workers.run(filter_part, height)


def array_peaks(
    costs: Float32[Tensor, "category height width"], workers: Workers
) -> Float32[Tensor, "category"]:
    """How probable each label is at the pixel where it is most, by the costs alone."""
    flat = costs.flatten(1).numpy()
    parts = workers.run(lambda start, stop: most_probable(flat, start, stop), flat.shape[1])
    return torch.from_numpy(np.max(parts, 0))


def whole_lanes(labels: int) -> int:
    """How many columns are kept for so many labels."""
    return -(-labels // LANES) * LANES


@dataclass(frozen=True)
class _Prepared:
    """One kernel, ready to filter.

    Args:
        gather: does what needs all pixels of a field.
        add: adds the filtered values of whole rows of the image, from a given one on.
        own: what each pixel gets of its own value.
    """

    gather: Callable[[Float32[np.ndarray, "pixel label"]], None]
    add: Callable[
        [Float32[np.ndarray, "pixel label"], int, Float32[np.ndarray, "part label"]], None
    ]
    own: Callable[[], Float32[np.ndarray, "pixel"]]


def _prepared(
    kernel: SpatialKernel | FeatureKernel, labels: int, size: Sequence[int], workers: Workers
) -> _Prepared:
    if isinstance(kernel, SpatialKernel):
        return _on_grid(kernel, size)
    if kernel.exact:
        return _over_pairs(kernel, size[1])
    return _by_lattice(kernel, labels, size[1], workers)


def _on_grid(kernel: SpatialKernel, size: Sequence[int]) -> _Prepared:
    taps = gaussian_taps(kernel.bandwidth_px)
    (rows_in, rows_out), (columns_in, columns_out) = (
        [scale.numpy() for scale in normalizers(torch.from_numpy(sums), kernel.normalization)]
        for sums in (sums_of_taps(taps, length) for length in size)
    )
    rows_out = rows_out * np.float32(kernel.weight)
    scales = rows_in, columns_in, rows_out, columns_out
    return _Prepared(
        gather=lambda _: None,
        add=lambda field, row, message: filter_rows(
            field.reshape(size[0], -1), taps, *scales, message, row
        ),
        own=lambda: np.outer(rows_in * rows_out, columns_in * columns_out).reshape(-1),
    )


def _by_lattice(kernel: FeatureKernel, labels: int, width: int, workers: Workers) -> _Prepared:
    lattice = PermutohedralLattice.of(kernel.features.float().flatten(1), workers)
    sums = lattice.filter(torch.ones(lattice.points, 1), workers)[:, 0]
    before, after = (scale.numpy() for scale in normalizers(sums, kernel.normalization))
    after = after * np.float32(kernel.weight)
    normalized = lattice.scaled(before, after * np.float32(lattice.alpha))
    values = lattice.rows_for(labels)

    def gather(field: Float32[np.ndarray, "pixel label"]) -> None:
        normalized.splat(field, values, workers)
        normalized.blur(values, workers)

    return _Prepared(
        gather,
        add=lambda _, row, message: normalized.slice_onto(values, message, row * width),
        own=lambda: lattice.self_weights() * before * after,
    )


def _over_pairs(kernel: FeatureKernel, width: int) -> _Prepared:
    matrix = all_pairs(kernel, torch.device("cpu"))
    filtered = torch.empty(0)

    def gather(field: Float32[np.ndarray, "pixel label"]) -> None:
        nonlocal filtered
        filtered = matrix @ torch.from_numpy(field)

    def add(
        _: Float32[np.ndarray, "pixel label"],
        row: int,
        message: Float32[np.ndarray, "part label"],
    ) -> None:
        first = row * width
        message += filtered.numpy()[first : first + len(message)]

    return _Prepared(gather, add, own=lambda: matrix.diagonal().numpy())
