"""Superpixels of 640 x 480 pixels against scikit-image and OpenCV; errors on BSDS500 beside them.

Where the photographs of BSDS500 are at hand (`SEGSCAPE_DATA` or `../shared/data`), each peer's
undersegmentation error must be no lower than ours on twenty of the training split.
"""

import os
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import torch
from skimage import segmentation
from skimage.data import coffee
from skimage.transform import resize
from torch import Tensor

from benchmarks.measure import Comparison, compare
from segscape.classical.etps import etps
from segscape.classical.felzenszwalb import felzenszwalb
from segscape.classical.slic import slic
from segscape.datasets.bsds500 import BerkeleyDataset
from segscape.metrics.superpixels import boundary_recall, undersegmentation_error
from segscape.structures import Partition

IMAGES, ASKED = 20, 1000


def photograph() -> Tensor:
    """A cup of coffee, 640 x 480 pixels."""
    pixels = (resize(coffee(), (480, 640), anti_aliasing=True) * 255).astype(np.uint8)
    return torch.from_numpy(pixels.transpose(2, 0, 1).copy())


def skimage_slic(image: Tensor) -> Partition:
    """scikit-image's, with the paper's compactness."""
    return _ids(
        segmentation.slic(_rows(image), ASKED, compactness=10, max_num_iter=10, start_label=0)
    )


def opencv_slic(image: Tensor) -> Partition:
    """OpenCV's, connected by its second call."""
    lab = cv2.cvtColor(_rows(image), cv2.COLOR_RGB2LAB)
    side = round((lab[..., 0].size / ASKED) ** 0.5)
    found = cv2.ximgproc.createSuperpixelSLIC(lab, cv2.ximgproc.SLIC, side, 10.0)
    found.iterate(10)
    found.enforceLabelConnectivity(25)
    return _ids(found.getLabels())


def opencv_seeds(image: Tensor) -> Partition:
    """OpenCV's SEEDS, asked for twice as many as it gives about half."""
    lab = cv2.cvtColor(_rows(image), cv2.COLOR_RGB2LAB)
    height, width = lab.shape[:2]
    found = cv2.ximgproc.createSuperpixelSEEDS(width, height, 3, 2 * ASKED, 4)
    found.iterate(lab, 10)
    return _ids(found.getLabels())


def skimage_felzenszwalb(image: Tensor) -> Partition:
    """scikit-image's at our default options."""
    return _ids(segmentation.felzenszwalb(_rows(image), scale=300, sigma=0.8, min_size=50))


def same_regions(one: Partition, other: Partition) -> bool:
    """Whether all regions are the same but for, at most, one pixel in a thousand."""
    pairs = one.regions.long() * other.count + other.regions.long()
    counts = torch.bincount(pairs.flatten(), minlength=one.count * other.count)
    best = counts.view(one.count, other.count).amax(1).sum()
    return one.count == other.count and int(best) >= 0.999 * pairs.numel()


def run() -> list[Comparison]:
    """Compare errors, then times, each pair on one image and one thread."""
    _compare_errors()
    cv2.setNumThreads(1)
    image = photograph()
    return [
        compare(lambda: slic(image), lambda: skimage_slic(image), name="SLIC, scikit-image"),
        compare(lambda: slic(image), lambda: opencv_slic(image), name="SLIC, OpenCV"),
        compare(
            lambda: felzenszwalb(image),
            lambda: skimage_felzenszwalb(image),
            name="Felzenszwalb, scikit-image",
            check=same_regions,
        ),
        compare(lambda: etps(image), lambda: opencv_seeds(image), name="ETPS, OpenCV's SEEDS"),
    ]


def _compare_errors() -> None:
    """Print the mean error, recall and count of each method; refuse a worse error of ours.

    Raises:
        ValueError: when a peer's error is lower.
    """
    root = Path(os.environ.get("SEGSCAPE_DATA", "../shared/data")) / "bsds500"
    if not root.is_dir():
        print(f"no images in {root}: errors are not compared")
        return
    data = BerkeleyDataset(root, split="train")
    ours: dict[str, Callable[[Tensor], Partition]] = {"slic": slic, "etps": etps}
    peers = {
        "scikit-image's SLIC": skimage_slic,
        "OpenCV's SLIC": opencv_slic,
        "OpenCV's SEEDS": opencv_seeds,
    }
    errors: dict[str, float] = {}
    for name, method in (ours | peers).items():
        rows: list[tuple[float, float, int]] = []
        for index in range(min(IMAGES, len(data))):
            item = data[index]
            found = method(item.image)
            rows += [
                (undersegmentation_error(found, true), boundary_recall(found, true), found.count)
                for true in item.truths
            ]
        errors[name], recall, count = np.mean(rows, axis=0)
        print(f"{name:<22} error {errors[name]:.4f}  recall {recall:.4f}  regions {count:.0f}")
    for mine, theirs in (("slic", list(peers)[:2]), ("etps", list(peers))):
        for peer in theirs:
            if errors[mine] > errors[peer]:
                raise ValueError(f"the error of {mine} is {errors[mine]}, {peer} {errors[peer]}")


def _rows(image: Tensor) -> np.ndarray:
    return np.ascontiguousarray(image.permute(1, 2, 0).numpy())


def _ids(labels: np.ndarray) -> Partition:
    return Partition.from_ids(torch.from_numpy(labels.astype(np.int32)))
