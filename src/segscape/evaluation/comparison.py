"""Several segmenters on the same images: who is better, where, and is it more than chance?"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import isnan
from typing import Any, Protocol, runtime_checkable

from jaxtyping import UInt8
from torch import Tensor

from segscape.datasets.dataset import Dataset
from segscape.evaluation.category_order import CategoryOrder
from segscape.evaluation.evaluate import SemanticSegmenter, evaluate
from segscape.evaluation.evaluation import Evaluation, Fact
from segscape.evaluation.examples import LONGEST_SIDE
from segscape.metrics.paired import PairedDifference, paired_difference
from segscape.structures import CheckpointError, LabelMap, StructureError, Taxonomy
from segscape.visualize.figures import smaller, smaller_labels


@runtime_checkable
class CountedSegmenter(SemanticSegmenter, Protocol):
    """What is compared: `inference.Segmenter`, or anything that answers like it."""

    @property
    def parameters(self) -> int:
        """Numbers that training sets."""
        ...


@dataclass(frozen=True)
class Entrant:
    """What takes part in a comparison.

    Args:
        name: tells it from the others.
        open: loads it; called when its turn comes, so that one is in memory at a time.
        taxonomy: what its labels mean.
        architecture: the name of its network.
    """

    name: str
    open: Callable[[], CountedSegmenter]
    taxonomy: Taxonomy
    architecture: str


@dataclass(frozen=True, eq=False)
class Standing:
    """How one entrant did.

    Args:
        entrant: which one.
        parameters: numbers that training sets.
        evaluation: its numbers on the images.
        difference: from the reference, None for the reference itself.
    """

    entrant: Entrant
    parameters: int
    evaluation: Evaluation
    difference: PairedDifference | None


@dataclass(frozen=True, eq=False)
class SharedExample:
    """One image under all entrants, made small.

    Args:
        key: of the image.
        image: its pixels.
        target: the truth.
        predictions: one per entrant.
        mious: the mean IoU of each on this image, in [0, 1].
    """

    key: str
    image: UInt8[Tensor, "channel height width"]
    target: LabelMap
    predictions: tuple[LabelMap, ...]
    mious: tuple[float, ...]


@dataclass(frozen=True, eq=False)
class Comparison:
    """All that was found; the first standing is the reference of the differences."""

    standings: tuple[Standing, ...]
    examples: tuple[SharedExample, ...]

    @property
    def why_no_intervals(self) -> str:
        """In a few words, empty where there are intervals."""
        return self.standings[0].evaluation.why_no_intervals

    def to_json(self) -> dict[str, Any]:
        """The numbers as dicts and lists; those not defined are null."""
        return {
            "reference": self.standings[0].entrant.name,
            "runs": [
                {
                    "name": standing.entrant.name,
                    "architecture": standing.entrant.architecture,
                    "parameters": standing.parameters,
                    "difference": None
                    if standing.difference is None
                    else standing.difference.to_json(),
                    "evaluation": standing.evaluation.to_json(),
                }
                for standing in self.standings
            ],
        }


def compare(
    entrants: Sequence[Entrant],
    dataset: Dataset[LabelMap],
    *,
    examples: int = 4,
    limit: int | None = None,
    level: float = 0.95,
    seed: int = 0,
    data: Mapping[str, Fact] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Comparison:
    """Judge every entrant on the same images and pair the results image by image.

    Args:
        entrants: two or more of different names; the first is the reference.
        dataset: images with their truth.
        examples: how many of the images on which they differ most to keep, 0 or more.
        limit: judge only so many of the first images, 1 or more; None for all.
        level: of the intervals, in (0, 1); there are none for fewer than five images.
        seed: of the draws behind them.
        data: facts about the images, for the page.
        progress: called after each image with the number done and the number of all.

    Raises:
        StructureError: for fewer than two entrants or two of one name.
        SegscapeError: as `evaluate` raises.
    """
    names = [entrant.name for entrant in entrants]
    if len(names) < 2:
        raise StructureError(
            f"compare got {len(names)} run: name two or more, or judge one by segscape evaluate"
        )
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise StructureError(f"compare got one run twice, {twice}: name each once")
    for entrant in entrants:  # before the first one has worked for an hour
        try:
            CategoryOrder(entrant.taxonomy, dataset.taxonomy)
        except CheckpointError as error:
            raise CheckpointError(f"run {entrant.name}: {error}") from error
    count = len(dataset) if limit is None else min(limit, len(dataset))
    standings: list[Standing] = []
    for place, entrant in enumerate(entrants):
        segmenter = entrant.open()
        if count:
            segmenter(dataset[0].image)  # the first call, which sets things up, is not timed
        evaluation = evaluate(
            segmenter,
            dataset,
            level=level,
            seed=seed,
            calibrate=False,
            examples=0,
            limit=limit,
            data=data,
            progress=None if progress is None else _part(progress, place, len(entrants)),
        )
        difference = None
        if standings:
            reference = standings[0].evaluation.scores
            difference = paired_difference(evaluation.scores, reference, level=level, seed=seed)
        standings.append(Standing(entrant, segmenter.parameters, evaluation, difference))
    return Comparison(tuple(standings), _examples(standings, dataset, examples))


def _part(
    progress: Callable[[int, int], None], place: int, parts: int
) -> Callable[[int, int], None]:
    return lambda done, total: progress(place * total + done, parts * total)


def _examples(
    standings: Sequence[Standing], dataset: Dataset[LabelMap], count: int
) -> tuple[SharedExample, ...]:
    """The images on which the entrants' mean IoU is furthest apart, furthest first."""
    per_image = [standing.evaluation.scores.per_image() for standing in standings]
    mious = {key: tuple(one[key].miou for one in per_image) for key in per_image[0]}
    judged = {key: values for key, values in mious.items() if not any(map(isnan, values))}
    keys = sorted(judged, key=lambda key: (min(judged[key]) - max(judged[key]), key))[:count]
    samples = {key: dataset[dataset.keys.index(key)] for key in keys}
    predictions: dict[str, list[LabelMap]] = {key: [] for key in keys}
    # One network after the other, so that no two are in memory at once.
    for standing in standings if keys else ():
        segmenter = standing.entrant.open()
        order = CategoryOrder(segmenter.taxonomy, dataset.taxonomy)
        for key in keys:
            labels = order.of_labels(segmenter(samples[key].image))
            predictions[key].append(smaller_labels(labels, LONGEST_SIDE))
    return tuple(
        SharedExample(
            key,
            smaller(samples[key].image, LONGEST_SIDE),
            smaller_labels(samples[key].target, LONGEST_SIDE),
            tuple(predictions[key]),
            judged[key],
        )
        for key in keys
    )
