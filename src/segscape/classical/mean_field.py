"""The mean field of a fully connected CRF with any Gaussian kernels; the paper is in dense_crf.py.

On a CPU by numba's kernels in several threads, all labels of a pixel side by side; on a GPU by
torch. Both give the same result up to rounding.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, get_args, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Float32, Int64
from torch import Tensor

from segscape.classical.pixels import refuse_beyond_memory
from segscape.ops.grid_gaussian import filter_rows, gaussian_taps, sums_of_taps
from segscape.ops.mean_field import softmax_rows
from segscape.ops.permutohedral import PermutohedralLattice
from segscape.ops.permutohedral_tensors import TensorLattice
from segscape.ops.workers import Workers
from segscape.structures import MethodError

Normalization = Literal["none", "before", "after", "symmetric"]
# The released code adds this to sums before it divides by them.
_TINY = 1e-20
# Messages of so many bytes stay in a core's cache from the first kernel to the softmax.
_CACHED = 2**18
# A label's row that fills the vectors of a processor.
_LANES = 8
# The cost of the places that fill up the last vector: no label is ever found there.
_NEVER = 1e4


@dataclass(frozen=True)
class SpatialKernel:
    """w exp(-|p_i - p_j|^2 / 2 s^2) over positions alone, summed exactly over the pixel grid.

    Args:
        weight: w; below 0 it drives neighbours apart.
        bandwidth_px: s in pixels, above 0.
        normalization: see dense_crf.py.
    """

    weight: float
    bandwidth_px: float
    normalization: Normalization = "symmetric"


@dataclass(frozen=True)
class FeatureKernel:
    """w exp(-|f_i - f_j|^2 / 2) over any features of the pixels.

    Args:
        weight: w; below 0 it drives neighbours apart.
        features: finite, divided by their bandwidths.
        normalization: see dense_crf.py.
        exact: whether to sum over all pairs of pixels, for small images, instead of using the
            permutohedral lattice, which is off by some percent.
    """

    weight: float
    features: Float[Tensor, "feature height width"]
    normalization: Normalization = "symmetric"
    exact: bool = False


@dataclass(frozen=True)
class MeanField:
    """What was found.

    Args:
        scores: the marginals Q_i(l), which sum to 1 at each pixel.
        iterations: how many updates were made.
        converged: whether the last of them changed nothing by more than the tolerance.
        divergences: KL divergence from the CRF, less log Z, before the first and after each
            iteration; empty unless it was asked for.
        energies: E(x) of the most probable labels, likewise.
    """

    scores: Float32[Tensor, "category height width"]
    iterations: int
    converged: bool
    divergences: tuple[float, ...]
    energies: tuple[float, ...]

    @property
    def labels(self) -> Int64[Tensor, "height width"]:
        """The most probable label of each pixel."""
        return self.scores.argmax(0)


@runtime_checkable
class _Field(Protocol):
    """The kernels of one image, ready to filter; one row per pixel, one column per label."""

    def filter(self, field: Float32[Tensor, "pixel label"]) -> Float32[Tensor, "pixel label"]:
        """The sum over the kernels of w_m K_m Q."""
        ...

    def update(
        self, field: Float32[Tensor, "pixel label"], out: Float32[Tensor, "pixel label"]
    ) -> None:
        """One iteration (eq. 4)."""
        ...


def mean_field(
    unary: Float[Tensor, "category height width"],
    kernels: Sequence[SpatialKernel | FeatureKernel],
    *,
    iterations: int = 10,
    compatibility: Float[Tensor, "_ _"] | None = None,
    self_message: bool = True,
    tolerance: float = 0.0,
    negligible: float = 1e-4,
    measure: bool = False,
) -> MeanField:
    """Find the mean field of a fully connected CRF (algorithm 1).

    Args:
        unary: U, the cost of each label at each pixel; finite.
        kernels: any number; their weights are w_m.
        iterations: at most so many updates, 0 or more.
        compatibility: mu, costs of pairs of labels; None for Potts, 1 between different labels.
        self_message: whether a pixel sends a message to itself, as in the released code.
        tolerance: stop when no probability changed by more, 0 or more; 0 takes all iterations.
        negligible: labels that are nowhere more probable than this are left out and get a score of
            0, for Potts and normalised kernels; 0 keeps all.
        measure: whether to compute divergences and energies.

    Raises:
        MethodError: for values that are not finite or out of range, or too little memory.
    """
    _refuse(unary, kernels, iterations, compatibility, tolerance, negligible)
    categories, height, width = unary.shape
    costs = unary.detach().float()
    # Only differences within a pixel matter, and so large costs keep their small digits.
    lowest = costs.amin(0)
    costs = costs - lowest
    constant = float(lowest.double().sum())
    can_drop = compatibility is None and all(
        kernel.weight >= 0 and kernel.normalization != "none" for kernel in kernels
    )
    alone = torch.softmax(-costs, 0)
    kept = _kept(alone, negligible if can_drop else 0.0)
    lanes = _lanes(len(kept))
    _refuse_memory(kernels, height * width, lanes)
    flat = costs.new_full((height * width, lanes), _NEVER)
    flat[:, : len(kept)] = costs[kept].reshape(len(kept), -1).T
    matrix = None if compatibility is None else _padded(compatibility.to(costs), lanes)
    with Workers() as workers:
        field = _field(kernels, flat, (height, width), matrix, workers, self_message=self_message)
        current = torch.zeros_like(flat)
        current[:, : len(kept)] = alone[kept].reshape(len(kept), -1).T
        current = _cut(current / current.sum(1, keepdim=True))
        following = torch.empty_like(current)
        divergences: list[float] = []
        energies: list[float] = []
        done, change = 0, float("inf")
        while done < iterations and change > tolerance:
            if measure:
                _measure(field, flat, current, matrix, divergences, energies)
            field.update(current, following)
            if tolerance > 0:
                change = float((following - current).abs().max())
            current, following = following, current
            done += 1
        if measure:
            _measure(field, flat, current, matrix, divergences, energies)
    scores = costs.new_zeros(categories, height * width)
    scores[kept] = current[:, : len(kept)].T
    return MeanField(
        scores.reshape(categories, height, width),
        done,
        change <= tolerance,
        tuple(constant + divergence for divergence in divergences),
        tuple(constant + energy for energy in energies),
    )


def _field(
    kernels: Sequence[SpatialKernel | FeatureKernel],
    unary: Float32[Tensor, "pixel label"],
    size: tuple[int, int],
    matrix: Float32[Tensor, "label label"] | None,
    workers: Workers,
    *,
    self_message: bool,
) -> _Field:
    if unary.device.type == "cpu":
        return _CpuField(kernels, unary, size, matrix, workers, self_message=self_message)
    return _TensorField(kernels, unary, size, matrix, self_message=self_message)


def _kept(alone: Float32[Tensor, "category height width"], negligible: float) -> list[int]:
    """The labels that are somewhere more probable than `negligible`."""
    # One label at least has half the share of all labels at some pixel.
    least = min(negligible, 0.5 / len(alone))
    highest = alone.amax((1, 2)).tolist()
    return [label for label, most in enumerate(highest) if most > least or negligible == 0]


def _lanes(labels: int) -> int:
    return 4 if labels <= 4 else -(-labels // _LANES) * _LANES


def _padded(
    matrix: Float32[Tensor, "category category"], lanes: int
) -> Float32[Tensor, "label label"]:
    padded = matrix.new_zeros(lanes, lanes)
    padded[: len(matrix), : len(matrix)] = matrix
    return padded


def _cut(field: Float32[Tensor, "pixel label"]) -> Float32[Tensor, "pixel label"]:
    """Without probabilities that are lost in any sum, but slow down every product."""
    return torch.where(field > 1e-17, field, 0)


def _measure(
    field: _Field,
    unary: Float32[Tensor, "pixel label"],
    current: Float32[Tensor, "pixel label"],
    matrix: Float32[Tensor, "label label"] | None,
    divergences: list[float],
    energies: list[float],
) -> None:
    entropy = -torch.special.xlogy(current, current).double().sum()
    divergences.append(float(_energy(field, unary, current, matrix) - entropy))
    chosen = torch.zeros_like(current).scatter_(1, current.argmax(1, keepdim=True), 1)
    energies.append(float(_energy(field, unary, chosen, matrix)))


def _energy(
    field: _Field,
    unary: Float32[Tensor, "pixel label"],
    current: Float32[Tensor, "pixel label"],
    matrix: Float32[Tensor, "label label"] | None,
) -> Float[Tensor, ""]:
    """The expected energy under Q: each pair of pixels counts once."""
    filtered = field.filter(current)
    potts = filtered.sum(1, keepdim=True) - filtered
    pairs = potts if matrix is None else filtered @ matrix.T
    return (current * (unary + pairs / 2)).double().sum()


def _scales(
    sums: Float32[Tensor, "*place"], normalization: Normalization
) -> tuple[Float32[Tensor, "*place"], Float32[Tensor, "*place"]]:
    """What values are multiplied by before and after a filter, from the filter's sums D."""
    ones = torch.ones_like(sums)
    match normalization:
        case "none":
            return ones, ones
        case "before":
            return 1 / (sums + _TINY), ones
        case "after":
            return ones, 1 / (sums + _TINY)
        case "symmetric":
            return (sums + _TINY).rsqrt(), (sums + _TINY).rsqrt()


