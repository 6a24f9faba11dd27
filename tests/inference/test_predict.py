import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
import zarr
from tests.support.tiny_models import TAXONOMY, TinyModel

from segscape.inference import predict as predict_module
from segscape.inference.predict import predict_files
from segscape.inference.segmenter import Segmenter
from segscape.io.image_files import read_image, write_image
from segscape.io.mask_files import read_ids
from segscape.structures import ImageFileError, OutputError, SegscapeError, Size, StructureError

ALL = ("png", "overlay", "scores", "json")


def segmenter_of(seed=0, **options):
    return Segmenter(TinyModel(seed=seed), precision="fp32", device="cpu", **options)


@pytest.fixture
def images(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    for index in range(3):
        generator = torch.Generator().manual_seed(index)
        pixels = torch.randint(0, 256, (3, 20 + index, 30), generator=generator, dtype=torch.uint8)
        write_image(folder / f"picture.{index}.png", pixels)
    return folder


def quietly(segmenter, inputs, out, **options):
    return predict_files(segmenter, inputs, out, show_progress=False, **options)


def contents(out: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(out)): path.read_bytes() for path in out.rglob("*") if path.is_file()
    }


def test_every_format_of_every_image(images, tmp_path):
    segment, out = segmenter_of(), tmp_path / "out"
    summary = quietly(segment, [images], out, formats=ALL)
    assert (summary.predicted, summary.skipped, summary.failures) == (3, 0, ())
    total = 0
    for index in range(3):
        name = f"picture.{index}"
        image = read_image(images / f"{name}.png")
        expected = segment(image).labels
        assert torch.equal(read_ids(out / f"{name}.png"), expected)
        assert read_image(out / "overlay" / f"{name}.png").shape == image.shape
        with np.load(out / f"{name}.npz") as archive:
            assert archive["names"].tolist() == list(TAXONOMY.names)
            assert archive["scores"].dtype == np.float16
            scores = torch.from_numpy(archive["scores"]).float()
        torch.testing.assert_close(scores, segment.scores(image), rtol=0, atol=1e-3)
        areas = json.loads((out / f"{name}.json").read_text())
        counts = [int((expected == category).sum()) for category in range(4)]
        assert [entry["pixels"] for entry in areas["classes"]] == counts
        assert sum(entry["share"] for entry in areas["classes"]) == pytest.approx(1)
        total += expected.numel()
    whole = json.loads((out / "summary.json").read_text())
    assert (whole["images"], whole["pixels"], whole["failed"]) == (3, total, [])
    assert whole["model"] == segment.fingerprint


def test_what_is_finished_is_skipped(images, tmp_path, monkeypatch):
    out = tmp_path / "out"
    quietly(segmenter_of(), [images], out)
    before = contents(out)
    (out / "picture.1.png").unlink()
    again = quietly(segmenter_of(), [images], out)
    assert (again.predicted, again.skipped) == (1, 2)
    assert contents(out) == before
    more = quietly(segmenter_of(), [images], out, formats=("png", "json"))
    assert (more.predicted, more.skipped) == (3, 0)
    monkeypatch.setattr(predict_module, "read_image", None)  # nothing is even decoded
    assert quietly(segmenter_of(), [images], out, formats=("png", "json")).skipped == 3


def test_a_changed_image_is_predicted_again(images, tmp_path):
    out = tmp_path / "out"
    quietly(segmenter_of(), [images], out)
    write_image(images / "picture.0.png", torch.zeros(3, 9, 9, dtype=torch.uint8))
    future = time.time() + 10
    os.utime(images / "picture.0.png", (future, future))
    assert quietly(segmenter_of(), [images], out).predicted == 1
    assert read_ids(out / "picture.0.png").shape == (9, 9)


