"""How much of an image, and of many, each category covers."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Integer
from torch import Tensor

from segscape.structures import Size, Taxonomy


class ClassAreas:
    """Counts the pixels of each category, exactly.

    Args:
        taxonomy: what the labels mean; ignored pixels are not counted.
    """

    def __init__(self, taxonomy: Taxonomy) -> None:
        self._taxonomy = taxonomy
        self._pixels = torch.zeros(len(taxonomy), dtype=torch.int64)

    def add(self, labels: Integer[Tensor, "height width"]) -> None:
        """Count the pixels of a label map or a part of one."""
        counts = torch.bincount(labels.reshape(-1).cpu(), minlength=len(self._taxonomy))
        self._pixels += counts[: len(self._taxonomy)]

    def describe(self, source: str, size: Size) -> dict[str, object]:
        """Image, height, width, and each class's name, pixels and share of the image."""
        return {
            "image": source,
            "height": size.height,
            "width": size.width,
            "classes": _classes(
                self._taxonomy.names, self._pixels.tolist(), size.height * size.width
            ),
        }


def sum_areas(descriptions: Iterable[Mapping[str, Any]], taxonomy: Taxonomy) -> dict[str, object]:
    """Add up what `describe` gave for many images: their number, pixels and the classes."""
    images = total = 0
    pixels = [0] * len(taxonomy)
    for description in descriptions:
        images += 1
        total += description["height"] * description["width"]
        for index, entry in enumerate(description["classes"]):
            pixels[index] += entry["pixels"]
    return {"images": images, "pixels": total, "classes": _classes(taxonomy.names, pixels, total)}


def _classes(names: Sequence[str], pixels: Sequence[int], total: int) -> list[dict[str, object]]:
    return [
        {"name": name, "pixels": count, "share": count / total if total else 0.0}
        for name, count in zip(names, pixels, strict=True)
    ]
