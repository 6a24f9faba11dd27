"""GrabCut: an object cut out of an image from a box around it, a trimap or a few strokes.

Rother, Kolmogorov and Blake 2004, "GrabCut": interactive foreground extraction using iterated graph
cuts (doi:10.1145/1015706.1015720).

Differs from the paper: the mixtures start from a sample of pixels, not from Orchard and
Bouman's splitting; a pixel's colour is known to within a small noise, which keeps every covariance
regular and the energy falling; the first cut after marks of both kinds learns from the marks alone.
Border matting is not here; `posterior` is of the colours, without their neighbours. Images of more
than a megapixel are cut coarse to fine (`banded_cut`).

Differs from OpenCV's `grabCut`: a pixel's cost is that of the component assigned to it, its share
included, as in the paper's equation 9 (there: the shares are left out when components are chosen,
and the cost is of all components together), so that the energy can only fall; it is returned for
every iteration, and the loop ends when it no longer falls; any number of channels and any type;
cuts are kept from iteration to iteration, since only the terminals change; nothing is global.

Per iteration: pixels x components x channels^2 for the costs, and a minimum cut that starts from
the last one's flow. Memory: 60 bytes a pixel and 8 a channel, and 110 for each pixel of the window
around what is not known.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float32, Shaped, UInt8
from numpy import ndarray
from torch import Tensor

from segscape.classical.banded_cut import (
    BandCut,
    Window,
    band_marks,
    coarse_factor,
    cut_in_tiles,
    factor_with_marks,
    shrunk_marks,
    shrunk_pixels,
    window_of,
)
from segscape.classical.color_unit import ColorUnit, sampling_step
from segscape.classical.object_marks import BACKGROUND, OBJECT, UNKNOWN, object_marks
from segscape.classical.pixels import float_pixels, refuse_beyond_memory
from segscape.ops.contrast import boundary_costs, cost_of_cut, mean_sharpness
from segscape.ops.gaussian_mixture import GaussianMixture, learned_mixtures, sampled_mixture
from segscape.structures import MethodError


@dataclass(frozen=True)
class GrabCut:
    """An object cut out.

    Args:
        mask: where the object is.
        energies: the energy (the paper's equation 2), in nats, after each iteration, never rising;
            that of the coarse image where `coarse_factor` is above 1.
        is_converged: whether the energy stopped falling before the iterations ended.
        object_colors: the mixture for which the last cut was made, of colours in 0..1.
        background_colors: likewise for the background.
        coarse_factor: pixels across a block of the coarse image; 1 if there was none.
    """

    mask: Bool[Tensor, "height width"]
    energies: tuple[float, ...]
    is_converged: bool
    object_colors: GaussianMixture
    background_colors: GaussianMixture
    coarse_factor: int

    def posterior(
        self, image: Shaped[Tensor, "channel height width"]
    ) -> Float32[Tensor, "height width"]:
        """The probability of each pixel's colour to be the object's, at equal odds before.

        Raises:
            MethodError: for an image `float_pixels` refuses, or one of other channels.
        """
        pixels = float_pixels(image, "posterior").numpy()
        if len(pixels) != self.object_colors.means.shape[1]:
            raise MethodError(
                f"posterior got {len(pixels)} channels for mixtures of "
                f"{self.object_colors.means.shape[1]}: give the image that was cut"
            )
        flat = pixels.reshape(len(pixels), -1)
        odds = self.object_colors.negative_log_density(flat)
        odds -= self.background_colors.negative_log_density(flat)
        return torch.sigmoid(torch.from_numpy(-odds)).reshape(image.shape[1:])


def grab_cut(
    image: Shaped[Tensor, "channel height width"],
    *,
    box: tuple[int, int, int, int] | None = None,
    marks: UInt8[Tensor, "marked_height marked_width"] | None = None,
    gamma: float = 50.0,
    components: int = 5,
    iterations: int = 12,
    tolerance: float = 1e-3,
    coarse_to_fine: int | None = None,
    seed: int = 0,
) -> GrabCut:
    """Cut out the object in a box, or the one that marks show.

    Args:
        image: `uint8`, 16-bit or floating, of any number of channels.
        box: left, top, right and bottom in pixels, right and bottom exclusive: all outside is
            background, and what is not marked inside is at first taken for the object.
        marks: 0 for background, 1 for object, 255 for what is to be found out: a trimap or strokes.
            Without a box, what is not marked starts as the object if only background is marked,
            as background if only the object is, and as neither if both are.
        gamma: weight of the boundary, 0 or more; the paper's 50 came from 15 training images.
        components: Gaussians in each of the two mixtures, 1 to 100.
        iterations: the most cuts that are made, 1 or more.
        tolerance: ends when an iteration lowers the energy by no more than this, in nats per
            pixel that is not marked; 0 or more.
        coarse_to_fine: 1 iterates at full size; 2 to 64 on blocks of so many pixels across, and
            then cuts a band around the object once at full size. By default 1 for images of up to
            a megapixel, and blocks above, about 0.3 million of them.
        seed: chooses the pixels from which the mixtures start.

    Raises:
        MethodError: for an image `float_pixels` refuses, options out of range, no box and no
            marks, marks of other values or size, a mark for the object outside the box, or when
            nothing is left for the background; when the cut would not fit into memory.
    """
    _check_options(gamma, components, iterations, tolerance)
    pixels = float_pixels(image, "grab_cut").numpy()
    channels, height, width = pixels.shape
    factor = coarse_factor(height, width, coarse_to_fine, "grab_cut")
    known = _known(pixels.shape[1:], box, marks)
    start = _start(known, in_box=box is not None)
    factor = factor_with_marks(known, factor)
    _check_memory(known, channels, factor)
    unit = ColorUnit.of(pixels)
    level = unit.standard(shrunk_pixels(pixels, factor) if factor > 1 else pixels)
    if factor > 1:
        start = shrunk_marks(start, factor)
    search = _Search(
        level,
        shrunk_marks(known, factor) if factor > 1 else known,
        start,
        gamma / factor,
        [_start_mixture(level, start == label, components, seed) for label in (0, 1)],
    )
    energies, is_converged = search.run(iterations, tolerance)
    label, mixtures = search.label, search.mixtures
    if factor > 1:
        label, mixtures = _at_full_size(pixels, unit, known, label, mixtures, factor, gamma)
    # The energy of colours in 0..1, not of the standardised ones.
    constant = level.size * float(np.log(unit.scale))
    return GrabCut(
        mask=torch.from_numpy(label == OBJECT),
        energies=tuple(energy + constant for energy in energies),
        is_converged=is_converged,
        object_colors=mixtures[OBJECT].scaled(unit.scale, unit.shift),
        background_colors=mixtures[BACKGROUND].scaled(unit.scale, unit.shift),
        coarse_factor=factor,
    )


class _Search:
    """The state of the iterations: labels, mixtures and the cut.

    Args:
        pixels: about 1 in size.
        known: the user's marks.
        label: labels to learn the first mixtures from, 255 for none.
        gamma: weight of the boundary.
        mixtures: of the background and of the object, to choose the first components.
    """

    def __init__(
        self,
        pixels: Float32[ndarray, "channel height width"],
        known: UInt8[ndarray, "height width"],
        label: UInt8[ndarray, "height width"],
        gamma: float,
        mixtures: list[GaussianMixture],
    ) -> None:
        self.pixels = pixels.reshape(len(pixels), -1)
        self.known = known
        self.label = label
        self.mixtures = mixtures
        self.boundary = boundary_costs(pixels)
        self.boundary *= np.float32(gamma)
        self.window = window_of(known)
        self.cut = BandCut(known[self.window], self.boundary[(slice(None), *self.window)])
        self._evaluate()

    def run(self, iterations: int, tolerance: float) -> tuple[list[float], bool]:
        """Iterate until the energy no longer falls."""
        energies: list[float] = []
        least = tolerance * np.count_nonzero(self.known == UNKNOWN)
        for _ in range(iterations):
            before = self.label, self.mixtures
            self.mixtures = _learned(self.pixels, self.label, self.nearest, self.mixtures)
            self._evaluate()
            difference = self.costs[BACKGROUND] - self.costs[OBJECT]
            difference = difference.reshape(self.known.shape)[self.window]
            self.label = self.known.copy()
            self.label[self.window] = self.cut.labels(difference)
            energy = self._energy()
            # Capacities are rounded: a fall smaller than that may come out as a rise.
            if energies and energy > energies[-1]:
                self.label, self.mixtures = before
                energy = energies[-1]
            energies.append(energy)
            if len(energies) > 1 and energies[-2] - energy <= least:
                return energies, True
        return energies, False

    def _evaluate(self) -> None:
        """Find what every pixel costs on either side, and its component there: step 1."""
        results = [mixture.costs(self.pixels) for mixture in self.mixtures]
        self.costs = [cost for cost, _ in results]
        self.nearest = [component for _, component in results]

    def _energy(self) -> float:
        """U + V (equations 7 and 11) of the labels."""
        is_object = self.label == OBJECT
        data = np.where(is_object.ravel(), self.costs[OBJECT], self.costs[BACKGROUND])
        return float(data.sum(dtype=np.float64)) + cost_of_cut(self.boundary, is_object)


def _at_full_size(
    pixels: Float32[ndarray, "channel height width"],
    unit: ColorUnit,
    known: UInt8[ndarray, "height width"],
    coarse: UInt8[ndarray, "rows columns"],
    mixtures: list[GaussianMixture],
    factor: int,
    gamma: float,
) -> tuple[UInt8[ndarray, "height width"], list[GaussianMixture]]:
    """Learn the colours again from single pixels, and cut the band around the coarse boundary."""
    marks = band_marks(known, coarse, factor)
    step = sampling_step(marks.size)
    # Not from the band, whose labels are what is sought.
    some = unit.standard(pixels[:, ::step, ::step]).reshape(len(pixels), -1)
    nearest = [mixture.costs(some)[1] for mixture in mixtures]
    mixtures = _learned(some, marks[::step, ::step], nearest, mixtures)
    sharpness = mean_sharpness(pixels) * unit.scale**2

    def costs(window: Window) -> tuple[ndarray, ndarray]:
        part = unit.standard(pixels[(slice(None), *window)])
        boundary = boundary_costs(part, sharpness=sharpness)
        boundary *= np.float32(gamma)
        flat = part.reshape(len(part), -1)
        difference = mixtures[BACKGROUND].costs(flat)[0] - mixtures[OBJECT].costs(flat)[0]
        return difference.reshape(part.shape[1:]), boundary

    return cut_in_tiles(marks, coarse, factor, costs), mixtures


def _learned(
    pixels: Float32[ndarray, "channel pixel"],
    label: UInt8[ndarray, "height width"],
    nearest: list[UInt8[ndarray, "pixel"]],
    mixtures: list[GaussianMixture],
) -> list[GaussianMixture]:
    """Learn both mixtures from the labels and the components: step 2; one without pixels stays."""
    flat = label.ravel()
    counts = tuple(len(mixture.weights) for mixture in mixtures)
    component = np.where(flat == OBJECT, nearest[OBJECT] + counts[0], nearest[BACKGROUND])
    component = np.where(flat == UNKNOWN, UNKNOWN, component).astype(np.uint8)
    learned = learned_mixtures(pixels, component, counts, ColorUnit.NOISE)
    return [new or old for new, old in zip(learned, mixtures, strict=True)]


def _start_mixture(
    pixels: Float32[ndarray, "channel height width"],
    own: Bool[ndarray, "height width"],
    components: int,
    seed: int,
) -> GaussianMixture:
    # An object of no pixel may have any colour, none likelier than the image's own.
    places = np.flatnonzero(own if own.any() else np.ones_like(own))
    some = pixels.reshape(len(pixels), -1)[:, places[:: sampling_step(len(places)) ** 2]]
    return sampled_mixture(some, components, ColorUnit.NOISE, seed)


def _check_options(gamma: float, components: int, iterations: int, tolerance: float) -> None:
    for name, value, is_right, expected in (
        ("gamma", gamma, 0 <= gamma < 1e6, "0 or more"),
        ("components", components, 1 <= components <= 100, "1 to 100"),
        ("iterations", iterations, iterations >= 1, "1 or more"),
        ("tolerance", tolerance, tolerance >= 0, "0 or more"),
    ):
        if not is_right:
            raise MethodError(f"grab_cut got {name}={value}, expected {expected}")


def _known(
    shape: tuple[int, ...],
    box: tuple[int, int, int, int] | None,
    marks: UInt8[Tensor, "height width"] | None,
) -> UInt8[ndarray, "height width"]:
    """Bring box and marks together: 0, 1 or 255 for every pixel."""
    height, width = shape
    if box is None and marks is None:
        raise MethodError("grab_cut got neither a box nor marks: draw one around or on the object")
    known = np.full((height, width), UNKNOWN, np.uint8)
    if marks is not None:
        known = object_marks(marks, shape, "grab_cut")
    if box is not None:
        outside = _outside(box, height, width)
        wrong = int(np.count_nonzero(known[outside] == OBJECT))
        if wrong:
            raise MethodError(
                f"grab_cut got marks of the object outside the box {box}, {wrong:,} in all: "
                "enlarge the box or erase the marks"
            )
        known[outside] = BACKGROUND
    return known


def _outside(
    box: tuple[int, int, int, int], height: int, width: int
) -> Bool[ndarray, "height width"]:
    if [type(side) for side in box] != [int] * 4:
        raise MethodError(
            f"grab_cut got the box {box}: expected left, top, right, bottom as whole pixels"
        )
    left, top, right, bottom = box
    if not (max(left, 0) < min(right, width) and max(top, 0) < min(bottom, height)):
        raise MethodError(
            f"grab_cut got the box {box}, which holds no pixel of an image {width} wide and "
            f"{height} high: give left, top, right, bottom in pixels, left below right, top below "
            "bottom"
        )
    outside = np.ones((height, width), np.bool_)
    outside[max(top, 0) : bottom, max(left, 0) : right] = False
    return outside


def _start(
    known: UInt8[ndarray, "height width"], *, in_box: bool
) -> UInt8[ndarray, "height width"]:
    """Labels to learn the first mixtures from."""
    has_background, has_object = (known == BACKGROUND).any(), (known == OBJECT).any()
    if not has_background and not has_object:
        raise MethodError(
            "grab_cut got a box of the whole image, so nothing is known to be background: "
            "leave a margin, or mark some background"
            if in_box
            else "grab_cut got marks that mark nothing: mark some of the object or the background"
        )
    if has_background and has_object and not in_box:
        return known
    rest = OBJECT if has_background else BACKGROUND
    return np.where(known == UNKNOWN, np.uint8(rest), known)


def _check_memory(known: UInt8[ndarray, "height width"], channels: int, factor: int) -> None:
    rows, columns = window_of(known)
    window = (rows.stop - rows.start) * (columns.stop - columns.start)
    need = (8.0 * channels + 60) * known.size + 110.0 * window if factor == 1 else 8.0 * known.size
    cure = "set coarse_to_fine=None" if factor == 1 else "shrink the image"
    refuse_beyond_memory(need, "grab_cut", f"{cure} or draw a smaller box")
