"""`segscape segment`: commands made from functions, their files and their refusals."""

import json
import subprocess
import sys

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image

from segscape.classical import METHODS
from segscape.classical.method_options import argument_helps, method_options
from segscape.cli.main import main
from segscape.io.image_files import read_image, write_image
from segscape.io.mask_files import read_ids

# Options with which each method is quick on a picture of 24 x 32 pixels.
SMALL = {
    "k_means": ["--clusters", 3],
    "ncut": ["--regions", 3, "--superpixels", 12],
    "slic": ["--superpixels", 6],
    "ncut_superpixels": ["--superpixels", 6, "--coarse-regions", 3],
    "etps": ["--superpixels", 6],
    "alpha_expansion": ["--clusters", 3],
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """An image of a bright square on noise, and marks on it as PNG and JSON."""
    place = tmp_path_factory.mktemp("segment")
    random = torch.Generator().manual_seed(0)
    pixels = torch.randint(20, 60, (3, 24, 32), dtype=torch.uint8, generator=random)
    pixels[:, 6:18, 8:24] += 150
    write_image(place / "square.png", pixels)
    marks = np.full((24, 32), 255, np.uint8)
    marks[10:12, 12:18], marks[1, 2:30] = 1, 0
    Image.fromarray(marks).save(place / "marks.png")
    strokes = [
        {"points": [[12, 10], [18, 11.5]], "width": 2, "label": 1},
        {"points": [[2, 1.5], [30, 1.5]], "label": 0},
    ]
    (place / "marks.json").write_text(json.dumps({"strokes": strokes}))
    return place


def run(*words):
    """Run `segscape segment`; returns its exit code."""
    with pytest.raises(SystemExit) as stop:
        main(["segment", *map(str, words)])
    return stop.value.code or 0


@pytest.mark.parametrize("name", METHODS)
def test_every_method_runs_and_writes_ids_boundaries_and_mean_colors(name, folder, tmp_path):
    shown = ["--marks", folder / "marks.png"] if METHODS[name].is_shown else []
    words = [name, folder / "square.png", "--out", tmp_path / "out", *SMALL.get(name, []), *shown]
    assert run(*words, "--json", tmp_path / "s.json") == 0
    with Image.open(tmp_path / "out" / "square.png") as file:
        assert file.mode == "I;16"
    ids = read_ids(tmp_path / "out" / "square.png")
    image = read_image(folder / "square.png")
    assert ids.shape == image.shape[1:]
    summary = json.loads((tmp_path / "s.json").read_text())
    assert summary["method"] == name
    assert summary["images"][0]["regions"] == ids.unique().numel()
    overlay = read_image(tmp_path / "out" / "overlay" / "square.png")
    assert overlay.shape == image.shape
    if name in ("graph_cut", "grab_cut"):
        picture = read_image(tmp_path / "out" / "cut_out" / "square.png")
        assert torch.equal(picture, torch.where(ids == 1, image, 255))
        assert not (tmp_path / "out" / "mean_color").exists()
        return
    colors = read_image(tmp_path / "out" / "mean_color" / "square.png")
    inside = ids == ids[12, 16]
    assert torch.allclose(colors[:, 12, 16].float(), image[:, inside].float().mean(1), atol=0.51)


@pytest.mark.parametrize("name", METHODS)
def test_help_explains_every_option_in_words(name, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "400")
    assert run(name, "--help") == 0
    printed = capsys.readouterr().out
    method = METHODS[name].load()
    helps = argument_helps(method)
    for option in method_options(method):
        assert f"--{option.name.replace('_', '-')}" in printed
        assert len(option.help) > 10
        assert option.help.partition("`")[0][1:60] in printed
        assert option.default != option, f"{option.name} has no default"
    assert "image" in helps


@pytest.mark.parametrize("name", METHODS)
def test_help_of_80_columns_cuts_no_name_and_no_default_short(name, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    assert run(name, "--help") == 0
    printed = capsys.readouterr().out
    lines = printed.splitlines()
    assert max(map(len, lines)) <= 80
    assert "…" not in printed
    assert "`" not in printed
    for option in method_options(METHODS[name].load()):
        assert any(f" --{option.name.replace('_', '-')} " in line for line in lines)
        if option.default not in (None, False):
            assert f"[default: {option.text}]" in " ".join(printed.replace("│", " ").split())


def test_what_is_wrong_is_said_before_torch_is_imported(tmp_path):
    (tmp_path / "a.png").touch()
    for said, *words in (
        ("no such file", "slic", "nowhere.png", "--out", "o"),
        ("no such file", "graph_cut", "a.png", "--marks", "nowhere.json", "--out", "o"),
        ("Missing option '--out'", "ncut", "a.png"),
        ("'x' is not one of", "ncut", "a.png", "--out", "o", "--cut", "x"),
        ("valid number", "ncut", "a.png", "--out", "o", "--contour-bandwidth", "x"),
        ("needs to be shown", "grab_cut", "a.png", "--out", "o"),
        ("did you mean 'slic'", "slik", "a.png", "--out", "o"),
        ("no such file", "compare", "nowhere.png", "--out", "o"),
        ("Usage", "mean-shift", "--help"),
    ):
        code = "import sys; from segscape.cli.main import main\n"
        code += f"try: main(['segment', *{words!r}])\n"
        code += "except SystemExit: print('torch' in sys.modules, 'numba' in sys.modules)"
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path
        )
        assert said in done.stderr + done.stdout
        assert done.stdout.splitlines()[-1] == "False False"


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("slik", "did you mean 'slic'?"),
        ("kmean", "did you mean 'k_means'?"),
        ("normalized-cut", "did you mean 'ncut'?"),
        ("compar", "did you mean 'compare'?"),
        ("densecrfs", "did you mean 'dense_crf'?"),
        ("whatever", "there are k_means, mean_shift"),
    ],
)
def test_an_unknown_method_is_refused_with_the_cure(word, said, folder, capsys):
    assert run(word, folder / "square.png", "--out", "nowhere") == 2
    line = capsys.readouterr().err
    assert said in line
    assert line.count("\n") == 1


