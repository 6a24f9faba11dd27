"""A zoo of bad data sets: each sickness is named, with its cure."""

import json
import shutil
import time

import numpy as np
import pytest
from PIL import Image
from tests.support.data_roots import data_root
from tests.support.labelled_folders import (
    flat_folder,
    labelled_folder,
    noise_image,
    save,
    striped_mask,
)

from segscape.datasets.doctor import Diagnosis, Severity, examine
from segscape.datasets.scenes.draw import draw_scene
from segscape.structures import DatasetError, Size


def found(diagnosis: Diagnosis, subject: str):
    findings = [one for one in diagnosis.findings if one.subject == subject]
    assert findings, [one.subject for one in diagnosis.findings]
    return findings[0]


def test_a_healthy_folder_has_no_findings(tmp_path):
    diagnosis = examine(str(labelled_folder(tmp_path)))
    assert diagnosis.findings == ()
    assert diagnosis.is_healthy
    diagnosis.refuse_errors()
    train, val = diagnosis.splits
    assert (train.name, train.images, val.name, val.images) == ("train", 4, "val", 2)
    assert train.counts == (4 * 40 * 16,) * 3
    assert train.image_counts == (4 * 40 * 48,) * 3
    assert train.images_with == (4, 4, 4)
    assert diagnosis.weights["inverse"] == pytest.approx((1, 1, 1))
    json.dumps(diagnosis.to_mapping())


def test_channel_statistics_are_those_of_the_training_images(tmp_path):
    root = labelled_folder(tmp_path)
    images = sorted((root / "train" / "images").iterdir())
    pixels = np.concatenate([np.asarray(Image.open(p)).reshape(-1, 3) / 255 for p in images])
    diagnosis = examine(str(root))
    assert diagnosis.mean == pytest.approx(tuple(pixels.mean(0)))
    assert diagnosis.std == pytest.approx(tuple(pixels.std(0)))
    quick = examine(str(root), quick=True)
    assert quick.mean is None
    assert quick.splits == diagnosis.splits


def test_unknown_ids(tmp_path):
    root = labelled_folder(tmp_path)
    save(root / "val" / "masks" / "val1.png", striped_mask(ids=(0, 1, 7)))
    diagnosis = examine(str(root))
    one = found(diagnosis, "unknown ids")
    assert one.severity is Severity.ERROR
    assert "1 of 6 masks" in one.what
    assert "7 (640 px)" in one.what
    assert "--ignore 7" in one.cure
    assert one.examples == (str(root / "val" / "masks" / "val1.png"),)
    with pytest.raises(DatasetError, match=r"val1\.png.*--ignore 7") as caught:
        diagnosis.refuse_errors()
    assert "\n" not in str(caught.value)
    assert examine(str(root), ignore=[7]).is_healthy


def test_black_and_white_masks_with_classes(tmp_path):
    root = labelled_folder(tmp_path, names=("background", "cell"), ids=(0, 255))
    one = found(examine(str(root)), "black-and-white masks")
    assert one.severity is Severity.ERROR
    assert "'cell' never occurs" in one.what
    assert "id 255 in classes.yaml" in one.cure
    (root / "classes.txt").unlink()
    assert examine(str(root)).is_healthy


def test_a_foreground_that_is_no_class(tmp_path):
    root = labelled_folder(tmp_path, names=("background", "cell"), ids=(0, 128))
    assert "128" in found(examine(str(root)), "unknown ids").what


def test_off_by_one(tmp_path):
    root = labelled_folder(tmp_path, ids=(1, 2, 3))
    one = found(examine(str(root)), "off by one")
    assert one.severity is Severity.ERROR
    assert "'sky') never occurs" in one.what
    assert "ids 1..3 in classes.yaml" in one.cure


def test_void_after_the_last_class_is_noted(tmp_path):
    root = labelled_folder(tmp_path, ids=(0, 1, 2, 3))
    diagnosis = examine(str(root))
    assert diagnosis.is_healthy
    assert "25.0 %" in found(diagnosis, "void").what
    assert diagnosis.splits[0].void == 4 * 40 * 12


def test_blended_masks(tmp_path):
    root = labelled_folder(tmp_path, names=("background", "cell"), ids=(0, 1))
    smooth = np.linspace(0, 254, 48).astype(np.uint8)[None].repeat(40, 0)
    save(root / "train" / "masks" / "train0.png", smooth)
    one = found(examine(str(root)), "blended masks")
    assert "anti-aliasing" in one.what
    assert "nearest neighbour" in one.cure


def test_lossy_masks(tmp_path):
    root = labelled_folder(tmp_path)
    (root / "train" / "masks" / "train0.png").unlink()
    save(root / "train" / "masks" / "train0.jpg", striped_mask())
    one = found(examine(str(root)), "unreadable masks")
    assert "JPEG" in one.what
    assert "PNG" in one.cure
    assert one.examples == (str(root / "train" / "masks" / "train0.jpg"),)


