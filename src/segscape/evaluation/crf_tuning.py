"""Find the parameters of a dense CRF that suit a network, on labelled images it did not learn from.

L.-C. Chen, G. Papandreou, I. Kokkinos, K. Murphy, A. Yuille: DeepLab: Semantic Image Segmentation
with Deep Convolutional Nets, Atrous Convolution, and Fully Connected CRFs, 2016, arXiv:1606.00915,
sec. 4.1: the smoothness kernel is fixed, the appearance kernel's three parameters are searched from
coarse to fine on 100 images.

Differences from the paper: it tries all settings of `PUBLISHED_RANGES`, and then smaller steps
around the best. Here every second value of each range comes first, then all neighbours of the best
within the ranges, until none of them is better: a third of the settings or less.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch

from segscape.classical.dense_crf import PUBLISHED_CRFS, DenseCRF
from segscape.datasets.dataset import Dataset
from segscape.evaluation.category_order import CategoryOrder
from segscape.evaluation.evaluate import SemanticSegmenter
from segscape.inference.refinement import Refiner
from segscape.metrics.confusion import ConfusionMatrix
from segscape.structures import DatasetError, LabelMap, Sample, StructureError

# Weight, pixels, and levels of colour in 0..255.
PUBLISHED_RANGES = {
    "appearance_weight": (3.0, 4.0, 5.0, 6.0),
    "appearance_px": (30.0, 40.0, 50.0, 60.0, 70.0, 80.0, 90.0, 100.0),
    "appearance_color": (3.0, 4.0, 5.0, 6.0),
}

_Place = tuple[int, ...]


@dataclass(frozen=True)
class Trial:
    """One setting and what it gave.

    Args:
        crf: the setting.
        miou: mean IoU over the images searched on, in [0, 1].
    """

    crf: DenseCRF
    miou: float


@dataclass(frozen=True)
class CRFTuning:
    """What a search found.

    Args:
        unrefined: mean IoU of the network's own scores, in [0, 1].
        trials: all settings tried, in this order.
        keys: of the images searched on.
    """

    unrefined: float
    trials: tuple[Trial, ...]
    keys: tuple[str, ...]

    @property
    def best(self) -> Trial:
        """The first setting that none was better than."""
        return max(self.trials, key=lambda trial: trial.miou)


def tune_crf(
    segmenter: SemanticSegmenter,
    dataset: Dataset[LabelMap],
    *,
    start: DenseCRF | None = None,
    ranges: Mapping[str, Sequence[float]] = PUBLISHED_RANGES,
    every: int = 1,
    limit: int | None = None,
    full: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> CRFTuning:
    """Search the parameters with the highest mean IoU.

    The network scores each image once: scores wait in a temporary folder, in half precision.

    Args:
        segmenter: of the network, without a refiner.
        dataset: images with their truth that the network did not learn from, and that are not those
            the result is reported on.
        start: gives the parameters that are not searched; None for DeepLab's.
        ranges: for each parameter to be searched its values, in order.
        every: take each so many-th image, 1 or more.
        limit: at most so many of them, 1 or more; None for all.
        full: try all combinations, not from coarse to fine.
        progress: called after each image with the number done and the number known to be needed.

    Raises:
        DatasetError: when there are no images.
        StructureError: for an empty range or an option out of range.
        CheckpointError: when the categories of model and data set differ.
        SegscapeError: when an image cannot be read or scored.
    """
    if every < 1 or (limit is not None and limit < 1):
        raise StructureError(f"tune_crf got every {every} and limit {limit}, expected 1 or more")
    if not ranges or not all(ranges.values()):
        raise StructureError("tune_crf got a range without values: give one or more to each")
    places = range(0, len(dataset), every)[:limit]
    if not places:
        raise DatasetError("the data set holds no images to search on: check --data and --split")
    start = start or PUBLISHED_CRFS["deeplab_v1_vgg16"]
    order = CategoryOrder(segmenter.taxonomy, dataset.taxonomy)
    with TemporaryDirectory(prefix="segscape-tune-") as folder:
        count = _Count(len(places), progress)
        scored = _Scored(segmenter, dataset, order, places, Path(folder), count)
        trials: dict[_Place, Trial] = {}
        for wanted in _rounds(ranges, trials, full=full):
            count.need(len(wanted))
            for place in wanted:
                values = {name: ranges[name][at] for name, at in zip(ranges, place, strict=True)}
                crf = replace(start, **values)
                trials[place] = Trial(crf, scored.miou(crf))
        return CRFTuning(scored.miou(None), tuple(trials.values()), scored.keys)


def _rounds(
    ranges: Mapping[str, Sequence[float]], trials: Mapping[_Place, Trial], *, full: bool
) -> Iterator[list[_Place]]:
    """What to try next, by places in the ranges; `trials` has the results of the rounds before."""
    every_place = list(product(*(range(len(values)) for values in ranges.values())))
    if full:
        yield every_place
        return
    wanted = [place for place in every_place if all(at % 2 == 0 for at in place)]
    while wanted:
        yield wanted
        best = max(trials, key=lambda place: trials[place].miou)
        wanted = [
            place
            for place in every_place
            if place not in trials
            and all(abs(at - center) <= 1 for at, center in zip(place, best, strict=True))
        ]


class _Count:
    """Images refined, and to be refined as far as is known."""

    def __init__(self, images: int, progress: Callable[[int, int], None] | None) -> None:
        self._images, self._progress = images, progress
        self._done, self._known = 0, images

    def need(self, trials: int) -> None:
        self._known += trials * self._images

    def step(self) -> None:
        self._done += 1
        if self._progress is not None:
            self._progress(min(self._done, self._known), self._known)


class _Scored:
    """Images with their truth in memory, and their scores in files."""

    def __init__(
        self,
        segmenter: SemanticSegmenter,
        dataset: Dataset[LabelMap],
        order: CategoryOrder,
        places: Sequence[int],
        folder: Path,
        count: _Count,
    ) -> None:
        self._taxonomy, self._folder, self._count = dataset.taxonomy, folder, count
        self._samples: list[Sample[LabelMap]] = []
        for number, place in enumerate(places):
            sample = dataset[place]
            scores = order.of_scores(segmenter.scores(sample.image))
            np.save(self._file(number), scores.half().numpy())
            self._samples.append(sample)
            count.step()

    @property
    def keys(self) -> tuple[str, ...]:
        return tuple(sample.key for sample in self._samples)

    def miou(self, refiner: Refiner | None) -> float:
        """Mean IoU of the refined scores."""
        matrix = ConfusionMatrix(self._taxonomy)
        for number, sample in enumerate(self._samples):
            scores = torch.from_numpy(np.load(self._file(number))).float()
            if refiner is not None:
                scores = refiner(sample.image, scores)
                self._count.step()
            prediction = LabelMap.from_scores(scores, self._taxonomy)
            matrix.update(prediction, sample.target, sample.key)
        return matrix.compute().miou

    def _file(self, number: int) -> Path:
        return self._folder / f"{number}.npy"
