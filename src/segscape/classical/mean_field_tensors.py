"""A mean field's filters and updates in torch, for a GPU; see mean_field.py."""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float32
from torch import Tensor

from segscape.classical.gaussian_kernels import (
    FeatureKernel,
    SpatialKernel,
    all_pairs,
    normalizers,
)
from segscape.ops.grid_gaussian import gaussian_taps
from segscape.ops.permutohedral_tensors import TensorLattice

_Filter = Callable[[Tensor], Tensor]


class TensorField:
    """One row per pixel, one column per label.

    Args:
        kernels: of one image.
        costs: of each label; those of `kept` alone are used.
        kept: the labels.
        compatibility: mu, or None for Potts.
        self_message: whether pixels send messages to themselves.
    """

    def __init__(
        self,
        kernels: Sequence[SpatialKernel | FeatureKernel],
        costs: Float32[Tensor, "category height width"],
        kept: Sequence[int],
        compatibility: Float32[Tensor, "category category"] | None,
        *,
        self_message: bool,
    ) -> None:
        flat = costs[list(kept)].flatten(1)
        self._size = costs.shape
        self._kept = list(kept)
        self.unary = (flat - flat.amin(0)).T.contiguous()
        self.matrix = compatibility
        size = (costs.shape[1], costs.shape[2])
        parts = [_in_torch(kernel, size, costs.device) for kernel in kernels]
        self._filters = [filter_ for filter_, _ in parts]
        self._own = None
        if not self_message and kernels:
            self._own = torch.stack([own for _, own in parts]).sum(0)[:, None]

    def start(self) -> Float32[Tensor, "pixel label"]:
        """The softmax of the costs alone."""
        return _cut(torch.softmax(-self.unary, 1))

    def filter(self, field: Float32[Tensor, "pixel label"]) -> Float32[Tensor, "pixel label"]:
        """The sum over the kernels of w_m K_m Q."""
        out = torch.zeros_like(field) if self._own is None else -self._own * field
        for filter_ in self._filters:
            out += filter_(field)
        return out

    def update(
        self, field: Float32[Tensor, "pixel label"], out: Float32[Tensor, "pixel label"]
    ) -> None:
        """One iteration (eq. 4)."""
        message = self.filter(field)
        if self.matrix is not None:
            message = -message @ self.matrix.T
        out.copy_(_cut(torch.softmax(message - self.unary, 1)))

    def maps(
        self, field: Float32[Tensor, "pixel label"]
    ) -> Float32[Tensor, "category height width"]:
        """A map of each category, 0 for those that were left out."""
        scores = field.new_zeros(self._size)
        scores[self._kept] = field.T.reshape(-1, *self._size[1:])
        return scores


def tensor_peaks(costs: Float32[Tensor, "category height width"]) -> Float32[Tensor, "category"]:
    """How probable each label is at the pixel where it is most, by the costs alone."""
    return torch.softmax(-costs, 0).amax((1, 2))


def _cut(field: Float32[Tensor, "pixel label"]) -> Float32[Tensor, "pixel label"]:
    """Without probabilities that are lost in any sum, but slow down every product."""
    return torch.where(field > 1e-17, field, 0)


def _in_torch(
    kernel: SpatialKernel | FeatureKernel, size: tuple[int, int], device: torch.device
) -> tuple[_Filter, Float32[Tensor, "pixel"]]:
    """The filter of one kernel, and what it gives each pixel of its own value."""
    if isinstance(kernel, FeatureKernel) and kernel.exact:
        pairs = all_pairs(kernel, device)
        return lambda field: pairs @ field, pairs.diagonal()
    if isinstance(kernel, FeatureKernel):
        lattice = TensorLattice.of(kernel.features.to(device).float().flatten(1))
        filter_, own = lattice.filter, lattice.self_weights()
    else:
        filter_ = _grid_filter(kernel.bandwidth_px, size)
        own = torch.ones(size[0] * size[1], device=device)
    sums = filter_(own.new_ones(len(own), 1))[:, 0]
    before, after = normalizers(sums, kernel.normalization)
    after = kernel.weight * after
    return (
        lambda field: after[:, None] * filter_(before[:, None] * field),
        own * before * after,
    )


def _grid_filter(bandwidth_px: float, size: tuple[int, int]) -> _Filter:
    one_side = gaussian_taps(bandwidth_px).tolist()
    taps = one_side[:0:-1] + one_side

    def filter_(field: Float32[Tensor, "pixel label"]) -> Float32[Tensor, "pixel label"]:
        # By products, not convolutions, which GPUs round to 10 binary digits by default.
        reach = len(one_side) - 1
        columns = torch.nn.functional.pad(field.view(*size, -1), [0, 0, 0, 0, reach, reach])
        sums = torch.zeros_like(columns[: size[0]])
        for place, tap in enumerate(taps):
            sums += tap * columns[place : place + size[0]]
        rows = torch.nn.functional.pad(sums, [0, 0, reach, reach])
        sums = torch.zeros_like(sums)
        for place, tap in enumerate(taps):
            sums += tap * rows[:, place : place + size[1]]
        return sums.view_as(field)

    return filter_
