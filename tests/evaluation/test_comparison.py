import json
import time

import pytest
import torch
from tests.evaluation.test_report import HOSTILE, TAXONOMY, _Page
from tests.support.stand_in_segmenter import TableSegmenter, numbered

from segscape.evaluation.comparison import Entrant, compare
from segscape.evaluation.comparison_page import render, write_comparison
from segscape.structures import CheckpointError, StructureError, Taxonomy

opened: list[str] = []


def entrant(name, answers, taxonomy=TAXONOMY):
    def load():
        opened.append(name)
        return TableSegmenter(taxonomy, answers)

    return Entrant(name, load, taxonomy, "unet")


@pytest.fixture(scope="module")
def truths():
    generator = torch.Generator().manual_seed(0)
    return [torch.randint(0, 2, (40, 50), generator=generator, dtype=torch.uint8) for _ in range(5)]


@pytest.fixture(scope="module")
def dataset(truths):
    return numbered(truths, TAXONOMY, keys=[f"{i} {HOSTILE}" for i in range(5)])


@pytest.fixture(scope="module")
def found(truths, dataset):
    wrong = [*truths[:3], truths[3].roll(1, 1), 1 - truths[4]]
    right = entrant("right", truths)
    return compare([right, entrant(HOSTILE, wrong)], dataset, data={"split": HOSTILE})


def test_the_first_is_the_reference_and_the_worse_one_is_told_so(found):
    right, wrong = found.standings
    assert right.difference is None
    assert right.evaluation.scores.miou == 1
    assert wrong.difference.miou == pytest.approx(wrong.evaluation.scores.miou - 1)
    assert (wrong.difference.images_won, wrong.difference.images_lost) == (0, 2)


def test_the_images_shown_are_those_on_which_they_differ_most(found, truths):
    first, second, *rest = found.examples
    assert (first.key[0], second.key[0]) == ("4", "3")
    assert first.mious == (1.0, 0.0)
    assert torch.equal(first.predictions[0].labels, truths[4])
    assert torch.equal(first.predictions[1].labels, 1 - truths[4])
    assert len(rest) == 2


def test_one_segmenter_is_in_memory_at_a_time(truths, dataset):
    opened.clear()
    compare([entrant("a", truths), entrant("b", truths)], dataset, examples=1)
    assert opened == ["a", "b", "a", "b"]
    opened.clear()
    seen = []
    compare(
        [entrant("a", truths), entrant("b", truths)],
        dataset,
        examples=0,
        limit=2,
        progress=lambda done, total: seen.append((done, total)),
    )
    assert opened == ["a", "b"]
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_the_page_stands_alone_and_escapes_every_name(found, tmp_path):
    write_comparison(tmp_path / "page.html", found, title=HOSTILE)
    text = (tmp_path / "page.html").read_text("utf-8")
    page = _Page(text)
    assert "http" not in text.replace("Content-Security-Policy", "").replace("http-equiv", "")
    assert all(one.startswith(("data:image", "#")) for one in page.resources)
    assert HOSTILE not in text
    assert any(HOSTILE in word for word in page.words)
    assert "nan" not in text.split("</style>")[1].lower().replace("&lt;", "").split()
    assert sum(tag == "circle" for tag, _ in page.tags) == 2
    assert sum(tag == "img" for tag, _ in page.tags) == 4 * 4


def test_a_category_that_never_occurs_is_shown_without_a_number(found):
    words = " ".join(_Page(render(found, title="x")).words)
    assert "bus" in words


def test_json_holds_the_numbers(found):
    text = json.dumps(found.to_json(), allow_nan=False)
    again = json.loads(text)
    assert again["reference"] == "right"
    assert [run["parameters"] for run in again["runs"]] == [7, 7]
    assert again["runs"][1]["difference"]["miou"] < 0


def test_what_cannot_be_compared_is_refused(truths, dataset):
    one = entrant("a", truths)
    with pytest.raises(StructureError, match="compare got 1 run: name two or more"):
        compare([one], dataset)
    with pytest.raises(StructureError, match="one run twice"):
        compare([one, entrant("a", truths)], dataset)
    other = Taxonomy.from_names(["x", "y", "z"])
    opened.clear()
    with pytest.raises(CheckpointError, match=r"run b: .* different categories"):
        compare([one, entrant("b", truths, other)], dataset)
    assert opened == []


def test_few_images_have_no_interval_and_it_is_said_why(truths, dataset, found):
    wrong = [1 - truth for truth in truths]
    few = compare([entrant("a", truths), entrant("b", wrong)], dataset, limit=3)
    assert few.standings[0].evaluation.intervals is None
    assert few.why_no_intervals == (
        "no intervals: 3 images are too few to draw from, 5 are the least"
    )
    words = " ".join(_Page(render(few, title="x")).words)
    assert "No intervals: 3 images are too few" in words
    assert "None" not in words
    assert "nan" not in words.split()
    assert found.why_no_intervals == ""
    assert "No intervals" not in " ".join(_Page(render(found, title="x")).words)


def test_the_first_call_is_not_timed(truths, dataset):
    class Cold(TableSegmenter):
        warm = False

        def __call__(self, image):
            if not self.warm:
                time.sleep(0.3)
            self.warm = True
            return super().__call__(image)

    cold = Entrant("b", lambda: Cold(TAXONOMY, truths), TAXONOMY, "unet")
    both = compare([entrant("a", truths), cold], dataset, limit=1, examples=0)
    assert both.standings[1].evaluation.speed.mean_seconds < 0.15