@pytest.mark.parametrize("word", ["kmeans", "k-means", "k_means", "K-Means"])
def test_a_method_is_known_however_it_is_written(word, folder, tmp_path):
    assert run(word, folder / "square.png", "--out", tmp_path, "--clusters", 2) == 0


def test_files_keep_their_depth_and_channels(folder, tmp_path):
    image = read_image(folder / "square.png")
    write_image(tmp_path / "plain.png", image)
    pixels = image.permute(1, 2, 0).numpy()
    tifffile.imwrite(tmp_path / "deep.tif", pixels.astype(np.uint16) * 257, photometric="rgb")
    # Two halves 40 of 65535 apart, which 8 bits do not tell from each other.
    fine = np.full((24, 32), 30000, np.uint16)
    fine[:, 16:] += 40
    Image.fromarray(fine).save(tmp_path / "fine.png")
    # What differs is in the fifth channel.
    many = np.full((24, 32, 5), 100, np.uint8)
    many[:, 16:, 4] = 120
    tifffile.imwrite(tmp_path / "many.tif", many, photometric="minisblack", planarconfig="contig")
    out = tmp_path / "out"
    assert run("k_means", tmp_path, "--clusters", 2, "--out", out) == 0
    ids = {name: read_ids(out / f"{name}.png") for name in ("plain", "deep", "fine", "many")}
    assert torch.equal(ids["plain"], ids["deep"])
    for name in ("fine", "many"):
        assert ids[name][:, :16].unique().numel() == ids[name][:, 16:].unique().numel() == 1
        assert ids[name][0, 0] != ids[name][0, 31]
    shown = [read_image(out / "mean_color" / f"{name}.png") for name in ("plain", "deep", "fine")]
    # Deep images are scaled for show: from 20..209 to 0..255 here.
    assert (shown[0].int() - shown[1].int()).abs().max() <= 46
    assert shown[2].float().std() > 100  # scaled for show: nearly black beside nearly white


def test_the_list_of_methods_imports_none_of_them():
    words = "import sys; from segscape.cli.main import main\n"
    words += "try: main(['segment'])\nexcept SystemExit: print(sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", words], capture_output=True, text=True, check=True)
    assert all(name in done.stdout for name in METHODS)
    assert "'torch'" not in done.stdout
    assert "'numba'" not in done.stdout


def test_marks_from_json_and_from_a_folder_do_what_the_png_does(folder, tmp_path):
    (tmp_path / "drawn").mkdir()
    (tmp_path / "drawn" / "square.json").write_bytes((folder / "marks.json").read_bytes())
    for name, marks in (("png", folder / "marks.png"), ("json", tmp_path / "drawn")):
        out = tmp_path / name
        assert run("random_walker", folder / "square.png", "--marks", marks, "--out", out) == 0
    found = [read_ids(tmp_path / name / "square.png") for name in ("png", "json")]
    assert torch.equal(found[0], found[1])
    assert found[0][6:18, 8:24].float().mean() > 0.9


