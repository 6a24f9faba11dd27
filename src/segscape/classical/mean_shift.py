"""Mean shift: pixels climb to the modes of their density in place and colour.

D. Comaniciu, P. Meer: Mean Shift: A Robust Approach Toward Feature Space Analysis, TPAMI 2002,
doi:10.1109/34.1000236. Filtering is section 4.1 there, segmentation section 4.2.

The density of a point x = (place, colour) is estimated by a product of two Epanechnikov kernels of
radii h_s and h_r (eq. 20). Their shadow is the uniform kernel, so that a step of mean shift goes to
the plain mean of the pixels within h_s in place and h_r in colour.

Differences from the paper: pixels are joined with their 8 neighbours only, so that regions are
connected; the closure may chain, as there. Then neighbouring regions whose mean modes are closer
than h_r are joined, until none are; this step is in the authors' later system (C. M. Christoudias,
B. Georgescu, P. Meer: Synergism in Low Level Vision, ICPR 2002, doi:10.1109/ICPR.2002.1047421). Of
regions with less than M pixels the paper says only that they may be eliminated; here they go to the
neighbour of the nearest mean mode, the smallest first. A step below `stop_below` bandwidths ends a
path, where the paper waits until nothing moves. Unless `path_tolerance` is 0, a path ends where an
earlier one did, once it comes that near to it. The normal kernel is not offered.

OpenCV's pyrMeanShiftFiltering takes a square window in RGB, rounds every mean to integers, stops
after 5 steps, takes over a coarse level's result far from edges and gives no labels. scikit-learn's
MeanShift has one radius for all coordinates and labels a point by the nearest mode, not by the one
that it reaches; `mean_shift_points` has its kernel with the paper's labels.

Complexity: the pixels in the window, times the steps (about 16 exactly, 5 with shortcuts), times
the pixels and channels; memory for four copies of the image in float32.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Float32, Int64, Shaped
from torch import Tensor

from segscape.classical.pixels import luv_pixels, refuse_beyond_memory, unit_pixels
from segscape.ops.mean_shift import pixel_modes, point_modes
from segscape.ops.mode_regions import join_modes, join_points, merge_regions
from segscape.structures import MethodError, Partition

# Beyond so many bandwidths float32 no longer tells near from far.
_MOST_BANDWIDTHS = 1e6


@dataclass(frozen=True)
class PointClusters:
    """Points by the mode they climb to.

    Args:
        labels: 0..n-1 for each point, n modes, the mode of most points first.
        modes: the mean of the ends of the paths of each cluster.
    """

    labels: Int64[Tensor, "point"]
    modes: Float32[Tensor, "cluster dimension"]


def mean_shift_filter(
    image: Shaped[Tensor, "channel height width"],
    *,
    spatial_bandwidth_px: float = 7.0,
    color_bandwidth: float = 11.0,
    color_space: Literal["luv", "rgb"] = "luv",
    path_tolerance: float = 0.1,
    stop_below: float = 0.001,
    most_steps: int = 100,
) -> Float32[Tensor, "channel height width"]:
    """Give every pixel the colour of the mode it climbs to: smooth, with edges kept.

    Args:
        image: 8-bit, 16-bit or float, of any number of channels.
        spatial_bandwidth_px: h_s, the radius of the window in pixels, above 0.
        color_bandwidth: h_r, the radius in colour, above 0, in the units of `color_space`.
        color_space: luv: L*u*v*, where black and white are 100 apart (gray images: L*; other
            channels: times 100); rgb: the image's own channels, full scale being 255.
        path_tolerance: 0 follows every path to its end, as brute force would. Above 0, at most 1, a
            path ends where an earlier one ended once it comes within this share of both bandwidths
            to a point of it: no jump is longer, so the mode is that of a path moved by no more than
            this at each jump.
        stop_below: a step shorter than this, in bandwidths, ends the path; 0 or more.
        most_steps: the number of steps after which a path ends anyway, 1 or more.

    Returns:
        Colours in the units of `color_space`.

    Raises:
        MethodError: for an option out of its range, an image with values that are not finite or
            huge compared with the bandwidth, or one too large for the memory.
    """
    colors = _colors(image, color_bandwidth, color_space)
    modes = _modes(colors, spatial_bandwidth_px, path_tolerance, stop_below, most_steps)
    return torch.from_numpy(modes[2:] * np.float32(color_bandwidth))


def mean_shift(
    image: Shaped[Tensor, "channel height width"],
    *,
    spatial_bandwidth_px: float = 7.0,
    color_bandwidth: float = 11.0,
    smallest_region_px: int = 50,
    color_space: Literal["luv", "rgb"] = "luv",
    path_tolerance: float = 0.1,
    stop_below: float = 0.001,
    most_steps: int = 100,
) -> Partition:
    """Part an image into the basins of attraction of its modes.

    Neighbouring pixels are joined where their modes are closer than both bandwidths, then
    neighbouring regions where their mean modes are closer than the colour bandwidth; at last
    regions that are too small join the neighbour of the nearest mean mode.

    Args:
        image: 8-bit, 16-bit or float, of any number of channels.
        spatial_bandwidth_px: h_s, the radius of the window in pixels, above 0.
        color_bandwidth: h_r, the radius in colour, above 0, in the units of `color_space`.
        smallest_region_px: M, the pixels a region must have, 1 (all stay) or more.
        color_space: luv: L*u*v*, where black and white are 100 apart (gray images: L*; other
            channels: times 100); rgb: the image's own channels, full scale being 255.
        path_tolerance: 0 follows every path to its end, as brute force would; above 0, at most 1, a
            path ends where an earlier one did, once it comes within this share of both bandwidths
            to a point of it.
        stop_below: a step shorter than this, in bandwidths, ends the path; 0 or more.
        most_steps: the number of steps after which a path ends anyway, 1 or more.

    Raises:
        MethodError: for an option out of its range, an image with values that are not finite or
            huge compared with the bandwidth, or one too large for the memory.
    """
    if smallest_region_px < 1:
        raise MethodError(
            f"mean shift got smallest_region_px={smallest_region_px}, expected 1 or more"
        )
    colors = _colors(image, color_bandwidth, color_space)
    modes = _modes(colors, spatial_bandwidth_px, path_tolerance, stop_below, most_steps)
    regions = join_modes(modes, radius_px=spatial_bandwidth_px)
    return Partition(
        torch.from_numpy(merge_regions(regions, modes[2:], smallest_px=smallest_region_px))
    )


def mean_shift_points(
    points: Float[Tensor, "point dimension"],
    *,
    bandwidth: float,
    stop_below: float = 0.001,
    most_steps: int = 300,
) -> PointClusters:
    """Cluster points by the modes of their density, exactly, with one radius for all dimensions.

    Points are in one cluster when their modes are closer than the bandwidth, and so on.

    Args:
        points: finite coordinates.
        bandwidth: the radius of the window, above 0, in the units of the coordinates.
        stop_below: a step shorter than this, in bandwidths, ends the path; 0 or more.
        most_steps: the number of steps after which a path ends anyway, 1 or more.

    Raises:
        MethodError: for an option out of its range, no points, or coordinates that are not finite
            or huge compared with the bandwidth.
    """
    if points.numel() == 0:
        raise MethodError(
            f"mean shift got points of shape {tuple(points.shape)}: at least one is needed"
        )
    _check("bandwidth", bandwidth, bandwidth > 0, "above 0")
    _check_steps(stop_below, most_steps)
    if not bool(torch.isfinite(points).all()):
        raise MethodError("mean shift got points with nan or infinite coordinates: drop them first")
    # Around the middle, where float32 is finest.
    middle = points.detach().cpu().double().mean(0)
    scaled = ((points.detach().cpu().double() - middle) / bandwidth).float().numpy()
    _refuse_huge(scaled, bandwidth)
    modes = point_modes(np.ascontiguousarray(scaled), stop=stop_below, most=most_steps)
    labels = join_points(modes)
    sums = np.stack([np.bincount(labels, column) for column in modes.T], axis=1)
    sizes = np.bincount(labels)
    order = np.argsort(-sizes, kind="stable")
    means = torch.from_numpy((sums / sizes[:, None])[order]) * bandwidth + middle
    ranks = np.argsort(order, kind="stable")
    return PointClusters(torch.from_numpy(ranks[labels].astype(np.int64)), means.float())


def _colors(
    image: Shaped[Tensor, "channel height width"],
    color_bandwidth: float,
    color_space: Literal["luv", "rgb"],
) -> Float32[np.ndarray, "channel height width"]:
    """Colours in units of the bandwidth."""
    _check("color_bandwidth", color_bandwidth, color_bandwidth > 0, "above 0")
    if color_space not in ("luv", "rgb"):
        raise MethodError(f"mean shift got color_space={color_space!r}, expected luv or rgb")
    # The image as float32, its colours, and a padded copy and the modes of two planes more.
    refuse_beyond_memory(
        4.0 * (4 * image.shape[0] + 8) * image[0].numel() if image.numel() else 0.0,
        "mean shift",
        "shrink the image or cut it into tiles",
    )
    if color_space == "luv":
        pixels = luv_pixels(image, "mean shift")
    else:
        pixels = 255 * unit_pixels(image, "mean shift")
    colors = pixels.numpy() / np.float32(color_bandwidth)
    _refuse_huge(colors, color_bandwidth)
    return colors


def _modes(
    colors: Float32[np.ndarray, "channel height width"],
    spatial_bandwidth_px: float,
    path_tolerance: float,
    stop_below: float,
    most_steps: int,
) -> Float32[np.ndarray, "coordinate height width"]:
    _check("spatial_bandwidth_px", spatial_bandwidth_px, spatial_bandwidth_px > 0, "above 0")
    _check("path_tolerance", path_tolerance, 0 <= path_tolerance <= 1, "0 to 1")
    _check_steps(stop_below, most_steps)
    return pixel_modes(
        colors,
        radius_px=spatial_bandwidth_px,
        share=path_tolerance,
        stop=stop_below,
        most=most_steps,
    )


def _check(name: str, value: float | int, good: bool, expected: str) -> None:
    if not good or not np.isfinite(value):
        raise MethodError(f"mean shift got {name}={value}, expected {expected}")


def _check_steps(stop_below: float, most_steps: int) -> None:
    _check("stop_below", stop_below, stop_below >= 0, "0 or more")
    _check("most_steps", most_steps, most_steps >= 1, "1 or more")


def _refuse_huge(values: Float32[np.ndarray, "*shape"], bandwidth: float) -> None:
    largest = float(np.abs(values).max())
    if not largest < _MOST_BANDWIDTHS:
        raise MethodError(
            f"mean shift got values up to {largest * bandwidth:.3g} and a bandwidth of {bandwidth}:"
            f" more than {_MOST_BANDWIDTHS:.0e} bandwidths, choose a larger one"
        )