def test_rgb_masks_without_colours(tmp_path):
    root = labelled_folder(tmp_path)
    colors = np.array([(9, 9, 200), (90, 200, 1), (77, 0, 0)], np.uint8)
    save(root / "train" / "masks" / "train0.png", colors[striped_mask()])
    one = found(examine(str(root)), "unreadable masks")
    assert "[9, 9, 200]" in one.what
    assert "color" in one.cure


def test_rgb_masks_with_colours_are_healthy(tmp_path):
    root = labelled_folder(tmp_path, names=None)
    colors = np.array([(9, 9, 200), (90, 200, 1)], np.uint8)
    for path in root.glob("*/masks/*.png"):
        save(path, colors[striped_mask(ids=(0, 1))])
    (root / "classes.yaml").write_text(
        "categories:\n- {name: sky, color: [9, 9, 200]}\n- {name: road, color: [90, 200, 1]}\n"
    )
    diagnosis = examine(str(root))
    assert diagnosis.findings == ()
    assert diagnosis.splits[0].counts == (4 * 40 * 24,) * 2


def test_size_mismatch_tells_a_mask_on_its_side(tmp_path):
    root = labelled_folder(tmp_path)
    save(root / "train" / "masks" / "train2.png", striped_mask(48, 40))
    diagnosis = examine(str(root), quick=True)
    one = found(diagnosis, "size mismatch")
    assert one.severity is Severity.ERROR
    assert "48 x 40" in one.what
    assert "EXIF" in one.cure
    save(root / "train" / "masks" / "train2.png", striped_mask(20, 24))
    assert "nearest neighbour" in found(examine(str(root)), "size mismatch").cure


def test_missing_pairs(tmp_path):
    root = labelled_folder(tmp_path)
    (root / "train" / "masks" / "train1.png").unlink()
    one = found(examine(str(root)), "pairs")
    assert one.severity is Severity.ERROR
    assert "1 of 4 images without a mask" in one.what
    assert "train1.png" in one.what
    assert "same stem" in one.cure


