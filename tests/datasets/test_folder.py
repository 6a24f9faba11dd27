import os
import shutil

import numpy as np
import pytest
import torch
from PIL import Image
from tests.support.data_roots import data_root
from tests.support.labelled_folders import (
    flat_folder,
    labelled_folder,
    noise_image,
    save,
    striped_mask,
)

from segscape.datasets.folder import FolderDataset, split_names
from segscape.structures import DatasetError, ImageFileError, MaskFileError, Size


def test_split_folders(tmp_path):
    root = labelled_folder(tmp_path, {"train": 3, "val": 2})
    dataset = FolderDataset(root, split="val")
    assert dataset.keys == ("val0", "val1")
    assert dataset.taxonomy.names == ("sky", "road", "car")
    sample = dataset[1]
    assert sample.key == "val1"
    assert torch.equal(sample.image, torch.from_numpy(noise_image(5)).permute(2, 0, 1))
    assert torch.equal(sample.target.labels, torch.from_numpy(striped_mask()))
    assert dataset.size(1) == Size(40, 48)
    assert split_names(root) == ("train", "val")


def test_folders_of_kinds_with_splits_below(tmp_path):
    root = labelled_folder(tmp_path / "other", {"train": 3, "val": 2})
    for split in ("train", "val"):
        for kind in ("images", "masks"):
            shutil.copytree(root / split / kind, tmp_path / "data" / kind / split)
    shutil.copy(root / "classes.txt", tmp_path / "data")
    dataset = FolderDataset(tmp_path / "data", split="train")
    assert dataset.keys == ("train0", "train1", "train2")
    assert split_names(tmp_path / "data") == ("train", "val")


@pytest.mark.parametrize("folder", ["", "splits"])
def test_list_files(tmp_path, folder):
    root = flat_folder(tmp_path, 5)
    (root / folder).mkdir(exist_ok=True)
    (root / folder / "train.txt").write_text("03\n00.png\n\n# a comment\n00\n")
    (root / folder / "val.txt").write_text("04\n")
    (root / "classes.txt").write_text("a\nb\nc\n")
    (root / "README.txt").write_text("not a split\n")
    assert FolderDataset(root, split="train").keys == ("00", "03")
    assert sorted(split_names(root)) == ["train", "val"]
    (root / folder / "val.txt").write_text("04\n99\n98\n")
    with pytest.raises(DatasetError, match=r"val\.txt: 2 of 3 names .*99, 98: correct the list"):
        FolderDataset(root, split="val")
    with pytest.raises(DatasetError, match="no split 'test': it has train, val"):
        FolderDataset(root, split="test")


def test_without_a_split_every_fifth_is_for_validation(tmp_path):
    root = flat_folder(tmp_path, 12)
    train, val = FolderDataset(root, split="train"), FolderDataset(root, split="val")
    assert val.keys == ("00", "05", "10")
    assert sorted(train.keys + val.keys) == [f"{i:02d}" for i in range(12)]
    assert FolderDataset(root, split="all").keys == tuple(f"{i:02d}" for i in range(12))
    folds = [FolderDataset(root, split=f"val@{k}/3").keys for k in (1, 2, 3)]
    assert sorted(sum(folds, ())) == [f"{i:02d}" for i in range(12)]
    assert set(FolderDataset(root, split="train@2/3").keys).isdisjoint(folds[1])
    with pytest.raises(DatasetError, match="fold 4 of 3"):
        FolderDataset(root, split="val@4/3")


def test_one_image_cannot_be_divided(tmp_path):
    with pytest.raises(DatasetError, match=r"too few for the split 'train'.*'all'"):
        FolderDataset(flat_folder(tmp_path, 1), split="train")


