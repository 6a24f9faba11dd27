"""Segmentation without training: a paper or a family of papers per file."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module


@dataclass(frozen=True)
class MethodEntry:
    """A method that the command line offers.

    Args:
        paper: who described it, and when.
        summary: what it does, in a few words.
        module: the file of this folder that holds it.
        function: its name in that file; image first, every option keyword-only.
    """

    paper: str
    summary: str
    module: str
    function: str

    def load(self) -> Callable[..., object]:
        """Import the function; only then are its kernels looked for."""
        return getattr(import_module(f"{__name__}.{self.module}"), self.function)


METHODS: dict[str, MethodEntry] = {
    "k_means": MethodEntry(
        "Lloyd 1982; Arthur and Vassilvitskii 2007",
        "Pixels by their nearest of k colours, or of k colours and places.",
        "k_means",
        "k_means",
    ),
    "mean_shift": MethodEntry(
        "Comaniciu and Meer 2002",
        "Basins of attraction of the modes of colour and place.",
        "mean_shift",
        "mean_shift",
    ),
    "felzenszwalb": MethodEntry(
        "Felzenszwalb and Huttenlocher 2004",
        "Regions whose borders are stronger than the differences inside.",
        "felzenszwalb",
        "felzenszwalb",
    ),
    "slic": MethodEntry(
        "Achanta et al. 2012",
        "Superpixels of about equal size: k-means that looks around its centres only.",
        "slic",
        "slic",
    ),
}
