"""Normalised cuts against scikit-image's and scikit-learn's, each at the size that it can do.

- 481 x 321 pixels, radius 5, 40 regions: ours alone, as neither peer can: time, memory, residual.
- A region graph of SLIC superpixels of that image: scikit-image's `cut_normalized`, its NCut value
  and ours for the same graph and number of regions.
- 60 x 40 pixels, radius 5: scikit-learn's `spectral_clustering` on the same graph, made sparse.
"""

import time

import numpy as np
import scipy.sparse
import torch
from numpy import ndarray
from skimage import data, graph
from skimage.segmentation import slic
from skimage.transform import resize
from sklearn.cluster import spectral_clustering
from torch import Tensor

from benchmarks.measure import Comparison, compare, peak_memory
from segscape.classical.contours import local_contours
from segscape.classical.normalized_cut import (
    PixelGraph,
    image_affinity,
    image_spectrum,
    normalized_cut,
)
from segscape.classical.pixels import lab_pixels
from segscape.classical.region_graph_cut import cut_region_graph
from segscape.classical.spectral_clustering import ncut_value
from segscape.ops.affinity import StencilAffinity
from segscape.structures import Partition

REGIONS = 40


def photograph(height: int = 321, width: int = 481) -> Tensor:
    """scikit-image's coffee cup at the size of the Berkeley images."""
    pixels = resize(data.coffee(), (height, width), anti_aliasing=True)
    return torch.from_numpy((pixels * 255).astype(np.uint8)).permute(2, 0, 1)


def sparse(affinity: StencilAffinity) -> scipy.sparse.csr_array:
    """The stencil as a matrix, which is what scikit-learn takes."""
    height, width = affinity.own.shape
    # scikit-learn takes indices of 32 bits only.
    place = np.arange(height * width, dtype=np.int32).reshape(height, width)
    rows, columns, values = [place.ravel()], [place.ravel()], [affinity.own.ravel() / 2]
    for plane, (dy, dx) in zip(affinity.weights, affinity.steps, strict=True):
        here = np.s_[: height - dy, max(0, -dx) : min(width, width - dx)]
        there = np.s_[dy:, max(0, dx) : min(width, width + dx)]
        rows.append(place[here].ravel())
        columns.append(place[there].ravel())
        values.append(plane[here].ravel())
    entries = (np.concatenate(values), (np.concatenate(rows), np.concatenate(columns)))
    half = scipy.sparse.csr_array(entries, shape=(place.size, place.size))
    return scipy.sparse.csr_array(half + half.T).astype(np.float64)


def full_size() -> None:
    """Print what an image of 481 x 321 takes; no peer does it."""
    image = photograph()
    normalized_cut(image, regions=REGIONS)
    start = time.perf_counter()
    found = normalized_cut(image, regions=REGIONS)
    seconds = time.perf_counter() - start
    start = time.process_time()
    residual = image_spectrum(image).residuals.max()
    processor = time.process_time() - start
    imports = "import benchmarks.normalized_cut as b"
    base = peak_memory(f"{imports}\nb.normalized_cut(b.photograph(32, 48), regions=8)")
    peak = peak_memory(f"{imports}\nb.normalized_cut(b.photograph(), regions={REGIONS})")
    print(
        f"NCut 481 x 321, r = 5, k = {found.count}: {seconds:.1f} s (goal 10), of it eigenvectors "
        f"{processor:.1f} s of processor time; {(peak - base) / 2**20:.0f} MB above the imports "
        f"(goal 300); residual {residual:.1e}",
        flush=True,
    )


def region_graphs() -> Comparison:
    """Cut the same graph of about 300 superpixels into as many regions."""
    pixels = photograph().permute(1, 2, 0).numpy()
    labels = slic(pixels, n_segments=400, compactness=30, start_label=0)
    rag = graph.rag_mean_color(pixels, labels, mode="similarity")
    for node in rag.nodes():
        rag.add_edge(node, node, weight=1.0)
    triples = list(rag.edges.data("weight"))
    edges = np.array([(a, b) for a, b, _ in triples])
    weights = np.array([weight for _, _, weight in triples], np.float64)
    matrix = np.zeros((len(rag), len(rag)))
    matrix[edges[:, 0], edges[:, 1]] = matrix[edges[:, 1], edges[:, 0]] = weights
    first = np.unique(labels, return_index=True)[1]
    superpixels = Partition(torch.from_numpy(labels))

    def theirs() -> ndarray:
        return graph.cut_normalized(labels, rag.copy(), rng=0).ravel()[first]

    count = len(np.unique(theirs()))

    def ours() -> ndarray:
        found = cut_region_graph(superpixels, edges, weights, regions=count)
        return found.regions.numpy().ravel()[first]

    def no_higher(mine: ndarray, their: ndarray) -> bool:
        values = ncut_value(matrix, mine), ncut_value(matrix, their)
        print(f"  NCut of {count} regions: ours {values[0]:.4f}, peer {values[1]:.4f}")
        return len(np.unique(mine)) == count and values[0] <= values[1] + 1e-9

    name = f"NCut, {len(rag)} superpixels, {count} regions"
    return compare(ours, theirs, name=f"{name}, scikit-image", check=no_higher, rounds=3)


def pixel_graphs() -> Comparison:
    """Part a small image; scikit-learn is given the graph that ours makes within the time."""
    image = photograph(40, 60)
    lab = lab_pixels(image, "benchmark")
    pixels = image_affinity(lab, PixelGraph(), local_contours(lab))
    matrix = sparse(pixels)

    def ours() -> ndarray:
        found = normalized_cut(image, regions=8, assignment="k-means", tolerance=1e-4)
        return found.regions.numpy().ravel()

    def theirs() -> ndarray:
        labels = spectral_clustering(matrix, n_clusters=8, assign_labels="kmeans", random_state=0)
        return np.asarray(labels, np.int64)

    def no_higher(mine: ndarray, their: ndarray) -> bool:
        values = ncut_value(matrix, mine), ncut_value(matrix, their)
        print(f"  NCut of 8 regions: ours {values[0]:.5f}, peer {values[1]:.5f}")
        return len(np.unique(mine)) == 8 and values[0] <= values[1] * (1 + 1e-3)

    name = "NCut, 60 x 40 pixels, r = 5, 8 regions, scikit-learn"
    return compare(ours, theirs, name=name, check=no_higher, rounds=3)


def run() -> list[Comparison]:
    """Measure full size, and compare with each peer."""
    full_size()
    return [region_graphs(), pixel_graphs()]
