"""The mean field of a fully connected CRF with any Gaussian kernels; the paper is in dense_crf.py.

On a CPU by numba's kernels in several threads (`mean_field_arrays.py`), all labels of a pixel side
by side; on a GPU by torch (`mean_field_tensors.py`). Both give the same result up to rounding.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Float32, Int64
from torch import Tensor

from segscape.classical.gaussian_kernels import FeatureKernel, SpatialKernel, refuse_kernel
from segscape.classical.mean_field_arrays import ArrayField, array_peaks, whole_lanes
from segscape.classical.mean_field_tensors import TensorField, tensor_peaks
from segscape.classical.pixels import refuse_beyond_memory
from segscape.ops.workers import Workers
from segscape.structures import MethodError


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
    costs = unary.detach().float().contiguous()
    can_drop = compatibility is None and all(
        kernel.weight >= 0 and kernel.normalization != "none" for kernel in kernels
    )
    matrix = None if compatibility is None else compatibility.detach().to(costs)
    divergences: list[float] = []
    energies: list[float] = []
    with Workers() as workers:
        field = _field(
            kernels,
            costs,
            matrix,
            negligible if can_drop else 0.0,
            workers,
            self_message=self_message,
        )
        current = field.start()
        following = torch.empty_like(current)
        done, change = 0, float("inf")
        while done < iterations and change > tolerance:
            if measure:
                _measure(field, current, divergences, energies)
            field.update(current, following)
            if tolerance > 0:
                change = float((following - current).abs().max())
            current, following = following, current
            done += 1
        if measure:
            _measure(field, current, divergences, energies)
        scores = field.maps(current)
    # Only differences within a pixel matter to the field, and so it has no costs' common part.
    common = float(costs.amin(0).double().sum()) if measure else 0.0
    return MeanField(
        scores,
        done,
        change <= tolerance,
        tuple(common + divergence for divergence in divergences),
        tuple(common + energy for energy in energies),
    )


def _field(
    kernels: Sequence[SpatialKernel | FeatureKernel],
    costs: Float32[Tensor, "category height width"],
    compatibility: Float32[Tensor, "category category"] | None,
    negligible: float,
    workers: Workers,
    *,
    self_message: bool,
) -> ArrayField | TensorField:
    on_cpu = costs.device.type == "cpu"
    peaks = array_peaks(costs, workers) if on_cpu else tensor_peaks(costs)
    kept = labels_kept(peaks, negligible)
    _refuse_memory(kernels, costs[0].numel(), whole_lanes(len(kept)))
    if on_cpu:
        return ArrayField(kernels, costs, kept, compatibility, workers, self_message=self_message)
    return TensorField(kernels, costs, kept, compatibility, self_message=self_message)


def labels_kept(peaks: Float32[Tensor, "category"], negligible: float) -> list[int]:
    """The labels that are somewhere more probable than `negligible`; all if that is 0."""
    # One label at least has half the share of all labels at some pixel.
    least = min(negligible, 0.5 / len(peaks)) if negligible > 0 else -1.0
    return [label for label, most in enumerate(peaks.tolist()) if most > least]


def _measure(
    field: ArrayField | TensorField,
    current: Float32[Tensor, "pixel label"],
    divergences: list[float],
    energies: list[float],
) -> None:
    entropy = -torch.special.xlogy(current, current).double().sum()
    divergences.append(float(_energy(field, current) - entropy))
    chosen = torch.zeros_like(current).scatter_(1, current.argmax(1, keepdim=True), 1)
    energies.append(float(_energy(field, chosen)))


def _energy(
    field: ArrayField | TensorField, current: Float32[Tensor, "pixel label"]
) -> Float[Tensor, ""]:
    """The expected energy under Q: each pair of pixels counts once."""
    filtered = field.filter(current)
    potts = filtered.sum(1, keepdim=True) - filtered
    pairs = potts if field.matrix is None else filtered @ field.matrix.T
    return (current * (field.unary + pairs / 2)).double().sum()


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
        refuse_kernel(kernel, unary)


def _is_finite(values: Float[Tensor, "category _ _"]) -> bool:
    """By the smallest and largest value, which are nan if any is: a quarter of the time."""
    return all(bool(torch.isfinite(end)) for end in torch.aminmax(values))


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
            else:  # about as many corners as pixels, and 40 bytes per pixel and corner around it
                need += pixels * (40.0 * corners + 4 * lanes)
    exact = any(isinstance(kernel, FeatureKernel) and kernel.exact for kernel in kernels)
    cure = "leave out exact, or shrink the image" if exact else "use tiles, or shrink the image"
    refuse_beyond_memory(need, "the mean field", cure)
