"""The permutohedral lattice in torch, for values on a GPU; the paper is in `permutohedral.py`.

Every number is computed by the same operations in the same order as there, up to the order of sums:
the lattices are the same, and what they filter differs by rounding alone. On a CPU it takes several
times as long.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float32, Int64
from torch import Tensor

from segscape.ops.lattice_corners import axis_factors, axis_scales, axis_steps


@dataclass(frozen=True)
class TensorLattice:
    """The lattice around some points, on their device.

    Args:
        rows: of the corners of the simplex around each point.
        shares: barycentric weights of these corners; each point's sum to 1.
        neighbors: for each axis, of each corner the corner behind and the one ahead of it; where
            there is none, the number of corners.

    >>> lattice = TensorLattice.of(torch.tensor([[0.0, 0.1, 9.0]]))
    >>> [round(float(x), 1) for x in lattice.filter(torch.ones(3, 1)).flatten()]
    [1.6, 1.6, 0.8]
    """

    rows: Int64[Tensor, "point corner"]
    shares: Float32[Tensor, "point corner"]
    neighbors: Int64[Tensor, "axis 2 vertex"]

    @classmethod
    def of(cls, features: Float32[Tensor, "feature point"]) -> "TensorLattice":
        """Build the lattice of points whose features were divided by their bandwidths."""
        numbers, shares = _enclose(features)
        known, rows = torch.unique(numbers, return_inverse=True)
        steps = axis_steps(len(features))
        neighbors = [[_find(known, known + way * step) for way in (-1, 1)] for step in steps]
        return cls(rows, shares, torch.stack([torch.stack(pair) for pair in neighbors]))

    @property
    def alpha(self) -> float:
        """What filtered values are multiplied by to be those of the Gaussian of height 1."""
        return 1 / (1 + 2.0 ** (1 - self.rows.shape[1]))

    def filter(self, values: Float32[Tensor, "point value"]) -> Float32[Tensor, "point value"]:
        """Sum the values of all points, weighted by the Gaussian of their distance."""
        corners, count = self.neighbors.shape[2], values.shape[1]
        # One row more, of zeros, stands for all corners that are not there.
        lattice = values.new_zeros(corners + 1, count)
        for corner in range(self.rows.shape[1]):
            given = values * self.shares[:, corner, None]
            lattice.index_add_(0, self.rows[:, corner], given)
        for behind, ahead in self.neighbors:
            lattice[:-1] = lattice[:-1] + 0.5 * (lattice[behind] + lattice[ahead])
        out = torch.zeros_like(values)
        for corner in range(self.rows.shape[1]):
            out += self.shares[:, corner, None] * lattice[self.rows[:, corner]]
        return out * self.alpha

    def self_weights(self) -> Float32[Tensor, "point"]:
        """What of a point's own value the filter gives back to it, 1 for the Gaussian itself."""
        count = self.shares.shape[1]
        place = torch.arange(count, device=self.shares.device)
        apart = (place[:, None] - place).abs().float()
        reach = 0.5**apart + 0.5 ** (count - apart) + 0.5**count * (apart == 0)
        return (self.shares @ reach * self.shares).sum(1) * self.alpha


def _enclose(
    features: Float32[Tensor, "feature point"],
) -> tuple[Int64[Tensor, "point corner"], Float32[Tensor, "point corner"]]:
    """Find the simplex around each point (sec. 3.2): its corners' numbers, and their shares."""
    dimensions, device = len(features), features.device
    corners = dimensions + 1
    scaled = features * torch.from_numpy(axis_scales(dimensions)).to(device)[:, None]
    raised = scaled.new_empty(corners, features.shape[1])
    total = torch.zeros_like(raised[0])
    for d in range(dimensions, 0, -1):
        raised[d] = total - d * scaled[d - 1]
        total = total + scaled[d - 1]
    raised[0] = total
    inverse = torch.ones(1, device=device) / corners
    multiple = torch.floor(raised * inverse + 0.5)
    nearest = multiple * corners
    raised = raised - nearest
    rank = multiple.sum(0).int().expand(corners, -1).clone()
    for one in range(corners):
        for other in range(one + 1, corners):
            less = (raised[one] < raised[other]).int()
            rank[one] += less
            rank[other] += 1 - less
    turn = (rank < 0).int() - (rank > dimensions).int()
    rank = (rank + turn * corners).long()
    nearest = nearest + turn * corners
    raised = (raised - turn * corners) * inverse
    by_rank = torch.empty_like(raised).scatter_(0, rank, raised)
    axis_at = torch.empty_like(rank).scatter_(
        0, rank, torch.arange(corners, device=device)[:, None].expand_as(rank)
    )
    factors = torch.from_numpy(axis_factors(dimensions)).to(device)
    steps = torch.tensor(axis_steps(dimensions), device=device)
    number = (nearest[:-1].long() * factors[:, None]).sum(0)
    numbers, shares = [number], [1 + by_rank[dimensions] - by_rank[0]]
    for corner in range(1, corners):
        number = number + steps[axis_at[corners - corner]]
        numbers.append(number)
        shares.append(by_rank[dimensions - corner] - by_rank[corners - corner])
    return torch.stack(numbers, 1), torch.stack(shares, 1)


def _find(
    known: Int64[Tensor, "vertex"], numbers: Int64[Tensor, "wanted"]
) -> Int64[Tensor, "wanted"]:
    """Where numbers stand in a sorted list; its length for those that are not in it."""
    place = torch.searchsorted(known, numbers).clamp(max=len(known) - 1)
    return torch.where(known[place] == numbers, place, len(known))