def test_masks_with_endings_and_any_mix_of_suffixes(tmp_path):
    save(tmp_path / "images" / "a.bmp", noise_image(0))
    save(tmp_path / "images" / "b.jpg", noise_image(1))
    save(tmp_path / "images" / "b_mask.tif", noise_image(2))
    save(tmp_path / "masks" / "a_mask.png", striped_mask())
    save(tmp_path / "masks" / "b_labels.tif", striped_mask())
    save(tmp_path / "masks" / "b_mask.png", striped_mask())
    dataset = FolderDataset(tmp_path, split="all")
    assert [(p.key, p.mask.name) for p in dataset.pairs] == [
        ("a", "a_mask.png"),
        ("b", "b_labels.tif"),
        ("b_mask", "b_mask.png"),
    ]
    assert len(dataset[0].target.taxonomy) == 3


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (
            lambda root: (root / "masks" / "03.png").unlink(),
            r"1 of 5 images without a mask in .*masks: 03\.png: give each a mask of the same stem",
        ),
        (
            lambda root: [(root / "images" / f"0{i}.png").unlink() for i in range(4)],
            r"4 of 5 masks without an image .*00\.png, 01\.png, 02\.png and 1 more",
        ),
        (
            lambda root: save(root / "images" / "02.jpg", noise_image(9)),
            r"1 stem shared by several images: 02\.jpg and 02\.png: .*rename or delete",
        ),
        (
            lambda root: save(root / "masks" / "02_mask.png", striped_mask()),
            r"1 image with two masks or more: 02 \(02\.png, 02_mask\.png\): keep one",
        ),
        (lambda root: shutil.rmtree(root / "masks"), "no such folder: put the masks there"),
        (
            lambda root: [path.unlink() for path in (root / "images").iterdir()],
            "images: holds no images",
        ),
        (
            lambda root: [
                path.rename(path.with_name(f"x{path.name}")) for path in (root / "masks").iterdir()
            ],
            r"no image has a mask .*named like 00\.png, masks like x00\.png",
        ),
        (lambda root: shutil.rmtree(root / "images"), "expected images/ and masks/"),
        (shutil.rmtree, "no such folder: check the name"),
    ],
)
def test_files_that_do_not_pair_up(tmp_path, spoil, message):
    root = flat_folder(tmp_path / "data", 5)
    spoil(root)
    with pytest.raises(DatasetError, match=message) as caught:
        FolderDataset(root, split="all")
    assert "\n" not in str(caught.value)
    assert "data" in str(caught.value)


@pytest.mark.parametrize(
    ("ids", "names", "file_ids"),
    [
        ((0, 255), ("background", "foreground"), (0, 255)),
        ((0, 1, 2, 255), ("class 0", "class 1", "class 2"), (0, 1, 2)),
        ((0, 1), ("class 0", "class 1"), (0, 1)),
    ],
)
def test_classes_are_inferred_where_the_masks_leave_no_doubt(tmp_path, ids, names, file_ids):
    dataset = FolderDataset(flat_folder(tmp_path, 2, ids=ids), split="all")
    assert dataset.taxonomy.names == names
    assert dataset.coding.file_ids == file_ids
    labels = dataset[0].target.labels
    expected = {file_ids.index(i) if i in file_ids else 255 for i in ids}
    assert set(torch.unique(labels).tolist()) == expected


@pytest.mark.parametrize(
    ("ids", "cure"),
    [
        ((0, 128), r"name each id in .*classes\.yaml"),
        ((1, 2, 3), "0 never occurs"),
        ((0, 255, 7), r"classes\.yaml"),
        (tuple(range(80)), "objects counted one by one"),
        ((0,), r"classes\.yaml"),
    ],
)
def test_classes_in_doubt_are_asked_for(tmp_path, ids, cure):
    root = flat_folder(tmp_path, 0)
    save(root / "images" / "a.png", noise_image(0, 8, 160))
    save(root / "masks" / "a.png", striped_mask(8, 160, ids))
    with pytest.raises(DatasetError, match=cure):
        FolderDataset(root, split="all")


def test_ignored_ids_name_no_inferred_class(tmp_path):
    dataset = FolderDataset(flat_folder(tmp_path, 2, ids=(0, 1, 2)), split="all", ignore=[2])
    assert dataset.taxonomy.names == ("class 0", "class 1")
    assert set(torch.unique(dataset[0].target.labels).tolist()) == {0, 1, 255}


