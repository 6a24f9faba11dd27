"""Where to crop: anywhere, at rare categories, and not where one category fills the window."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64

from segscape.structures import LabelMap, Size
from segscape.transforms import options

# How often a window is drawn before the least one-sided of them is taken.
_TRIES = 10


@dataclass(frozen=True)
class CropChoice:
    """Class-aware choice of windows.

    Args:
        rare_class_probability: how often the window is centred on a random pixel of a random
            category instead of lying anywhere. The category is drawn among those in the image,
            each with a weight of one over the square root of its pixels.
        max_category_share: above this share of one category among the pixels that count, another
            window is drawn, up to ten; then the least one-sided is taken. 1 takes the first.
    """

    rare_class_probability: float = 0.0
    max_category_share: float = 1.0

    @classmethod
    def checked(
        cls, transform: str, rare_class_probability: object, max_category_share: object
    ) -> "CropChoice":
        """Build from a transform's options.

        Raises:
            StructureError: for a probability outside [0, 1] or a share outside (0, 1].
        """
        return cls(
            options.probability(transform, "rare_class_probability", rare_class_probability),
            options.number(
                transform, "max_category_share", max_category_share, 0.0, 1.0, above=True
            ),
        )

    def __call__(
        self, label_map: LabelMap, window: Size, generator: np.random.Generator
    ) -> tuple[int, int]:
        """Top and left of the window; negative or too far when it is larger than the image."""
        centred = self.rare_class_probability > 0
        centred = centred and generator.random() < self.rare_class_probability
        counts = _counts(label_map.labels.numpy(), len(label_map.taxonomy)) if centred else None
        if self.max_category_share >= 1:
            return _draw(label_map, window, counts, generator)
        best, best_share = (0, 0), 2.0
        for _ in range(_TRIES):
            place = _draw(label_map, window, counts, generator)
            share = _largest_share(label_map, place, window)
            if share < best_share:
                best, best_share = place, share
            if share <= self.max_category_share:
                break
        return best


def _draw(
    label_map: LabelMap,
    window: Size,
    counts: Int64[np.ndarray, "_"] | None,
    generator: np.random.Generator,
) -> tuple[int, int]:
    """A window anywhere, or about a rare pixel when the categories are counted."""
    center = None if counts is None else _rare_pixel(label_map, counts, generator)
    place: list[int] = []
    for axis in (0, 1):
        free = label_map.size[axis] - window[axis]
        low, high = min(free, 0), max(free, 0)
        # A window larger than the image lies anywhere around it: there is nothing to centre.
        if center is None or free < 0:
            place.append(int(generator.integers(low, high + 1)))
        else:
            place.append(min(max(center[axis] - window[axis] // 2, low), high))
    return place[0], place[1]


def _rare_pixel(
    label_map: LabelMap, counts: Int64[np.ndarray, "_"], generator: np.random.Generator
) -> tuple[int, int] | None:
    present = np.flatnonzero(counts)
    if len(present) == 0:
        return None
    weights = counts[present] ** -0.5
    category = generator.choice(present, p=weights / weights.sum())
    pixels = np.flatnonzero(label_map.labels.numpy() == category)
    pixel = int(pixels[generator.integers(len(pixels))])
    return divmod(pixel, label_map.size.width)


def _largest_share(label_map: LabelMap, place: tuple[int, int], window: Size) -> float:
    rows, columns = (
        slice(max(start, 0), start + length) for start, length in zip(place, window, strict=True)
    )
    counts = _counts(label_map.labels.numpy()[rows, columns], len(label_map.taxonomy))
    # A window of ignored pixels alone teaches nothing: it is the worst choice.
    return float(counts.max() / counts.sum()) if counts.any() else 1.0


def _counts(labels: np.ndarray, categories: int) -> Int64[np.ndarray, "_"]:
    return np.bincount(labels.ravel(), minlength=categories)[:categories]