def test_corrupt_files(tmp_path):
    root = labelled_folder(tmp_path)
    whole = (root / "train" / "images" / "train3.png").read_bytes()
    (root / "train" / "images" / "train3.png").write_bytes(whole[: len(whole) // 2])
    (root / "train" / "masks" / "train0.png").write_bytes(b"")
    diagnosis = examine(str(root))
    assert "train3.png" in found(diagnosis, "unreadable images").examples[0]
    one = found(diagnosis, "unreadable masks")
    assert "empty" in one.what
    assert len(diagnosis.errors) == 2


def test_all_void_images(tmp_path):
    root = labelled_folder(tmp_path)
    save(root / "train" / "masks" / "train0.png", striped_mask(ids=(255,)))
    one = found(examine(str(root)), "all void")
    assert one.severity is Severity.WARNING
    assert "1 of 6" in one.what
    for path in root.glob("train/masks/*.png"):
        save(path, striped_mask(ids=(255,)))
    one = found(examine(str(root)), "all void")
    assert one.severity is Severity.ERROR
    assert "none in train does: nothing to learn" in one.what
    for path in root.glob("*/masks/*.png"):
        save(path, striped_mask(ids=(255,)))
    assert found(examine(str(root)), "all void").severity is Severity.ERROR


def test_absent_classes(tmp_path):
    root = labelled_folder(tmp_path, names=("sky", "road", "car", "bus"))
    for path in (root / "train" / "masks").iterdir():
        save(path, striped_mask(ids=(0, 1)))
    diagnosis = examine(str(root))
    assert "bus" in found(diagnosis, "absent classes").what
    one = found(diagnosis, "classes absent from train")
    assert "car" in one.what
    assert "cannot be learned" in one.what
    assert diagnosis.is_healthy
    assert diagnosis.weights["enet"][2] == 0


def test_one_class_only(tmp_path):
    root = labelled_folder(tmp_path, ids=(1,))
    assert "'road'" in found(examine(str(root)), "one class only").what


def test_duplicates_across_splits(tmp_path):
    root = labelled_folder(tmp_path)
    # Other bytes, same pixels: the pixels count.
    save(root / "val" / "images" / "val0.bmp", noise_image(1))
    (root / "val" / "images" / "val0.png").unlink()
    one = found(examine(str(root)), "duplicates across splits")
    assert one.severity is Severity.ERROR
    assert one.examples == ("train:train0.png = val:val0.bmp",)


@pytest.mark.parametrize("quick", [False, True])
def test_the_same_file_in_two_splits(tmp_path, quick):
    root = labelled_folder(tmp_path)
    name = "val/images/val1.png"
    shutil.copy(root / "train/images/train2.png", root / name)
    one = found(examine(str(root), quick=quick), "duplicates across splits")
    assert one.examples == ("train:train2.png = val:val1.png",)


@pytest.mark.parametrize("quick", [False, True])
def test_one_name_in_the_lists_of_two_splits(tmp_path, quick):
    root = labelled_folder(tmp_path)
    for kind in ("images", "masks"):
        (root / "train" / kind).rename(root / kind)
    shutil.rmtree(root / "val")
    (root / "train.txt").write_text("train0\ntrain1\n")
    (root / "val.txt").write_text("train1\ntrain2\n")
    one = found(examine(str(root), quick=quick), "duplicates across splits")
    assert one.examples == ("train:train1.png = val:train1.png",)


def test_duplicates_within_a_split_and_look_alikes(tmp_path):
    root = labelled_folder(tmp_path)
    save(root / "train" / "images" / "train1.png", noise_image(1))
    scene = draw_scene(0, 0, Size(240, 320)).image.transpose(1, 2, 0)
    smaller = Image.fromarray(scene).resize((240, 180), Image.Resampling.BICUBIC)
    save(root / "train" / "images" / "train2.png", scene)
    save(root / "train" / "masks" / "train2.png", striped_mask(240, 320))
    (root / "val" / "images" / "val0.png").unlink()
    smaller.save(root / "val" / "images" / "val0.jpg", quality=80)
    save(root / "val" / "masks" / "val0.png", striped_mask(180, 240))
    diagnosis = examine(str(root))
    assert found(diagnosis, "duplicates").examples == ("train:train0.png = train:train1.png",)
    alike = found(diagnosis, "look-alikes across splits")
    assert alike.examples == ("train:train2.png = val:val0.jpg",)
    assert diagnosis.is_healthy


def test_imbalance_and_tiny_images(tmp_path):
    root = labelled_folder(tmp_path)
    mask = np.zeros((20, 20), np.uint8)
    for seed, path in enumerate(root.glob("*/masks/*.png")):
        save(path, mask)
        save(path.parents[1] / "images" / path.name, noise_image(seed, 20, 20))
    mask[0, 0], mask[5, 5] = 1, 2
    save(root / "train" / "masks" / "train0.png", mask)
    diagnosis = examine(str(root))
    assert "20 x 20" in found(diagnosis, "tiny images").what
    assert "2,398 times fewer" in found(diagnosis, "imbalance").what


def test_a_test_split_without_labels_is_left_out(tmp_path):
    root = labelled_folder(tmp_path)
    save(root / "test" / "images" / "a.png", noise_image(9))
    diagnosis = examine(str(root))
    assert diagnosis.is_healthy
    assert "masks" in found(diagnosis, "split test left out").what
    with pytest.raises(DatasetError, match="put the masks there"):
        examine(str(root), splits=["test"])


def test_a_flat_folder_is_examined_whole(tmp_path):
    diagnosis = examine(str(flat_folder(tmp_path, 10)))
    assert [(split.name, split.images) for split in diagnosis.splits] == [("train", 8), ("val", 2)]


def test_drawn_scenes_are_examined():
    diagnosis = examine("synthetic:count=6,height=48,width=64")
    assert [split.images for split in diagnosis.splits] == [6, 1, 1]
    assert diagnosis.is_healthy


@pytest.mark.data
def test_camvid_is_healthy_in_seconds():
    root = data_root("camvid")
    start = time.process_time()
    diagnosis = examine(f"folder:{root}")
    spent = time.process_time() - start
    assert diagnosis.is_healthy
    train, val = diagnosis.splits
    assert (train.images, val.images) == (367, 101)
    total = 367 * 360 * 480
    assert train.void + sum(train.counts) == total
    # Research sheet semantic.md sec. 3.3, per cent of all pixels.
    expected = [16.85, 23.26, 0.98, 31.66, 4.49, 9.72, 1.17, 1.13, 5.87, 0.64, 0.29]
    shares = [100 * pixels / total for pixels in train.counts]
    assert shares == pytest.approx(expected, abs=0.006)
    assert diagnosis.weights["median_frequency"] == pytest.approx(
        (0.2793, 0.2017, 4.7865, 0.1490, 1, 0.4217, 3.8467, 1.9736, 0.7889, 6.3747, 8.8587),
        abs=6e-5,
    )
    # Processor time of all threads: two idle cores halve it.
    assert spent < 10


@pytest.mark.parametrize(("lost", "needed"), [("val", "no split val"), ("train", "no split train")])
def test_a_split_that_training_needs_is_missed(tmp_path, lost, needed):
    root = labelled_folder(tmp_path)
    shutil.rmtree(root / lost)
    diagnosis = examine(str(root))
    assert found(diagnosis, needed).severity is Severity.ERROR
    kept = "train" if lost == "val" else "val"
    assert not examine(str(root), splits=[kept]).errors
