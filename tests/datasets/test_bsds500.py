"""BSDS500's layout: images with several human partitions each."""

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.io import savemat
from tests.support.data_roots import data_root

from segscape.datasets import open_dataset
from segscape.datasets.bsds500 import BerkeleyDataset, open_berkeley, read_truths
from segscape.structures import DatasetError, MaskFileError


def _truths(*partitions):
    cells = np.empty((1, len(partitions)), object)
    for k, ids in enumerate(partitions):
        cells[0, k] = {"Segmentation": np.array(ids, np.uint16), "Boundaries": np.zeros((2, 3))}
    return {"groundTruth": cells}


@pytest.fixture
def root(tmp_path):
    for split, names in (("train", ("a", "b")), ("val", ("c",))):
        for kind in ("images", "groundTruth"):
            (tmp_path / kind / split).mkdir(parents=True)
        for name in names:
            pixels = np.full((2, 3, 3), 90, np.uint8)
            Image.fromarray(pixels).save(tmp_path / "images" / split / f"{name}.jpg")
            savemat(
                tmp_path / "groundTruth" / split / f"{name}.mat",
                _truths([[1, 1, 2], [1, 1, 2]], [[4, 4, 4], [2, 2, 2]]),
            )
    return tmp_path


def test_each_image_comes_with_the_partitions_of_all_annotators(root):
    dataset = BerkeleyDataset(root, split="train")
    assert dataset.keys == ("a", "b")
    item = dataset[1]
    assert item.key == "b"
    assert item.image.shape == (3, 2, 3)
    assert [truth.regions.tolist() for truth in item.truths] == [
        [[0, 0, 1], [0, 0, 1]],
        [[1, 1, 1], [0, 0, 0]],
    ]
    assert tuple(dataset.size(0)) == (2, 3)
    assert len(open_berkeley(f"bsds500:{root}", split="val")) == 1


def test_what_is_missing_is_said_in_one_line(root, tmp_path):
    with pytest.raises(DatasetError, match="has no split 'test': it has train, val"):
        open_berkeley(f"bsds500:{root}", split="test")
    with pytest.raises(DatasetError, match="names no folder: write bsds500:FOLDER"):
        open_berkeley("bsds500:", split="val")
    (root / "groundTruth" / "val" / "c.mat").unlink()
    with pytest.raises(DatasetError, match=r"lacks 1 of 1 truths: c\.mat"):
        BerkeleyDataset(root, split="val")
    with pytest.raises(DatasetError, match="expected images/ and groundTruth/"):
        BerkeleyDataset(root / "images", split="val")
    (tmp_path / "x.mat").write_bytes(b"no matrix at all")
    with pytest.raises(MaskFileError, match="is no BSDS500 truth"):
        read_truths(tmp_path / "x.mat")
    savemat(tmp_path / "y.mat", {"other": 1})
    with pytest.raises(MaskFileError, match="is no BSDS500 truth"):
        read_truths(tmp_path / "y.mat")
    with pytest.raises(MaskFileError, match="is no BSDS500 truth"):
        read_truths(tmp_path / "nowhere.mat")


@pytest.mark.parametrize("form", ["bsds500:{}", "{}"])
def test_nothing_is_trained_or_checked_on_it(root, form):
    with pytest.raises(DatasetError, match="no categories to learn or to judge: score a method"):
        open_dataset(form.format(root), split="train")


@pytest.mark.data
def test_our_boundaries_are_those_stored_with_the_data():
    from scipy.io import loadmat

    from segscape.metrics.partition_boundaries import boundary_of
    from segscape.structures import Partition

    files = sorted((data_root("bsds500") / "groundTruth" / "val").glob("*.mat"))[::10]
    assert len(files) == 5
    for path in files:
        for cell in loadmat(path)["groundTruth"].ravel():
            ids = torch.from_numpy(cell["Segmentation"][0, 0].astype(np.int64))
            stored = cell["Boundaries"][0, 0] > 0
            assert (boundary_of(Partition.from_ids(ids)) == stored).all()
