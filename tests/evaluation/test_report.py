import json
from html.parser import HTMLParser

import pytest
import torch
from tests.support.stand_in_segmenter import TableSegmenter, numbered

from segscape.evaluation import pages
from segscape.evaluation.evaluate import evaluate
from segscape.evaluation.report import render, write_report
from segscape.structures import Category, OutputError, Taxonomy

HOSTILE = "<script>alert('x')</script>\"&"
TAXONOMY = Taxonomy(
    (Category(HOSTILE, (1, 2, 3)), Category("road", (9, 9, 9)), Category("bus", (8, 8, 8)))
)
VOID = {"area", "base", "br", "col", "img", "input", "link", "meta", "source"}


class _Page(HTMLParser):
    """Checks that elements are nested, and keeps what the page holds."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.resources, self.words = [], [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.resources += [v for k, v in attrs if k in ("src", "href", "xlink:href", "action")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("style", "script"):
            self.words.append(data)


@pytest.fixture(scope="module")
def found():
    generator = torch.Generator().manual_seed(0)
    truths = [
        torch.randint(0, 2, (40, 50), generator=generator, dtype=torch.uint8) for _ in range(5)
    ]
    answers = [truth.roll(1, 1) for truth in truths]
    truths[2][:5] = 255
    dataset = numbered(truths, TAXONOMY, keys=[f"{i} {HOSTILE}" for i in range(5)])
    return evaluate(
        TableSegmenter(TAXONOMY, answers), dataset, model={"name": HOSTILE}, data={"split": HOSTILE}
    )


@pytest.fixture
def run(tmp_path):
    lines = [
        {"kind": "step", "step": i, "epoch": i / 4, "loss": 2 / (i + 1), "learning_rate": 0.1}
        for i in range(20)
    ]
    lines += [
        {"kind": "evaluation", "step": i, "epoch": i / 4, "loss": 1.0, "miou": i / 30}
        for i in range(4, 20, 4)
    ]
    text = "\n".join(map(json.dumps, lines)) + '\n{"torn'
    (tmp_path / "journal.jsonl").write_text(text)
    (tmp_path / "recipe.yaml").write_text(f"about: {HOSTILE}\n")
    return tmp_path


def test_the_page_stands_alone_and_escapes_every_name(found, run):
    text = render(found, title=HOSTILE, run=run)
    page = _Page(text)
    assert "http://" not in text
    assert "https://" not in text
    assert page.resources
    assert all(resource.startswith(("#", "data:image/")) for resource in page.resources)
    assert not any(tag in ("link", "iframe", "object") for tag, _ in page.tags)
    assert sum(tag == "script" for tag, _ in page.tags) == 1
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert" in text
    assert not any(name.startswith("on") for _, attributes in page.tags for name in attributes)


def test_the_page_shows_numbers_pictures_and_curves(found, run):
    page = _Page(render(found, title="camvid on val", run=run))
    words = " ".join(page.words)
    assert f"{100 * found.scores.miou:.1f}" in words
    assert "Interval" in page.words
    assert sum(tag == "img" for tag, _ in page.tags) == 4 * len(found.worst + found.best)
    assert {"categories", "confusion", "images", "calibration", "training", "rules", "details"} <= {
        attributes.get("id") for tag, attributes in page.tags if tag == "section"
    }
    assert "absent" in words
    for rule in found.rules:
        assert rule in words
    cells = [a["title"] for tag, a in page.tags if tag == "td" and "data-r" in a]
    assert len(cells) == 9
    right = found.scores.matrix[1, 1]
    assert any(f"{int(right):,} pixels" in cell for cell in cells)


def test_trimaps_and_region_sizes_are_on_the_page(found):
    page = _Page(render(found, title="x"))
    assert sum(attributes.get("class") == "curve c0" for _, attributes in page.tags) == 2
    for width, miou in found.boundary.trimap.items():
        assert str(width) in page.words
        assert f"{100 * miou:.1f}" in page.words
    small = found.boundary.sizes[0]
    place = page.words.index("below 1,024 px")
    told = [word for word in page.words[place:] if word.strip()][1:4]
    assert told == [f"{small.regions:,}"] + [
        f"{100 * share:.1f}" for share in (small.mean_recall, small.miou)
    ]
    assert {"1,024 to 9,215 px", "9,216 px and more"} <= set(page.words)
    recalls = [a for tag, a in page.tags if tag == "td" and "true regions" in a.get("title", "")]
    assert len(recalls) == 3 * len(TAXONOMY)
    without = evaluate(
        TableSegmenter(TAXONOMY, [found.worst[0].prediction.labels]),
        numbered([found.worst[0].target.labels], TAXONOMY),
        contours=False,
        calibrate=False,
    )
    page = _Page(render(without, title="x"))
    assert "contours" not in {attributes.get("id") for _, attributes in page.tags}


def test_without_a_run_there_are_no_curves(found, tmp_path):
    for run in (None, tmp_path):
        page = _Page(render(found, title="x", run=run))
        assert "training" not in {attributes.get("id") for _, attributes in page.tags}


def test_one_void_image_makes_a_page_too():
    void = torch.full((1, 1), 255, dtype=torch.uint8)
    answer = torch.zeros(1, 1, dtype=torch.uint8)
    nothing = evaluate(TableSegmenter(TAXONOMY, [answer]), numbered([void], TAXONOMY))
    assert "nan" not in " ".join(_Page(render(nothing, title="x")).words).lower().split()
    bare = evaluate(
        TableSegmenter(TAXONOMY, [answer]),
        numbered([answer], TAXONOMY),
        level=None,
        calibrate=False,
    )
    page = _Page(render(bare, title="x"))
    assert "Interval" not in page.words
    assert "no intervals: 1 image is too few to draw from, 5 are the least" in page.words
    assert "No pixel is wrong." in " ".join(page.words)
    assert "calibration" not in {attributes.get("id") for _, attributes in page.tags}


def test_predictions_of_nothing_have_their_own_column():
    truth, answer = torch.zeros(2, 2, dtype=torch.uint8), torch.full((2, 2), 255, dtype=torch.uint8)
    found = evaluate(
        TableSegmenter(TAXONOMY, [answer]), numbered([truth], TAXONOMY), calibrate=False
    )
    text = " ".join(_Page(render(found, title="x")).words)
    assert "nothing" in text


def test_many_categories_keep_the_page_small(tmp_path, monkeypatch):
    monkeypatch.setattr(pages, "MOST_BYTES", 550_000)
    many = Taxonomy.from_names([f"category {i}" for i in range(150)])
    generator = torch.Generator().manual_seed(0)
    # Noise is the worst there is for compression: the pictures must be made smaller.
    truths = [
        torch.randint(0, 150, (300, 300), generator=generator, dtype=torch.uint8) for _ in range(2)
    ]
    dataset = numbered(truths, many)
    found = evaluate(TableSegmenter(many, truths[::-1]), dataset, calibrate=False, draws=10)
    write_report(tmp_path / "report.html", found)
    assert (tmp_path / "report.html").stat().st_size < 550_000
    page = _Page((tmp_path / "report.html").read_text("utf-8"))
    assert sum("data-r" in attributes for _, attributes in page.tags) == 40 * 40


def test_the_report_is_written_whole_or_not_at_all(found, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError):
        write_report(tmp_path / "file" / "report.html", found)
    write_report(tmp_path / "new" / "report.html", found, title="x")
    assert [child.name for child in (tmp_path / "new").iterdir()] == ["report.html"]