def test_a_box_from_the_command_line(folder, tmp_path):
    box = ["--box", 5, 4, 27, 20]
    assert run("grab_cut", folder / "square.png", *box, "--out", tmp_path) == 0
    mask = read_ids(tmp_path / "square.png")
    assert mask[6:18, 8:24].float().mean() > 0.9
    assert mask[:4].sum() == 0


def test_hyphens_name_a_method_too_and_options_may_be_none(folder, tmp_path):
    words = ["alpha-expansion", folder / "square.png", "--out", tmp_path, "--clusters", 2]
    assert run(*words, "--neighbors", 4, "--truncation", "none") == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["slic", "{image}"], "Missing option '--out'"),
        (["slic", "{image}", "--out", "{out}", "--superpixels", "0"], "expected 1 or more"),
        (["slic", "{image}", "--out", "{out}", "--superpixels", "x"], "segment slic --help'"),
        (["slic", "nowhere.png", "--out", "{out}"], "nowhere.png: no such file"),
        (["k_means", "{image}", "--out", "{out}", "--clusters", "900"], "distinct pixels"),
        (["alpha_expansion", "{image}", "--out", "{out}", "--neighbors", "5"], "should be 4 or 8"),
        (["grab_cut", "{image}", "--out", "{out}"], "needs to be shown what to look for: give --m"),
        (["random_walker", "{image}", "--out", "{out}", "--marks", "{out}.png"], "no such file"),
        (
            ["grab_cut", "{image}", "--out", "{out}", "--box", "90", "1", "99", "9"],
            "--box: the box",
        ),
        (["slic", "{image}", "--out", "{image}"], "is a file, a folder was to be filled"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(words, said, folder, tmp_path, capsys):
    places = {"image": folder / "square.png", "out": tmp_path / "out"}
    assert run(*(word.format(**places) for word in words)) == 2
    line = capsys.readouterr().err
    assert said in line
    assert line.startswith("segscape: ")
    assert line.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("marks", "said"),
    [
        ({"strokes": [{"points": [[2, 2], [9, 9]], "width": 3, "label": 0},
                      {"points": [[9, 2], [2, 9]], "width": 3, "label": 1}]},
         "strokes 1 (label 0) and 2 (label 1) both mark"),
        ({"strokes": [{"points": [[2, 2]], "label": 1}]}, "background"),
        ({"strokes": [{"points": [[90, 90]], "label": 1}]}, "stroke 1 lies outside the image"),
        ({"boxes": [[40, 3, 60, 9]]}, "is none in an image 32 wide and 24 high"),
        ({"boxes": [[3, 3, 9, 9], [12, 3, 19, 9]]}, "got 2 boxes, expected one"),
        ({"lines": []}, "expected {"),
    ],
)  # fmt: skip
def test_bad_marks_are_refused_in_one_line(marks, said, folder, tmp_path, capsys):
    (tmp_path / "m.json").write_text(json.dumps(marks))
    words = ["--marks", tmp_path / "m.json", "--out", tmp_path / "out"]
    method = "random_walker" if said == "background" else "grab_cut"
    code = run(method, folder / "square.png", *words)
    if said == "background":  # one class only: one region, or one line
        assert code in (0, 2)
        return
    assert code == 2
    line = capsys.readouterr().err
    assert said in line
    assert line.count("\n") == 1


@pytest.mark.parametrize("name", ["graph_cut", "random_walker"])
def test_a_box_for_a_method_that_takes_none_is_one_line_with_the_cure(
    name, folder, tmp_path, capsys
):
    strokes = json.loads((folder / "marks.json").read_text())["strokes"]
    (tmp_path / "m.json").write_text(json.dumps({"strokes": strokes, "boxes": [[3, 3, 9, 9]]}))
    words = ["--marks", tmp_path / "m.json", "--out", tmp_path / "out"]
    assert run(name, folder / "square.png", *words) == 2
    line = capsys.readouterr().err
    assert f'm.json: holds a box, which {name} does not take: leave "boxes" out' in line
    assert line.count("\n") == 1


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda place: (place / "marks" / "b.png").unlink(), "expected b.png or b.json"),
        (lambda place: (place / "marks" / "b.png").write_text("no"), "b.png: is not an image"),
        (lambda place: (place / "images" / "b.png").write_text("no"), "b.png: is not an image"),
        (lambda place: (place / "out" / "overlay").mkdir(parents=True)
         or (place / "out" / "overlay" / "b.png").touch(), "b.png: there already"),
        (lambda place: write_image(place / "images" / "b.png", torch.zeros(
            3, 5, 5, dtype=torch.uint8)), "the marks are 24 x 32 but the image 5 x 5"),
    ],
)  # fmt: skip
def test_all_is_checked_before_the_first_image_is_segmented(spoil, said, folder, tmp_path, capsys):
    for kind, source in (("images", "square.png"), ("marks", "marks.png")):
        (tmp_path / kind).mkdir()
        for name in ("a.png", "b.png"):
            (tmp_path / kind / name).write_bytes((folder / source).read_bytes())
    spoil(tmp_path)
    words = [tmp_path / "images", "--marks", tmp_path / "marks", "--out", tmp_path / "out"]
    assert run("random_walker", *words) == 2
    line = capsys.readouterr().err
    assert said in line
    assert line.count("\n") == 1
    assert not (tmp_path / "out" / "a.png").exists()