def _pairs(kernel: FeatureKernel) -> Float32[Tensor, "pixel pixel"]:
    """The kernel between all pairs of pixels, normalised and weighted."""
    features = kernel.features.float().flatten(1).T.contiguous()
    # By differences: by products, near pixels of large features would be apart.
    distances = torch.cdist(features, features, compute_mode="donot_use_mm_for_euclid_dist")
    matrix = distances.square_().mul_(-0.5).exp_()
    before, after = _scales(matrix.sum(1), kernel.normalization)
    return matrix * (kernel.weight * after[:, None]) * before


@runtime_checkable
class _CpuKernel(Protocol):
    """One kernel on the CPU: first what needs all pixels, then row by row of the image."""

    @property
    def self_weights(self) -> Float32[Tensor, "pixel"]:
        """What each pixel gets of its own value."""
        ...

    def prepare(self, field: Float32[np.ndarray, "pixel label"]) -> None:
        """Do what needs all pixels."""
        ...

    def add(
        self,
        field: Float32[np.ndarray, "pixel label"],
        row: int,
        message: Float32[np.ndarray, "part label"],
    ) -> None:
        """Add the filtered values of whole rows of the image, from `row` on."""
        ...


class _GridKernel:
    def __init__(self, kernel: SpatialKernel, size: tuple[int, int]) -> None:
        self._taps = gaussian_taps(kernel.bandwidth_px)
        self._height, self._width = size
        scales = [
            _scales(torch.from_numpy(sums_of_taps(self._taps, length)), kernel.normalization)
            for length in size
        ]
        (self._rows_in, rows_out), (self._columns_in, self._columns_out) = (
            (before.numpy(), after.numpy()) for before, after in scales
        )
        self._rows_out = rows_out * np.float32(kernel.weight)

    @property
    def self_weights(self) -> Float32[Tensor, "pixel"]:
        rows = self._rows_in * self._rows_out
        columns = self._columns_in * self._columns_out
        return torch.from_numpy(np.outer(rows, columns).reshape(-1))

    def prepare(self, field: Float32[np.ndarray, "pixel label"]) -> None:
        """Nothing: sums are taken row by row."""

    def add(
        self,
        field: Float32[np.ndarray, "pixel label"],
        row: int,
        message: Float32[np.ndarray, "part label"],
    ) -> None:
        filter_rows(
            field.reshape(self._height, -1),
            self._taps,
            self._rows_in,
            self._columns_in,
            self._rows_out,
            self._columns_out,
            message,
            row,
        )


