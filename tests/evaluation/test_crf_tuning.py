import pytest
import torch
from tests.support.stand_in_segmenter import ListedSamples, TableSegmenter

from segscape.classical.dense_crf import DenseCRF
from segscape.evaluation.crf_tuning import PUBLISHED_RANGES, tune_crf
from segscape.structures import DatasetError, LabelMap, Sample, StructureError, Taxonomy

TAXONOMY = Taxonomy.from_names(["dark", "light"])
SIZE = (10, 16)


def dataset(count=3):
    """Pictures of a dark and a light half; the segmenter is wrong at random pixels."""
    truth = torch.zeros(SIZE, dtype=torch.uint8)
    truth[:, 8:] = 1
    samples = []
    for number in range(count):
        image = truth.expand(3, -1, -1) * 200
        image[:, 0, 0] = number
        samples.append(Sample(image, LabelMap(truth, TAXONOMY), f"image {number}"))
    return ListedSamples(tuple(samples), TAXONOMY)


class Counting(TableSegmenter):
    def __init__(self, count):
        generator = torch.Generator().manual_seed(0)
        wrong = torch.rand(count, *SIZE, generator=generator) < 0.2
        truth = dataset(1)[0].target.labels
        super().__init__(TAXONOMY, [truth ^ one for one in wrong])
        self.calls = 0

    def scores(self, image):
        self.calls += 1
        return super().scores(image)


def test_finds_a_better_setting_and_scores_each_image_once():
    segmenter, told = Counting(3), []
    found = tune_crf(
        segmenter,
        dataset(),
        start=DenseCRF(1.0, 1.0, 4.0, 5.0, 50.0, 3),
        ranges={"appearance_weight": (0.0, 1.0, 3.0), "appearance_px": (1.0, 5.0)},
        progress=lambda done, known: told.append((done, known)),
    )
    assert segmenter.calls == 3
    assert found.best.miou == max(trial.miou for trial in found.trials)
    assert found.best.miou > found.unrefined
    assert found.keys == ("image 0", "image 1", "image 2")
    assert len({trial.crf for trial in found.trials}) == len(found.trials)
    assert all(trial.crf.iterations == 3 for trial in found.trials)
    assert told[-1][0] == told[-1][1]


def test_the_whole_grid_is_tried_when_asked():
    ranges = {"appearance_weight": (1.0, 2.0, 3.0), "appearance_color": (3.0, 9.0)}
    found = tune_crf(Counting(1), dataset(1), ranges=ranges, full=True)
    assert len(found.trials) == 6
    assert (found.best.crf.smoothness_weight, found.best.crf.smoothness_px) == (3.0, 3.0)


def test_the_ranges_are_those_of_the_paper():
    counts = [len(values) for values in PUBLISHED_RANGES.values()]
    assert counts == [4, 8, 4]


def test_every_and_limit_choose_images():
    one = {"appearance_px": (5.0,)}
    found = tune_crf(Counting(5), dataset(5), every=2, limit=2, ranges=one)
    assert found.keys == ("image 0", "image 2")


@pytest.mark.parametrize(
    "options", [{"every": 0}, {"limit": 0}, {"ranges": {}}, {"ranges": {"appearance_px": ()}}]
)
def test_what_cannot_be_searched_is_refused(options):
    with pytest.raises(StructureError, match="tune_crf got"):
        tune_crf(Counting(1), dataset(1), **options)


def test_no_images_are_refused():
    with pytest.raises(DatasetError, match="no images"):
        tune_crf(Counting(1), dataset(0))