def test_all_splits_agree_on_inferred_classes(tmp_path):
    root = labelled_folder(tmp_path, names=None, ids=(0, 1))
    save(root / "val" / "masks" / "val0.png", striped_mask())
    train, val = FolderDataset(root, split="train"), FolderDataset(root, split="val")
    assert train.taxonomy == val.taxonomy
    assert len(train.taxonomy) == 3


def test_classes_given_and_ids_ignored(tmp_path):
    root = flat_folder(tmp_path, 2, ids=(3, 4, 9))
    classes = {"categories": [{"name": "a", "id": 3}, {"name": "b", "id": 4}]}
    dataset = FolderDataset(root, split="all", classes=classes, ignore=[9])
    assert set(torch.unique(dataset[0].target.labels).tolist()) == {0, 1, 255}
    with pytest.raises(DatasetError, match=r"ignore 3: .*'a'"):
        FolderDataset(root, split="all", classes=classes, ignore=[3])
    (tmp_path / "given.yaml").write_text("categories: [{name: a, id: 3}]\nignore: [4, 9]\n")
    dataset = FolderDataset(root, split="all", classes=tmp_path / "given.yaml")
    assert dataset.taxonomy.names == ("a",)
    with pytest.raises(DatasetError, match="no such file"):
        FolderDataset(root, split="all", classes=tmp_path / "missing.yaml")


def test_the_split_folder_may_hold_the_classes(tmp_path):
    root = labelled_folder(tmp_path, names=None)
    (root / "train" / "classes.yml").write_text("[a, b, c]")
    assert FolderDataset(root, split="train").taxonomy.names == ("a", "b", "c")


def test_reading_a_bad_pair_names_the_file(tmp_path):
    root = labelled_folder(tmp_path)
    save(root / "train" / "masks" / "train0.png", striped_mask(20, 24))
    save(root / "train" / "masks" / "train1.png", striped_mask(ids=(0, 9)))
    (root / "train" / "images" / "train2.png").write_bytes(b"nothing")
    dataset = FolderDataset(root, split="train")
    with pytest.raises(DatasetError, match=r"train0\.png: the mask is 20 x 24 .*40 x 48.*nearest"):
        dataset[0]
    with pytest.raises(MaskFileError, match=r"train1\.png.*9 \("):
        dataset[1]
    with pytest.raises(ImageFileError, match=r"train2\.png"):
        dataset[2]


def test_a_mask_of_a_turned_photograph(tmp_path):
    save(tmp_path / "images" / "a.jpg", noise_image(0))
    exif = Image.Exif()
    exif[274] = 6
    Image.fromarray(noise_image(0)).save(tmp_path / "images" / "a.jpg", exif=exif)
    save(tmp_path / "masks" / "a.png", striped_mask())
    dataset = FolderDataset(tmp_path, split="all")
    assert dataset.size(0) == Size(48, 40)
    with pytest.raises(DatasetError, match="EXIF"):
        dataset[0]


def test_a_name_of_another_encoding_is_refused(tmp_path):
    flat_folder(tmp_path, 2)
    try:
        for folder in ("images", "masks"):
            place = tmp_path / folder
            (place / "00.png").rename(place / os.fsdecode(b"gr\xfcn.png"))
    except OSError:
        pytest.skip("this disk keeps names in UTF-8")
    with pytest.raises(DatasetError, match=r"1 name of images.*not text in UTF-8.*rename"):
        FolderDataset(tmp_path, split="all")


@pytest.mark.data
def test_camvid():
    root = data_root("camvid")
    train, val = FolderDataset(root, split="train"), FolderDataset(root, split="val")
    assert (len(train), len(val), len(train.taxonomy)) == (367, 101, 11)
    sample = val[0]
    stored = np.asarray(Image.open(val.pairs[0].mask))
    assert torch.equal(
        sample.target.labels, torch.from_numpy(np.where(stored == 11, 255, stored).astype(np.uint8))
    )