class _LatticeKernel:
    def __init__(
        self, kernel: FeatureKernel, labels: int, size: tuple[int, int], workers: Workers
    ) -> None:
        self._width = size[1]
        self._workers = workers
        self._lattice = PermutohedralLattice.of(kernel.features.float().flatten(1), workers)
        sums = self._lattice.filter(torch.ones(self._lattice.points, 1))[:, 0]
        before, after = _scales(sums, kernel.normalization)
        self._before = before.numpy()
        self._after = (after * (kernel.weight * self._lattice.alpha)).numpy()
        self._values = self._lattice.rows_for(labels)

    @property
    def self_weights(self) -> Float32[Tensor, "pixel"]:
        own = self._lattice.self_weights() / np.float32(self._lattice.alpha)
        return torch.from_numpy(own * self._before * self._after)

    def prepare(self, field: Float32[np.ndarray, "pixel label"]) -> None:
        self._lattice.splat(field, self._before, self._values, self._workers)
        self._lattice.blur(self._values, self._workers)

    def add(
        self,
        field: Float32[np.ndarray, "pixel label"],
        row: int,
        message: Float32[np.ndarray, "part label"],
    ) -> None:
        self._lattice.slice_onto(self._values, self._after, message, row * self._width)


class _PairsKernel:
    def __init__(self, kernel: FeatureKernel, size: tuple[int, int]) -> None:
        self._width = size[1]
        self._matrix = _pairs(kernel)
        self._filtered = np.empty(0, np.float32)

    @property
    def self_weights(self) -> Float32[Tensor, "pixel"]:
        return self._matrix.diagonal()

    def prepare(self, field: Float32[np.ndarray, "pixel label"]) -> None:
        self._filtered = (self._matrix @ torch.from_numpy(field)).numpy()

    def add(
        self,
        field: Float32[np.ndarray, "pixel label"],
        row: int,
        message: Float32[np.ndarray, "part label"],
    ) -> None:
        first = row * self._width
        message += self._filtered[first : first + len(message)]


