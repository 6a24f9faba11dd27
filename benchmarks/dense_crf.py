"""A dense CRF of 500 x 375 pixels, 21 labels and 10 iterations, against pydensecrf.

The parameters are those of DeepLabv2 on ResNet-101: smoothness 3 and 1 pixel, appearance 4, 67
pixels and 3 levels. Setting up is counted, as both must for each new image.

The image is scikit-image's coffee cup. Scores, made of its parts as felzenszwalb finds them:

- confident: as of a good network on Pascal VOC. Each part is one of five classes, blurred over its
  border, with smooth noise; 16 classes are nowhere above one in ten thousand.
- flat: all 21 classes are possible everywhere, the right one about half: none can be left out.

"its smoothness" filters positions by the lattice, too, as the peer does, and gives its labels; by
default positions are summed over the grid, as the paper's formula says, and a few labels differ.
Labels must agree on 99.9 % of the pixels.
"""

import numpy as np
import pydensecrf.densecrf as peer
import skimage.data
import torch
from jaxtyping import Float32, UInt8
from numpy import ndarray
from scipy.ndimage import gaussian_filter
from skimage.segmentation import felzenszwalb
from skimage.transform import resize
from torch import Tensor

from benchmarks.measure import Comparison, compare
from segscape.classical.dense_crf import SmoothnessFilter, dense_crf, unary_of

HEIGHT, WIDTH, LABELS, ITERATIONS = 375, 500, 21, 10
SEED = 0


def picture() -> UInt8[ndarray, "height width 3"]:
    """A photograph of the size of Pascal VOC's."""
    pixels = resize(skimage.data.coffee(), (HEIGHT, WIDTH), anti_aliasing=True)
    return (255 * pixels).round().astype(np.uint8)


def scores_of(
    image: UInt8[ndarray, "height width 3"], *, confident: bool
) -> Float32[Tensor, "label height width"]:
    """The softmax of a blurred truth and of smooth noise."""
    random = np.random.default_rng(SEED)
    parts = felzenszwalb(image, scale=400, sigma=0.8, min_size=400)
    classes = 5 if confident else LABELS
    truth = random.integers(0, classes, parts.max() + 1)[parts]
    hot = (truth[..., None] == np.arange(LABELS)).astype(np.float32)
    noise = gaussian_filter(random.standard_normal((HEIGHT, WIDTH, LABELS)), (12, 12, 0))
    noise /= noise.std()
    if confident:
        logits = 8 * gaussian_filter(hot, (6, 6, 0)) + 1.5 * noise
        logits[..., classes:] -= 14
    else:
        logits = 3 * gaussian_filter(hot, (6, 6, 0)) + 0.7 * noise
    return torch.from_numpy(logits.astype(np.float32)).permute(2, 0, 1).softmax(0)


def run() -> list[Comparison]:
    """Compare both kinds of scores and both filters of positions."""
    image = picture()
    pixels = torch.from_numpy(image).permute(2, 0, 1).contiguous()
    results: list[Comparison] = []
    for kind in ("confident", "flat"):
        scores = scores_of(image, confident=kind == "confident")
        unary = np.ascontiguousarray(unary_of(scores).reshape(LABELS, -1).numpy())

        def theirs(unary: ndarray = unary) -> Tensor:
            crf = peer.DenseCRF2D(WIDTH, HEIGHT, LABELS)
            crf.setUnaryEnergy(unary)
            crf.addPairwiseGaussian(sxy=1, compat=3)
            crf.addPairwiseBilateral(sxy=67, srgb=3, rgbim=image, compat=4)
            return torch.from_numpy(np.array(crf.inference(ITERATIONS)))

        filters: tuple[SmoothnessFilter, ...] = ("grid", "lattice")
        for smoothness in filters:

            def ours(scores: Tensor = scores, smoothness: SmoothnessFilter = smoothness) -> Tensor:
                field = dense_crf(
                    pixels, scores, iterations=ITERATIONS, smoothness_filter=smoothness
                )
                return field.scores.reshape(LABELS, -1)

            def same_labels(mine: Tensor, other: Tensor, kind: str = kind) -> bool:
                agree = float((mine.argmax(0) == other.argmax(0)).double().mean())
                print(f"   {kind}: labels agree on {100 * agree:.3f} % of the pixels", flush=True)
                return agree >= 0.999

            how = "" if smoothness == "grid" else ", its smoothness"
            results.append(
                compare(
                    ours,
                    theirs,
                    name=f"dense CRF, {kind} scores{how}",
                    rounds=5,
                    check=same_labels,
                )
            )
    return results
