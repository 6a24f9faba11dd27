import pytest
from tests.support.labelled_folders import labelled_folder, noise_image, save, striped_mask

from segscape.datasets import LAYOUTS, Dataset, open_dataset, split_names
from segscape.structures import DatasetError, Size


@pytest.fixture
def data(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SEGSCAPE_DATA", raising=False)
    return tmp_path


def test_with_and_without_the_layouts_name(data):
    labelled_folder(data / "streets")
    for spec in ("folder:streets", "streets", f"folder:{data / 'streets'}", str(data / "streets")):
        dataset = open_dataset(spec, split="val")
        assert isinstance(dataset, Dataset)
        assert len(dataset) == 2
        assert split_names(spec) == ("train", "val")


@pytest.mark.parametrize(
    "place", ["elsewhere", "here/data", "shared/data", "shared", "here"], ids=str
)
def test_where_relative_roots_are_looked_for(data, monkeypatch, place):
    (data / "here").mkdir()
    labelled_folder(data / place / "streets")
    monkeypatch.chdir(data / "here")
    if place == "elsewhere":
        with pytest.raises(DatasetError, match="set SEGSCAPE_DATA"):
            open_dataset("streets", split="train")
        monkeypatch.setenv("SEGSCAPE_DATA", str(data / "elsewhere"))
    assert len(open_dataset("folder:streets", split="train")) == 4


def test_a_root_that_is_nowhere_names_the_places(data):
    with pytest.raises(DatasetError, match=r"looked for nix, data/nix, \.\./shared/data/nix"):
        open_dataset("folder:nix", split="train")


def test_every_layout_is_detected(data):
    save(data / "v" / "JPEGImages" / "a.jpg", noise_image(0))
    save(data / "v" / "SegmentationClass" / "a.png", striped_mask())
    (data / "v" / "ImageSets" / "Segmentation").mkdir(parents=True)
    (data / "v" / "ImageSets" / "Segmentation" / "train.txt").write_text("a\n")
    save(data / "c" / "leftImg8bit" / "train" / "x" / "a_leftImg8bit.png", noise_image(0))
    save(data / "c" / "gtFine" / "train" / "x" / "a_gtFine_labelIds.png", striped_mask())
    labelled_folder(data / "f")
    classes = {name: open_dataset(name, split="train").taxonomy for name in "vcf"}
    assert [len(taxonomy) for taxonomy in classes.values()] == [21, 19, 3]
    assert list(LAYOUTS) == ["voc", "cityscapes", "folder"]


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("foldr:x", "did you mean 'folder'"),
        ("zzz:x", "known are voc, cityscapes, folder, synthetic"),
        ("folder:", "write folder:FOLDER"),
        ("", "no folder is named"),
        ("empty", r"images/ and masks/, .*\(folder\); found nothing"),
        ("a.txt", "is a file"),
    ],
)
def test_bad_names(data, spec, message):
    (data / "empty").mkdir()
    (data / "a.txt").write_text("")
    with pytest.raises(DatasetError, match=message):
        open_dataset(spec, split="train")


def test_drawn_scenes_by_name():
    dataset = open_dataset("synthetic:count=8,height=40,width=48,seed=3", split="train")
    assert len(dataset) == 8
    assert dataset.size(0) == Size(40, 48)
    assert len(open_dataset("synthetic:count=8,height=40,width=48", split="val")) == 2
    assert len(open_dataset("synthetic:count=8,val_count=5", split="val")) == 5
    assert len(open_dataset("synthetic:", split="train")) == 400
    assert split_names("synthetic") == ("train", "val", "test")
    for spec, message in (
        ("synthetic:cout=3", "did you mean 'count'"),
        ("synthetic:count=many", "expected a whole number as count=400"),
        ("synthetic:count=-4", "give 1 or more"),
    ):
        with pytest.raises(DatasetError, match=message):
            open_dataset(spec, split="train")
    with pytest.raises(DatasetError, match="own classes"):
        open_dataset("synthetic:", split="train", ignore=[3])