def test_results_are_replaced_only_when_asked(folder, tmp_path, capsys):
    words = ["felzenszwalb", folder / "square.png", "--out", tmp_path]
    assert run(*words) == 0
    assert run(*words) == 2
    assert "there already: choose another --out or --overwrite" in capsys.readouterr().err
    assert run(*words, "--overwrite") == 0


def test_an_image_beyond_the_memory_is_refused_before_it_is_read(
    folder, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr("segscape.classical.pixels._free_memory", lambda: 1000.0)
    assert run("slic", folder / "square.png", "--out", tmp_path / "out") == 2
    assert "an image of 24 x 32 pixels would need about" in capsys.readouterr().err


def test_compare_puts_all_methods_on_one_page_that_needs_nothing_else(folder, tmp_path):
    page = tmp_path / "page.html"
    words = [
        "compare",
        folder / "square.png",
        "--out",
        page,
        "--methods",
        "slic,felzenszwalb,grab-cut",
    ]
    assert run(*words) == 0
    text = page.read_text()
    assert "slic" in text
    assert "felzenszwalb" in text
    assert "needs to be shown what to look for: give --marks or --box" in text
    assert text.count("data:image") == 5
    assert "http://" not in text.replace("http://www.w3.org", "")
    assert run(*words, "--box", 5, 4, 27, 20) == 0
    assert page.read_text().count("data:image") == 7


def test_compare_shrinks_what_is_marked_with_the_image(tmp_path):
    image = torch.full((3, 60, 90), 40, dtype=torch.uint8)
    image[:, 15:45, 24:66] = 200
    write_image(tmp_path / "a.png", image)
    strokes = [
        {"points": [[30, 20], [60, 40]], "label": 1},
        {"points": [[2, 3], [88, 3]], "label": 0},
    ]
    marks = {"strokes": strokes, "boxes": [[15, 9, 75, 51]]}
    (tmp_path / "m.json").write_text(json.dumps(marks))
    page = tmp_path / "page.html"
    words = ["compare", tmp_path / "a.png", "--out", page, "--marks", tmp_path / "m.json"]
    assert run(*words, "--methods", "grab-cut,graph-cut", "--longest-side", 30) == 0
    text = page.read_text()
    assert "30 x 20 pixels" in text
    assert "Left out" not in text
    assert text.count("cut out") >= 2
    assert "marks and box" in text


def test_compare_takes_images_of_other_depth_and_channels(tmp_path):
    random = np.random.default_rng(0)
    values = random.integers(0, 4096, (20, 30, 5)).astype(np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", values, photometric="minisblack", planarconfig="contig")
    words = ["compare", tmp_path / "a.tif", "--out", tmp_path / "page.html", "--methods", "k-means"]
    for side in (640, 15):
        assert run(*words, "--longest-side", side) == 0
        text = (tmp_path / "page.html").read_text()
        assert "5 channels" in text
        assert "Left out" not in text


def test_compare_refuses_what_it_does_not_know(folder, tmp_path, capsys):
    words = ["compare", folder / "square.png", "--out", tmp_path / "page.html"]
    assert run(*words, "--methods", "slik") == 2
    assert "unknown method 'slik': did you mean 'slic'" in capsys.readouterr().err


def test_a_comparison_of_nothing_is_refused(folder, tmp_path, capsys):
    page = tmp_path / "page.html"
    assert run("compare", folder / "square.png", "--out", page, "--methods", "grab_cut") == 2
    assert "no method is left to compare: grab_cut" in capsys.readouterr().err
    assert not page.exists()
