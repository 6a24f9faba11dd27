import numpy as np
import pytest
import torch
from PIL import Image
from tests.support.labelled_folders import noise_image, save, striped_mask

from segscape.datasets.voc import VOC_TAXONOMY, VocDataset, found_in, split_names
from segscape.structures import DatasetError


@pytest.fixture
def root(tmp_path):
    year = tmp_path / "VOCdevkit" / "VOC2012"
    for index, stem in enumerate(("2007_000032", "2007_000039", "2007_000063")):
        save(year / "JPEGImages" / f"{stem}.jpg", noise_image(index))
        mask = Image.fromarray(striped_mask(ids=(0, 15, 255)))
        mask.putpalette([value for c in VOC_TAXONOMY.categories for value in c.color])
        (year / "SegmentationClass").mkdir(exist_ok=True)
        mask.save(year / "SegmentationClass" / f"{stem}.png")
    lists = year / "ImageSets" / "Segmentation"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("2007_000032\n2007_000039 1\n")
    (lists / "val.txt").write_text("2007_000063\n")
    return tmp_path


def test_the_official_palette():
    colors = {c.name: c.color for c in VOC_TAXONOMY.categories}
    assert len(colors) == 21
    assert colors["background"] == (0, 0, 0)
    assert colors["aeroplane"] == (128, 0, 0)
    assert colors["person"] == (192, 128, 128)
    assert colors["tvmonitor"] == (0, 64, 128)
    assert 0 not in VOC_TAXONOMY.thing_ids
    assert len(VOC_TAXONOMY.thing_ids) == 20


@pytest.mark.parametrize("below", ["", "VOCdevkit", "VOCdevkit/VOC2012"])
def test_reads_lists_and_palette_masks_by_index(root, below):
    dataset = VocDataset(root / below, split="train")
    assert dataset.keys == ("2007_000032", "2007_000039")
    assert dataset.taxonomy == VOC_TAXONOMY
    assert set(torch.unique(dataset[1].target.labels).tolist()) == {0, 15, 255}
    assert split_names(root / below) == ("train", "val")
    assert found_in(root / below)


def test_missing_lists_and_files(root):
    with pytest.raises(DatasetError, match=r"trainval\.txt: no such list; there are: train, val"):
        VocDataset(root, split="trainval")
    year = root / "VOCdevkit" / "VOC2012"
    (year / "SegmentationClass" / "2007_000039.png").unlink()
    with pytest.raises(DatasetError, match=r"1 files of the 2 .*Class/2007_000039\.png"):
        VocDataset(root, split="train")
    with pytest.raises(DatasetError, match="expected JPEGImages/"):
        VocDataset(root / "VOCdevkit" / "nothing", split="train")


def test_other_classes(root):
    year = root / "VOCdevkit" / "VOC2012"
    dataset = VocDataset(
        year, split="val", classes={"categories": [{"name": "a", "id": 0}]}, ignore=[15]
    )
    labels = dataset[0].target.labels.numpy()
    assert np.unique(labels).tolist() == [0, 255]
