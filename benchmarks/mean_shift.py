"""Mean shift of 640 x 480 pixels against OpenCV's, and of points against scikit-learn's.

OpenCV's windows are squares in RGB and its means whole numbers, so that ours runs in RGB, too, and
both are held against exact paths. scikit-learn's window is a ball in all five dimensions together;
`mean_shift_points` has the same, so that their modes can be compared one by one.
"""

import cv2
import numpy as np
import torch
from jaxtyping import Float32, UInt8
from scipy.spatial import cKDTree
from skimage.data import coffee
from sklearn.cluster import MeanShift
from torch import Tensor

from benchmarks.measure import Comparison, compare
from segscape.classical.mean_shift import mean_shift, mean_shift_filter, mean_shift_points
from segscape.ops.color import rgb_to_luv
from segscape.ops.mean_shift import point_modes
from segscape.structures import Partition

RADIUS_PX, RADIUS = 8, 16
# Until a step is shorter than 0.01 pixels or gray levels, at most 100 steps: OpenCV's way to say
# so, and ours in bandwidths.
LONG = (cv2.TERM_CRITERIA_MAX_ITER | cv2.TERM_CRITERIA_EPS, 100, 0.01)
# OpenCV's default: 5 steps, or until one is shorter than 1.
SHORT_STEPS, SHORT_STOP = 5, 1 / 16


def photograph(width: int, height: int) -> UInt8[np.ndarray, "height width 3"]:
    """A cup of coffee."""
    return cv2.resize(coffee(), (width, height), interpolation=cv2.INTER_AREA)


def filtering(image: UInt8[np.ndarray, "height width 3"]) -> list[Comparison]:
    """Ours with shortcuts, exact, and exact as far as OpenCV goes, against OpenCV."""
    pixels = torch.from_numpy(image).permute(2, 0, 1).contiguous()

    def ours(
        path_tolerance: float = 0.1, stop_below: float = 0.001, most_steps: int = 100
    ) -> Float32[Tensor, "3 height width"]:
        return mean_shift_filter(
            pixels,
            spatial_bandwidth_px=float(RADIUS_PX),
            color_bandwidth=float(RADIUS),
            color_space="rgb",
            path_tolerance=path_tolerance,
            stop_below=stop_below,
            most_steps=most_steps,
        )

    def short() -> Float32[Tensor, "3 height width"]:
        return ours(0.0, SHORT_STOP, SHORT_STEPS)

    def exactly() -> Float32[Tensor, "3 height width"]:
        return ours(0.0)

    def labelled() -> Partition:
        return mean_shift(
            pixels,
            spatial_bandwidth_px=float(RADIUS_PX),
            color_bandwidth=float(RADIUS),
            color_space="rgb",
        )

    def peer() -> UInt8[np.ndarray, "height width 3"]:
        return cv2.pyrMeanShiftFiltering(image, RADIUS_PX, RADIUS)

    def one_level() -> UInt8[np.ndarray, "height width 3"]:
        return cv2.pyrMeanShiftFiltering(image, RADIUS_PX, RADIUS, maxLevel=0)

    def long() -> UInt8[np.ndarray, "height width 3"]:
        return cv2.pyrMeanShiftFiltering(image, RADIUS_PX, RADIUS, maxLevel=0, termcrit=LONG)

    exact = exactly()

    def off(found: Tensor) -> float:
        return float((found - exact).abs().mean())

    others = {
        "OpenCV": off(_pixels(peer())),
        "OpenCV, one level": off(_pixels(one_level())),
        "OpenCV, one level, to the end": off(_pixels(long())),
    }
    own = {"ours": off(ours()), "ours, 5 steps": off(short())}
    values = ", ".join(f"{name} {value:.2f}" for name, value in {**own, **others}.items())
    print(f"mean difference from exact paths in gray levels: {values}", flush=True)
    if min(others.values()) < own["ours"]:
        raise ValueError("mean shift's shortcuts lead farther from the exact result than OpenCV")
    return [
        compare(mine, theirs, name=f"mean shift: {name}", rounds=5)
        for name, mine, theirs in (
            ("filter and labels, M = 50; peer: filter only", labelled, peer),
            ("filter; peer: defaults, two levels, 5 steps", ours, peer),
            ("filter; peer: one level, 5 steps", ours, one_level),
            ("filter, exact, 5 steps; peer: one level, 5 steps", short, one_level),
            ("filter, exact; peer: one level, to the end", exactly, long),
        )
    ]


def points(image: UInt8[np.ndarray, "height width 3"]) -> list[Comparison]:
    """The pixels of a small image as points in five dimensions, all as seeds."""
    pixels = torch.from_numpy(image).permute(2, 0, 1).contiguous()
    height, width = image.shape[:2]
    places = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    luv = rgb_to_luv(pixels.float() / 255)
    joint = torch.cat([torch.stack(places).float(), luv]).flatten(1).T.contiguous() / RADIUS_PX

    def ours() -> Float32[np.ndarray, "cluster 5"]:
        return mean_shift_points(joint, bandwidth=1.0).modes.numpy()

    def exact_image() -> Partition:
        return mean_shift(
            pixels,
            spatial_bandwidth_px=float(RADIUS_PX),
            color_bandwidth=float(RADIUS_PX),
            path_tolerance=0.0,
        )

    def peer() -> Float32[np.ndarray, "cluster 5"]:
        return MeanShift(bandwidth=1.0).fit(joint.numpy()).cluster_centers_

    def alike(_ours: np.ndarray, theirs: np.ndarray) -> bool:
        """Their centers are ends of paths, of which ours are means: each is an end of ours."""
        ends = point_modes(joint.numpy(), stop=1e-3, most=300)
        return bool(np.mean(cKDTree(ends).query(theirs)[0] < 1e-3) > 0.98)

    name = f"mean shift: {height * width} points in 5-D, exact"
    rows = [compare(ours, peer, name=name, rounds=3, check=alike)]
    name = f"mean shift: {width}x{height} image, exact, windows as in the paper"
    return [*rows, compare(exact_image, peer, name=name, rounds=3)]


def _pixels(image: UInt8[np.ndarray, "height width 3"]) -> Float32[Tensor, "3 height width"]:
    return torch.from_numpy(image).permute(2, 0, 1).float()


def run() -> list[Comparison]:
    """Compare all."""
    return [*filtering(photograph(640, 480)), *points(photograph(64, 48))]
