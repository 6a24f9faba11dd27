import pytest

from segscape.inference.manifest import MANIFEST, Manifest, begin, claim
from segscape.structures import OutputError

MINE = Manifest("abc", {"flips": False, "scales": [1.0]})


def test_a_folder_is_begun_and_continued(tmp_path):
    out = tmp_path / "out"
    assert claim(out, MINE, overwrite=False) is None
    began = begin(out, MINE)
    assert claim(out, MINE, overwrite=False) == began
    assert claim(out, MINE, overwrite=True) is None


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (Manifest("xyz", MINE.options), "another model"),
        (Manifest("abc", {"flips": True, "scales": [1.0]}), "another flips"),
        (Manifest("abc", {"flips": False}), "another scales"),
    ],
)
def test_results_of_another_kind_are_not_mixed(tmp_path, other, words):
    begin(tmp_path, other)
    with pytest.raises(OutputError, match=f"{words}.*--overwrite"):
        claim(tmp_path, MINE, overwrite=False)
    assert claim(tmp_path, MINE, overwrite=True) is None


@pytest.mark.parametrize("text", ["", "[]", "{}", "{"])
def test_a_damaged_manifest(tmp_path, text):
    (tmp_path / MANIFEST).write_text(text)
    with pytest.raises(OutputError, match=r"segscape\.json"):
        claim(tmp_path, MINE, overwrite=False)


def test_a_file_in_the_place_of_the_folder(tmp_path):
    (tmp_path / "out").touch()
    with pytest.raises(OutputError, match="is a file"):
        claim(tmp_path / "out", MINE, overwrite=False)
