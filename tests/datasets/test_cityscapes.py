import numpy as np
import pytest
from tests.support.labelled_folders import noise_image, save

from segscape.datasets.cityscapes import CITYSCAPES_TAXONOMY, LABELS, CityscapesDataset, split_names
from segscape.structures import DatasetError


def write(root, kind, ids):
    for city, number in (("bonn", 1), ("aachen", 0), ("aachen", 2)):
        stem = f"{city}_{number:06d}_000019"
        save(root / "leftImg8bit/train" / city / f"{stem}_leftImg8bit.png", noise_image(number))
        mask = np.resize(np.array(ids, np.uint8), (40, 48))
        save(root / "gtFine/train" / city / f"{stem}_gtFine_{kind}.png", mask)
    return root


def test_the_table_of_labels():
    assert len(LABELS) == 35
    assert [label.id for label in LABELS] == [*range(34), -1]
    assert CITYSCAPES_TAXONOMY.names == (
        *("road", "sidewalk", "building", "wall", "fence", "pole", "traffic light"),
        *("traffic sign", "vegetation", "terrain", "sky", "person", "rider", "car", "truck"),
        *("bus", "train", "motorcycle", "bicycle"),
    )
    assert CITYSCAPES_TAXONOMY.thing_ids == tuple(range(11, 19))


def test_label_ids_are_turned_into_the_19_classes(tmp_path):
    dataset = CityscapesDataset(write(tmp_path, "labelIds", range(34)), split="train")
    assert dataset.keys == ("aachen_000000_000019", "aachen_000002_000019", "bonn_000001_000019")
    labels = dataset[0].target.labels.numpy().ravel()[:34]
    # The published table of training ids, label id 0 to 33.
    expected = [255] * 7 + [0, 1, 255, 255, 2, 3, 4, 255, 255, 255, 5, 255]
    expected += [6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 255, 255, 16, 17, 18]
    assert labels.tolist() == expected


def test_train_ids_are_taken_as_they_are(tmp_path):
    ids = [*range(19), 255]
    dataset = CityscapesDataset(write(tmp_path, "labelTrainIds", ids), split="train")
    assert dataset[2].target.labels.numpy().ravel()[:20].tolist() == ids
    assert split_names(tmp_path) == ("train",)


def test_missing_files(tmp_path):
    root = write(tmp_path, "labelIds", range(34))
    with pytest.raises(DatasetError, match="no such split; there are: train"):
        CityscapesDataset(root, split="val")
    next((root / "gtFine/train/bonn").iterdir()).unlink()
    with pytest.raises(DatasetError, match=r"1 of 3 masks are missing: bonn_000001"):
        CityscapesDataset(root, split="train")
    with pytest.raises(DatasetError, match="expected leftImg8bit/ and gtFine/"):
        CityscapesDataset(root / "gtFine", split="train")
