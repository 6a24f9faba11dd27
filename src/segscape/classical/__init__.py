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
        is_shown: whether it must be shown in each image what to look for, by marks or a box.
    """

    paper: str
    summary: str
    module: str
    function: str
    is_shown: bool = False

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
    "ncut": MethodEntry(
        "Shi and Malik 2000; Malik et al. 2001",
        "Normalised cuts of the graph of near pixels, weighed by the contours between them.",
        "normalized_cut",
        "normalized_cut",
    ),
    "felzenszwalb": MethodEntry(
        "Felzenszwalb and Huttenlocher 2004",
        "Regions whose borders are stronger than the differences inside.",
        "felzenszwalb",
        "felzenszwalb",
    ),
    "slic": MethodEntry(
        "Achanta et al. 2012",
        "Superpixels of about equal size: k-means in which each centre sees its surroundings only.",
        "slic",
        "slic",
    ),
    "etps": MethodEntry(
        "Yao, Boben, Fidler and Urtasun 2015",
        "Superpixels that trade blocks, then pixels, along their borders.",
        "etps",
        "etps",
    ),
    "ncut_superpixels": MethodEntry(
        "Ren and Malik 2003; Mori et al. 2004",
        "Superpixels by normalised cuts: coarse regions along contours, each split further.",
        "ncut_superpixels",
        "ncut_superpixels",
    ),
    "watershed": MethodEntry(
        "Meyer 1991; Neubert and Protzel 2014",
        "Basins of the gradient, from all minima, a grid of seeds, or marks.",
        "watershed",
        "watershed",
    ),
    "alpha_expansion": MethodEntry(
        "Boykov, Veksler and Zabih 2001",
        "Labels of like colour with smooth boundaries, by cuts that let one label grow at a time.",
        "multi_label_cut",
        "multi_label_cut",
    ),
    "dense_crf": MethodEntry(
        "Krahenbuhl and Koltun 2011",
        "Labels of like colour, each pixel swayed by all others; for a network's scores see "
        "'segscape predict --refine crf'.",
        "color_crf",
        "color_crf",
    ),
    "random_walker": MethodEntry(
        "Grady 2006",
        "The mark that a random walk over like pixels meets first.",
        "random_walker",
        "random_walker",
        is_shown=True,
    ),
    "graph_cut": MethodEntry(
        "Boykov and Jolly 2001",
        "An object cut out by marks of both kinds, at the least cost of boundary and colours.",
        "graph_cut",
        "graph_cut",
        is_shown=True,
    ),
    "grab_cut": MethodEntry(
        "Rother, Kolmogorov and Blake 2004",
        "An object cut out of a box around it, a trimap or a few strokes.",
        "grab_cut",
        "grab_cut",
        is_shown=True,
    ),
}
