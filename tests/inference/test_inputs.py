from pathlib import Path

import pytest

from segscape.inference.inputs import find_inputs
from segscape.structures import ImageFileError, OutputError


@pytest.fixture
def tree(tmp_path):
    for name in ("one/a.jpg", "one/b.png", "one/deep/c.tif", "one/.hidden.png", "two/a.jpg"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (tmp_path / "one/notes.txt").touch()
    (tmp_path / "one/slide.zarr/c/0").mkdir(parents=True)
    (tmp_path / "one/slide.zarr/c/0/x.png").touch()
    return tmp_path


def names(inputs, out="/elsewhere"):
    return [str(image.name) for image in find_inputs(inputs, out)]


def test_files_of_one_folder_lie_flat(tree):
    assert names([tree / "one/a.jpg", tree / "one/b.png"]) == ["a", "b"]


def test_a_folder_is_searched_and_its_tree_kept(tree):
    assert sorted(names([tree / "one"])) == ["a", "b", "deep/c", "slide"]


def test_equal_stems_of_several_folders_are_kept_apart(tree):
    assert names([tree / "one/a.jpg", tree / "two/a.jpg"]) == ["one/a", "two/a"]
    assert "two/a" in names([tree / "one", tree / "two"])


def test_equal_stems_in_one_folder_keep_their_suffix(tree):
    (tree / "two/A.png").touch()
    assert sorted(names([tree / "two"])) == ["A.png", "a.jpg"]


def test_our_own_files_are_not_overwritten_by_results(tree):
    (tree / "two/segscape.jpg").touch()
    (tree / "two/summary.jpg").touch()
    assert sorted(names([tree / "two"])) == ["a", "segscape.jpg", "summary.jpg"]


def test_patterns_and_repeated_inputs(tree, monkeypatch):
    monkeypatch.chdir(tree)
    assert names(["one/*.jpg", "one/a.jpg", "one"])[:1] == ["a"]
    assert sorted(names(["**/*"])) == ["one/a", "one/b", "one/deep/c", "one/slide", "two/a"]
    assert names(["one/a.j*"]) == ["a"]


def test_a_name_with_brackets_is_a_name_first(tree):
    (tree / "two/[1].png").touch()
    assert names([tree / "two/[1].png"]) == ["[1]"]


def test_results_inside_the_image_folder_are_no_images(tree):
    out = tree / "one/masks"
    out.mkdir()
    (out / "a.png").touch()
    assert sorted(names([tree / "one"], out)) == ["a", "b", "deep/c", "slide"]
    assert sorted(names([f"{tree}/one/**/*.png"], out)) == ["b"]


@pytest.mark.parametrize("given", ["one", "one/a.jpg"])
def test_masks_never_go_among_the_images(tree, given):
    with pytest.raises(OutputError, match="choose another --out"):
        find_inputs([tree / given], tree / "one")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("one/nothing.png", "no such file"),
        ("none/*.png", "no image matches"),
        ("empty", "holds no images"),
    ],
)
def test_inputs_that_are_not_there(tree, given, words):
    (tree / "empty").mkdir()
    with pytest.raises(ImageFileError, match=words):
        find_inputs([tree / given], "/elsewhere")


def test_no_inputs():
    with pytest.raises(ImageFileError, match="no images were given"):
        find_inputs([], Path("/elsewhere"))
