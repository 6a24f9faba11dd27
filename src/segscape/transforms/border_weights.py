"""U-Net's border weights, computed in the loader after the geometric transforms."""

from dataclasses import dataclass, replace

import numpy as np

from segscape.structures import LabelMap, Sample, StructureError
from segscape.transforms import options


@dataclass(frozen=True)
class BorderWeights:
    """Weigh pixels between cells that all but touch (`segscape.ops.border_weights`).

    Comes last: cells are told apart in what the geometric transforms left of them. Weights that the
    sample has already are multiplied.

    Args:
        foreground: the category id of the cells.
        w0: the weight added where two cells all but touch, >= 0.
        sigma_px: width of the effect in pixels, above 0.
        class_balance: weigh categories by their inverse frequency in the sample.
        inside_cells: add the border weight within cells too.

    Raises:
        StructureError: for options out of range, and, when called, for a foreground that is not a
            category.
    """

    foreground: int
    w0: float = 10.0
    sigma_px: float = 5.0
    class_balance: bool = True
    inside_cells: bool = False

    def __post_init__(self) -> None:
        name = "border_weights"
        options.whole_number(name, "foreground", self.foreground, 0)
        object.__setattr__(self, "w0", options.number(name, "w0", self.w0))
        sigma_px = options.number(name, "sigma_px", self.sigma_px, above=True)
        object.__setattr__(self, "sigma_px", sigma_px)
        options.yes_or_no(name, "class_balance", self.class_balance)
        options.yes_or_no(name, "inside_cells", self.inside_cells)

    def __call__(
        self, sample: Sample[LabelMap], generator: np.random.Generator
    ) -> Sample[LabelMap]:
        """Fill `pixel_weights`; image and labels stay."""
        # scipy and numba load when first needed: listing the transforms must not wait for them.
        from segscape.ops.border_weights import border_weights

        taxonomy = sample.target.taxonomy
        if self.foreground >= len(taxonomy):
            raise StructureError(
                f"transform border_weights: foreground is {self.foreground}, expected the id of "
                f"a category, 0..{len(taxonomy) - 1} ({', '.join(taxonomy.names)})"
            )
        weights = border_weights(
            sample.target.labels,
            foreground=self.foreground,
            w0=self.w0,
            sigma_px=self.sigma_px,
            class_balance=self.class_balance,
            ignore_id=taxonomy.ignore_id,
            inside_cells=self.inside_cells,
        )
        if sample.pixel_weights is not None:
            weights = weights * sample.pixel_weights
        return replace(sample, pixel_weights=weights)