def test_another_model_asks_and_overwrites(images, tmp_path):
    out = tmp_path / "out"
    quietly(segmenter_of(), [images], out)
    before = contents(out)
    for other in (segmenter_of(seed=1), segmenter_of(flips=True)):
        with pytest.raises(OutputError, match="--overwrite"):
            quietly(other, [images], out)
    assert contents(out) == before
    other = segmenter_of(seed=1)
    # Stopped halfway, the old results do not pass for new ones.
    assert quietly(other, [images / "picture.0.png"], out, overwrite=True).predicted == 1
    again = quietly(other, [images], out)
    assert (again.predicted, again.skipped) == (2, 1)
    for index in range(3):
        image = read_image(images / f"picture.{index}.png")
        assert torch.equal(read_ids(out / f"picture.{index}.png"), other(image).labels)


def test_files_of_other_origin_are_not_replaced(images, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "picture.1.png").write_bytes(b"mine")
    with pytest.raises(OutputError, match=r"picture\.1\.png: exists"):
        quietly(segmenter_of(), [images], out)
    assert contents(out) == {"picture.1.png": b"mine"}
    assert quietly(segmenter_of(), [images], out, overwrite=True).predicted == 3


def test_a_bad_image_is_one_line_and_the_others_are_done(images, tmp_path, capsys):
    (images / "bad[1].png").write_bytes((images / "picture.0.png").read_bytes()[:60])
    (images / "empty.jpg").touch()
    out = tmp_path / "out"
    summary = predict_files(segmenter_of(), [images], out, formats=("png", "json"))
    assert summary.predicted == 3
    assert [failure.path.name for failure in summary.failures] == ["bad[1].png", "empty.jpg"]
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert "bad[1].png" in lines[0]
    assert "empty.jpg" in lines[1]
    assert len(json.loads((out / "summary.json").read_text())["failed"]) == 2
    assert not any(name.startswith(("bad", "empty")) for name in contents(out))
    # The good ones are not done again.
    assert quietly(segmenter_of(), [images], out, formats=("png", "json")).skipped == 3


def test_an_image_too_large_for_memory_is_named(images, tmp_path, monkeypatch):
    segment = segmenter_of()

    def no_memory(_):
        raise SegscapeError("needs more memory: give a smaller --tile")

    monkeypatch.setattr(segment, "_logits", no_memory)
    summary = quietly(segment, [images / "picture.0.png"], tmp_path / "out")
    assert "picture.0.png" in summary.failures[0].reason
    assert "--tile" in summary.failures[0].reason


def test_a_full_disk_stops_at_once(images, tmp_path, monkeypatch):
    def full(path, *_):
        raise OutputError(f"{path}: the disk is full")

    monkeypatch.setattr("segscape.inference.results.write_label_map", full)
    with pytest.raises(OutputError, match="the disk is full"):
        quietly(segmenter_of(), [images], tmp_path / "out")


def test_unknown_formats_and_missing_inputs_write_nothing(images, tmp_path):
    out = tmp_path / "out"
    with pytest.raises(StructureError, match="png, overlay, scores, json"):
        quietly(segmenter_of(), [images], out, formats=("jpeg",))
    with pytest.raises(StructureError, match="no format"):
        quietly(segmenter_of(), [images], out, formats=())
    with pytest.raises(ImageFileError, match="no such file"):
        quietly(segmenter_of(), [images, tmp_path / "nowhere.png"], out)
    assert not out.exists()


@pytest.fixture
def large(tmp_path):
    """The same pixels as TIFF, in tiles, and as Zarr."""
    generator = np.random.default_rng(0)
    pixels = generator.integers(0, 256, (200, 150, 3), dtype=np.uint8)
    folder = tmp_path / "large"
    folder.mkdir()
    tifffile.imwrite(folder / "tiff.tif", pixels, tile=(64, 64), photometric="rgb")
    array = zarr.create_array(
        store=folder / "zarr.zarr",
        shape=pixels.shape,
        chunks=(64, 64, 3),
        dtype="uint8",
        dimension_names=("y", "x", "c"),
    )
    array[:] = pixels
    return folder, torch.from_numpy(pixels).permute(2, 0, 1)