class _CpuField:
    def __init__(
        self,
        kernels: Sequence[SpatialKernel | FeatureKernel],
        unary: Float32[Tensor, "pixel label"],
        size: tuple[int, int],
        matrix: Float32[Tensor, "label label"] | None,
        workers: Workers,
        *,
        self_message: bool,
    ) -> None:
        self._height, self._width = size
        self._unary = unary.numpy()
        self._workers = workers
        self._kernels = [_on_cpu(kernel, unary.shape[1], size, workers) for kernel in kernels]
        # Transposed, and negative as messages are: what agrees is favoured, not what differs.
        self._matrix = None if matrix is None else -matrix.T.numpy()
        self._own = None
        if not self_message and kernels:
            weights = [kernel.self_weights for kernel in self._kernels]
            self._own = torch.stack(weights).sum(0).numpy()[:, None]

    def filter(self, field: Float32[Tensor, "pixel label"]) -> Float32[Tensor, "pixel label"]:
        out = torch.empty_like(field)

        def keep(message: Float32[np.ndarray, "part label"], first: int) -> None:
            out.numpy()[first : first + len(message)] = message

        self._each_part(field.numpy(), keep)
        return out

    def update(
        self, field: Float32[Tensor, "pixel label"], out: Float32[Tensor, "pixel label"]
    ) -> None:
        def choose(message: Float32[np.ndarray, "part label"], first: int) -> None:
            if self._matrix is not None:
                message = message @ self._matrix
            softmax_rows(message, self._unary, first, out.numpy())

        self._each_part(field.numpy(), choose)

    def _each_part(
        self,
        field: Float32[np.ndarray, "pixel label"],
        use: Callable[[Float32[np.ndarray, "part label"], int], None],
    ) -> None:
        """Filter some rows of the image at a time, and hand them on with their first pixel."""
        for kernel in self._kernels:
            kernel.prepare(field)
        labels = field.shape[1]
        rows = max(_CACHED // (4 * labels * self._width), 1)

        def filter_part(start: int, stop: int) -> None:
            for row in range(start, stop, rows):
                count = min(rows, stop - row) * self._width
                message = np.zeros((count, labels), np.float32)
                for kernel in self._kernels:
                    kernel.add(field, row, message)
                first = row * self._width
                if self._own is not None:
                    part = slice(first, first + count)
                    message -= self._own[part] * field[part]
                use(message, first)

        self._workers.run(filter_part, self._height)


def _on_cpu(
    kernel: SpatialKernel | FeatureKernel, labels: int, size: tuple[int, int], workers: Workers
) -> _CpuKernel:
    if isinstance(kernel, SpatialKernel):
        return _GridKernel(kernel, size)
    if kernel.exact:
        return _PairsKernel(kernel, size)
    return _LatticeKernel(kernel, labels, size, workers)


class _TensorField:
    """The same in torch, for a GPU."""

    def __init__(
        self,
        kernels: Sequence[SpatialKernel | FeatureKernel],
        unary: Float32[Tensor, "pixel label"],
        size: tuple[int, int],
        matrix: Float32[Tensor, "label label"] | None,
        *,
        self_message: bool,
    ) -> None:
        self._unary = unary
        self._matrix = matrix
        parts = [_in_torch(kernel, size, unary.device) for kernel in kernels]
        self._filters = [filter_ for filter_, _ in parts]
        self._own = None
        if not self_message and kernels:
            self._own = torch.stack([own for _, own in parts]).sum(0)[:, None]

    def filter(self, field: Float32[Tensor, "pixel label"]) -> Float32[Tensor, "pixel label"]:
        out = torch.zeros_like(field) if self._own is None else -self._own * field
        for filter_ in self._filters:
            out += filter_(field)
        return out

    def update(
        self, field: Float32[Tensor, "pixel label"], out: Float32[Tensor, "pixel label"]
    ) -> None:
        message = self.filter(field)
        if self._matrix is not None:
            message = -message @ self._matrix.T
        out.copy_(_cut(torch.softmax(message - self._unary, 1)))


_Filter = Callable[[Tensor], Tensor]


def _in_torch(
    kernel: SpatialKernel | FeatureKernel, size: tuple[int, int], device: torch.device
) -> tuple[_Filter, Float32[Tensor, "pixel"]]:
    """The filter of one kernel, and what it gives each pixel of its own value."""
    if isinstance(kernel, FeatureKernel) and kernel.exact:
        pairs = _pairs(kernel)
        return lambda field: pairs @ field, pairs.diagonal()
    if isinstance(kernel, FeatureKernel):
        lattice = TensorLattice.of(kernel.features.float().flatten(1))
        filter_, own = lattice.filter, lattice.self_weights()
    else:
        taps = torch.from_numpy(gaussian_taps(kernel.bandwidth_px)).to(device)
        filter_, own = _grid_filter(taps, size), torch.ones(size[0] * size[1], device=device)
    sums = filter_(own.new_ones(len(own), 1))[:, 0]
    before, after = _scales(sums, kernel.normalization)
    after = kernel.weight * after
    return (
        lambda field: after[:, None] * filter_(before[:, None] * field),
        own * before * after,
    )


def _grid_filter(taps: Float32[Tensor, "tap"], size: tuple[int, int]) -> _Filter:
    reach = len(taps) - 1
    line = torch.cat([taps.flip(0), taps[1:]])

    def filter_(field: Float32[Tensor, "pixel label"]) -> Float32[Tensor, "pixel label"]:
        maps = field.T.reshape(-1, 1, *size)
        maps = torch.nn.functional.conv2d(maps, line.view(1, 1, -1, 1), padding=(reach, 0))
        maps = torch.nn.functional.conv2d(maps, line.view(1, 1, 1, -1), padding=(0, reach))
        return maps.reshape(field.shape[1], -1).T

    return filter_


def _refuse(
    unary: Float[Tensor, "category height width"],
    kernels: Sequence[SpatialKernel | FeatureKernel],
    iterations: int,
    compatibility: Float[Tensor, "_ _"] | None,
    tolerance: float,
    negligible: float,
) -> None:
    if unary.ndim != 3 or unary.numel() == 0 or not _is_finite(unary):
        raise MethodError(
            f"mean_field got costs of shape {tuple(unary.shape)}, expected finite ones of "
            "category x height x width: fill nan and infinite costs, as by torch.nan_to_num"
        )
    if iterations < 0 or not tolerance >= 0 or not 0 <= negligible < 1:
        raise MethodError(
            f"mean_field got iterations {iterations}, tolerance {tolerance} and negligible "
            f"{negligible}, expected 0 or more, 0 or more, and 0 to less than 1"
        )
    square = (len(unary), len(unary))
    if compatibility is not None and (
        tuple(compatibility.shape) != square or not bool(torch.isfinite(compatibility).all())
    ):
        raise MethodError(
            f"mean_field got compatibilities of shape {tuple(compatibility.shape)}, expected "
            f"finite ones of {square[0]} x {square[1]}, as there are labels"
        )
    for kernel in kernels:
        _refuse_kernel(kernel, unary)


def _is_finite(values: Float[Tensor, "category _ _"]) -> bool:
    """By the smallest and largest value, which are nan if any is: a quarter of the time."""
    return all(bool(torch.isfinite(end)) for end in torch.aminmax(values))


def _refuse_kernel(
    kernel: SpatialKernel | FeatureKernel, unary: Float[Tensor, "category height width"]
) -> None:
    if kernel.normalization not in get_args(Normalization):
        raise MethodError(
            f"mean_field got normalization '{kernel.normalization}': choose one of "
            f"{', '.join(get_args(Normalization))}"
        )
    if not np.isfinite(kernel.weight):
        raise MethodError(f"mean_field got a kernel of weight {kernel.weight}: give a number")
    if isinstance(kernel, SpatialKernel):
        if not 0 < kernel.bandwidth_px < float("inf"):
            raise MethodError(
                f"mean_field got a bandwidth of {kernel.bandwidth_px} px, expected above 0"
            )
        return
    features = kernel.features
    if features.ndim != 3 or not len(features) or features.shape[1:] != unary.shape[1:]:
        raise MethodError(
            f"mean_field got features of {tuple(features.shape)} for costs of "
            f"{tuple(unary.shape)}, expected the same height and width, and one feature or more"
        )
    if not bool((features.abs() < 2**24).all()):
        raise MethodError(
            "mean_field got features that are nan, infinite or beyond 2^24: fill them, or divide "
            "them by larger bandwidths"
        )


def _refuse_memory(
    kernels: Sequence[SpatialKernel | FeatureKernel], pixels: int, lanes: int
) -> None:
    """Refuse what will not fit: costs and two fields, and for each kernel what it keeps."""
    need = 4.0 * 4 * pixels * lanes
    for kernel in kernels:
        if isinstance(kernel, FeatureKernel):
            corners = len(kernel.features) + 1
            if kernel.exact:
                need += 4.0 * 3 * pixels * pixels
            else:  # about as many corners as pixels, and 24 bytes per pixel and corner around it
                need += pixels * (24.0 * corners + 4 * lanes)
    exact = any(isinstance(kernel, FeatureKernel) and kernel.exact for kernel in kernels)
    cure = "leave out exact, or shrink the image" if exact else "use tiles, or shrink the image"
    refuse_beyond_memory(need, "the mean field", cure)
