"""Judge a segmenter on a data set, image by image, in memory that does not grow with the images."""

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from statistics import mean, median
from time import perf_counter
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from segscape.datasets.dataset import Dataset
from segscape.evaluation.boundaries import Boundaries
from segscape.evaluation.category_order import CategoryOrder
from segscape.evaluation.cells import Cells
from segscape.evaluation.environment import environment
from segscape.evaluation.evaluation import Evaluation, Fact, Speed
from segscape.evaluation.examples import Extremes
from segscape.evaluation.rules import rules_in_words
from segscape.metrics import ratios
from segscape.metrics.calibration import CalibrationHistogram
from segscape.metrics.confusion import ConfusionMatrix
from segscape.metrics.scores import ImageScores
from segscape.structures import DatasetError, LabelMap, Sample, StructureError, Taxonomy

# Score maps of an image larger than this are not held as a whole, and it is not calibrated.
MOST_SCORE_BYTES = 2**30


@runtime_checkable
class SemanticSegmenter(Protocol):
    """What is judged: `inference.Segmenter`, or anything that answers like it."""

    @property
    def taxonomy(self) -> Taxonomy:
        """What the labels mean."""
        ...

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        ...

    def __call__(self, image: UInt8[Tensor, "channel height width"]) -> LabelMap:
        """Label one image of 0..255."""
        ...

    def scores(
        self, image: UInt8[Tensor, "channel height width"]
    ) -> Float[Tensor, "category height width"]:
        """Probabilities in [0, 1]."""
        ...


def evaluate(
    segmenter: SemanticSegmenter,
    dataset: Dataset[LabelMap],
    *,
    level: float | None = 0.95,
    draws: int = 1000,
    seed: int = 0,
    calibrate: bool = True,
    contours: bool = True,
    cells: str | None = None,
    examples: int = 4,
    limit: int | None = None,
    data: Mapping[str, Fact] | None = None,
    model: Mapping[str, Fact] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """Segment every image of a data set and compare with the truth.

    Images are read one ahead by a second thread. What is kept of an image is its sparse integer
    confusion matrix, and a small picture of the few worst and best: the numbers do not depend on
    the order of the images.

    Args:
        segmenter: what is judged. Its categories are matched with the data set's by name.
        dataset: images with their truth.
        level: of the confidence intervals, in (0, 1); None for no intervals. Fewer than five images
            have none.
        draws: bootstrap draws for them, 1 or more.
        seed: of these draws.
        calibrate: whether to judge the scores, too; it costs their softmax and memory.
        contours: whether to judge the boundaries, and the regions by their size, too; it costs
            about a twentieth of a second for an image of 360 x 480.
        cells: the category whose connected pieces are judged as cells, too (V^Rand, V^Info, warping
            error); None for none.
        examples: how many of the worst and of the best images to keep, 0 or more.
        limit: judge only so many of the first images, 1 or more; None for all.
        data: facts about the images, for the report.
        model: facts about the model, for the report.
        progress: called after each image with the number done and the number of all.

    Raises:
        DatasetError: when the data set is empty.
        StructureError: when no category has the name `cells`.
        CheckpointError: when the categories of model and data set differ.
        SegscapeError: when an image or its truth cannot be read, a prediction does not fit it, or
            an option is out of its range.
    """
    if limit is not None and limit < 1:
        raise StructureError(f"evaluate: limit is {limit} images, expected 1 or more")
    count = len(dataset) if limit is None else min(limit, len(dataset))
    if count == 0:
        raise DatasetError("the data set holds no images to judge: check --data and --split")
    if examples < 0:
        raise StructureError(f"evaluate: examples is {examples}, expected 0 or more")
    order = CategoryOrder(segmenter.taxonomy, dataset.taxonomy)
    matrix, extremes = ConfusionMatrix(dataset.taxonomy), Extremes(examples)
    histogram = CalibrationHistogram() if calibrate else None
    boundaries = Boundaries(dataset.taxonomy) if contours else None
    pieces = None if cells is None else Cells(dataset.taxonomy, cells)
    seconds: list[float] = []
    void_pixels = 0
    start = perf_counter()
    for number, sample in enumerate(_read_ahead(dataset, count), start=1):
        prediction, taken = _judge(segmenter, sample, order, histogram)
        seconds.append(taken)
        matrix.update(prediction, sample.target, sample.key)
        if boundaries is not None:
            boundaries.update(prediction, sample.target, sample.key)
        if pieces is not None:
            pieces.update(prediction, sample.target, sample.key)
        void_pixels += int(sample.target.ignored().sum())
        image_scores = _image_scores(matrix, sample.key)
        extremes.add(sample.key, image_scores, sample.image, prediction, sample.target)
        if progress is not None:
            progress(number, count)
    total = perf_counter() - start
    scores = matrix.compute()
    intervals = None if level is None else scores.bootstrap(draws, seed=seed, level=level)
    calibration = None if histogram is None else histogram.compute()
    boundary = None if boundaries is None else boundaries.compute()
    agreement = None if pieces is None else pieces.compute()
    warm = seconds[1:] or seconds
    return Evaluation(
        taxonomy=dataset.taxonomy,
        scores=scores,
        intervals=intervals,
        calibration=calibration,
        boundary=boundary,
        cells=agreement,
        void_pixels=void_pixels,
        worst=extremes.worst(),
        best=extremes.best(),
        speed=Speed(mean(warm), median(warm), total),
        rules=rules_in_words(scores, intervals, calibration, boundary, agreement),
        data=dict(data or {}),
        model=dict(model or {}),
        environment=environment(segmenter.device),
    )


def _judge(
    segmenter: SemanticSegmenter,
    sample: Sample[LabelMap],
    order: CategoryOrder,
    histogram: CalibrationHistogram | None,
) -> tuple[LabelMap, float]:
    """The prediction in the data set's ids, and the seconds it took."""
    size = 4 * len(order.model) * sample.size.height * sample.size.width
    start = perf_counter()
    if histogram is None or size > MOST_SCORE_BYTES:
        label_map = segmenter(sample.image)
        taken = perf_counter() - start
        return order.of_labels(label_map), taken
    scores = segmenter.scores(sample.image)
    prediction = LabelMap.from_scores(scores, order.model)
    taken = perf_counter() - start
    histogram.update(order.of_scores(scores), sample.target)
    return order.of_labels(prediction), taken


def _image_scores(matrix: ConfusionMatrix, key: str) -> ImageScores:
    counts = matrix.image(key).numpy()
    hits, true, predicted = counts.diagonal(), counts.sum(1), counts[:, :-1].sum(0)
    iou, dice = ratios.iou(hits, true, predicted), ratios.dice(hits, true, predicted)
    return ImageScores(
        miou=float(ratios.mean_over_categories(iou, "exclude")),
        pixel_accuracy=float(ratios.pixel_accuracy(hits, true)),
        mean_dice=float(ratios.mean_over_categories(dice, "exclude")),
        judged_pixels=int(true.sum()),
    )


def _read_ahead(dataset: Dataset[LabelMap], count: int) -> Iterator[Sample[LabelMap]]:
    """The first samples in order, the next one being read while one is judged."""
    with ThreadPoolExecutor(1, thread_name_prefix="segscape-reader") as reader:
        coming: Future[Sample[LabelMap]] = reader.submit(dataset.__getitem__, 0)
        for following in range(1, count + 1):
            sample = coming.result()
            if following < count:
                coming = reader.submit(dataset.__getitem__, following)
            yield sample