def test_large_images_are_read_and_written_by_windows(large, tmp_path):
    folder, image = large
    segment, out = segmenter_of(tile=Size(64, 64), overlap=8), tmp_path / "out"
    formats = ("png", "overlay", "json")
    summary = quietly(segment, [folder], out, formats=formats, large_pixels=1000)
    assert (summary.predicted, summary.failures) == (2, ())
    expected = segment(image).labels
    assert torch.equal(read_ids(out / "tiff.tif"), expected)
    stored = zarr.open_array(out / "zarr.zarr", mode="r")
    assert np.array_equal(stored[:], expected.numpy())
    for name in ("tiff", "zarr"):
        areas = json.loads((out / f"{name}.json").read_text())
        assert [entry["pixels"] for entry in areas["classes"]] == expected.flatten().bincount(
            minlength=4
        ).tolist()
        assert read_image(out / "overlay" / f"{name}.png").shape == (3, 200, 150)
    again = quietly(segment, [folder], out, formats=formats, large_pixels=1000)
    assert (again.predicted, again.skipped) == (0, 2)


def test_overlays_of_large_images_are_small(large, tmp_path, monkeypatch):
    monkeypatch.setattr("segscape.inference.results.OVERLAY_SIDE", 70)
    folder, image = large
    segment, out = segmenter_of(tile=Size(64, 64), overlap=8), tmp_path / "out"
    quietly(segment, [folder / "tiff.tif"], out, formats=("overlay",), large_pixels=1000)
    small = read_image(out / "overlay" / "tiff.png")
    assert small.shape == (3, 67, 50)
    # Without the colours' borders, the picture is a mix of every third pixel and its colour.
    colors = torch.tensor([category.color for category in TAXONOMY.categories])
    painted = colors[segment(image).labels.long()[::3, ::3]].permute(2, 0, 1)
    mixed = torch.lerp(image[:, ::3, ::3].float(), painted.float(), 0.55).round()
    assert ((small.float() - mixed).abs().amax(0) <= 1).float().mean() > 0.05


def test_scores_of_large_images_are_refused_in_one_line(large, tmp_path):
    folder, _ = large
    summary = quietly(
        segmenter_of(), [folder / "tiff.tif"], tmp_path / "out", formats=("scores",), large_pixels=9
    )
    assert "GB" in summary.failures[0].reason


def test_a_damaged_large_image_leaves_nothing(large, tmp_path):
    folder, _ = large
    data = bytearray((folder / "tiff.tif").read_bytes())
    (folder / "tiff.tif").write_bytes(data[: len(data) // 2])
    out = tmp_path / "out"
    segment = segmenter_of(tile=Size(64, 64), overlap=8)
    summary = quietly(segment, [folder / "tiff.tif"], out, large_pixels=1000)
    assert len(summary.failures) == 1
    assert set(contents(out)) == {"segscape.json"}


KILLED = """
import sys, torch
sys.path.insert(0, sys.argv[3])
torch.set_num_threads(1)
from segscape.inference.predict import predict_files
from segscape.inference.segmenter import Segmenter
from tests.support.tiny_models import TinyModel
predict_files(
    Segmenter(TinyModel(), precision="fp32", device="cpu"),
    [sys.argv[1]], sys.argv[2], formats=("png", "json", "overlay"),
)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_a_killed_run_leaves_no_half_file_and_a_second_completes(tmp_path):
    folder, out = tmp_path / "images", tmp_path / "out"
    folder.mkdir()
    for index in range(60):
        write_image(folder / f"{index}.png", torch.full((3, 90, 120), index, dtype=torch.uint8))
    complete = tmp_path / "complete"
    formats = ("png", "json", "overlay")
    quietly(segmenter_of(), [folder], complete, formats=formats)
    command = [sys.executable, "-c", textwrap.dedent(KILLED), str(folder), str(out)]
    command.append(str(Path(__file__).parents[2]))
    expected = contents(complete)
    for enough in (3, 25):
        process = subprocess.Popen(command)
        while len(list(out.glob("*.png"))) < enough and process.poll() is None:
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
        process.wait()
        found = contents(out)
        assert enough <= len(list(out.glob("*.png"))) < 60
        for name, data in found.items():
            if not Path(name).name.startswith("."):  # a temporary name, which nobody reads
                assert data == expected[name], name
    summary = quietly(segmenter_of(), [folder], out, formats=formats)
    assert summary.predicted + summary.skipped == 60
    assert summary.skipped >= 24
    assert contents(out) == contents(complete)
