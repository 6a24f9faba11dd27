import itertools
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import torch
import zarr
from PIL import Image
from tests.support.odd_images import ORIENTATIONS, shown, tiff_images

from segscape.io.image_files import read_image
from segscape.io.label_coding import LabelCoding, classes_from_mapping
from segscape.io.large_images import create_labels, open_large
from segscape.io.mask_files import read_ids, read_label_map
from segscape.structures import (
    ImageFileError,
    OutputError,
    Size,
    StructureError,
    Taxonomy,
)

THREE = Taxonomy.from_names(["sky", "road", "car"])
_SOURCES = str(Path(__file__).parents[2] / "src")


def picture(height: int, width: int, channels: int = 3, dtype: type = np.uint8) -> np.ndarray:
    most = np.iinfo(dtype).max
    generator = np.random.default_rng(height * width)
    return generator.integers(0, most, (height, width, channels), dtype, endpoint=True)


def compare_windows(path: Path, whole: torch.Tensor) -> None:
    _, height, width = whole.shape
    generator = np.random.default_rng(0)
    with open_large(path) as image:
        assert image.size == Size(height, width)
        assert torch.equal(image.read(0, 0, height, width), whole)
        for _ in range(12):
            top, left = int(generator.integers(height)), int(generator.integers(width))
            rows = int(generator.integers(1, height - top + 1))
            columns = int(generator.integers(1, width - left + 1))
            window = image.read(top, left, rows, columns)
            assert torch.equal(window, whole[:, top : top + rows, left : left + columns])


@pytest.mark.parametrize("turn", ORIENTATIONS[1:])
@pytest.mark.parametrize(
    "way",
    [
        {"tile": (32, 16)},
        {"tile": (32, 16), "compression": "zlib", "predictor": True},
        {"tile": (16, 48), "compression": "lzw", "bigtiff": True, "planarconfig": "separate"},
        {"rowsperstrip": 7, "compression": "zstd"},
        {"rowsperstrip": 7, "byteorder": ">"},
        {"rowsperstrip": 7, "planarconfig": "separate"},
        {},
    ],
)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_windows_of_tiff(way, turn, dtype, tmp_path):
    stored = picture(61, 83, dtype=dtype)
    given = np.moveaxis(stored, 2, 0) if "planarconfig" in way else stored
    path = tmp_path / "slide.tif"
    tags = [(274, 3, 1, turn, True)]
    tifffile.imwrite(path, given, photometric="rgb", metadata=None, extratags=tags, **way)
    eight = (
        stored if dtype == np.uint8 else ((stored.astype(int) * 2 + 257) // 514).astype(np.uint8)
    )
    whole = torch.from_numpy(shown(eight, turn).copy()).permute(2, 0, 1)
    assert torch.equal(read_image(path), whole)
    compare_windows(path, whole)


def test_odd_tiffs_by_windows_as_whole(tmp_path):
    path = tmp_path / "odd.tif"
    for odd in itertools.islice(tiff_images(seed=2), 0, None, 7):
        path.write_bytes(odd.data)
        compare_windows(path, torch.from_numpy(odd.expected.copy()).permute(2, 0, 1))


def test_tiles_of_jpeg_and_other_images(tmp_path):
    smooth = np.kron(picture(5, 6), np.ones((16, 16, 1), np.uint8)).astype(np.uint8)
    path = tmp_path / "slide.tif"
    tifffile.imwrite(
        path, smooth, photometric="rgb", tile=(32, 32), compression="jpeg",
        compressionargs={"level": 95},
    )  # fmt: skip
    whole = read_image(path)
    with Image.open(path) as image:
        theirs = np.asarray(image.convert("RGB")).astype(int)
    assert np.abs(whole.permute(1, 2, 0).numpy() - theirs).max() <= 2
    compare_windows(path, whole)
    for name, mode in (("photo.jpg", "RGB"), ("photo.png", "RGB"), ("lab.tif", "LAB")):
        Image.fromarray(smooth, mode).save(tmp_path / name)
        compare_windows(tmp_path / name, read_image(tmp_path / name))


def test_windows_outside_are_refused(tmp_path):
    path = tmp_path / "slide.tif"
    tifffile.imwrite(path, picture(20, 30))
    with open_large(path) as image:
        assert image.channels == 3
        for window in ((-1, 0, 5, 5), (0, 26, 5, 5), (16, 0, 5, 5), (0, 0, 0, 5)):
            with pytest.raises(StructureError, match="leaves the image"):
                image.read(*window)


def test_a_hole_is_black_and_a_cut_is_an_error(tmp_path):
    path = tmp_path / "slide.tif"
    stored = picture(64, 64, 1)[..., 0]
    tifffile.imwrite(path, stored, tile=(32, 32), compression="zlib", metadata=None)
    with tifffile.TiffFile(path) as tiff:
        page = tiff.pages.first
        start = page.dataoffsets[3]
    data = path.read_bytes()
    assert start > page.dataoffsets[0]
    path.write_bytes(data[: start + 10])
    with open_large(path) as image:
        # The tiles before the cut are whole.
        assert np.array_equal(image.read(0, 0, 32, 64)[0].numpy(), stored[:32])
        with pytest.raises(ImageFileError, match="cut off"):
            image.read(32, 32, 4, 4)


def write_zarr(path: Path, array: np.ndarray, **options: Any) -> None:
    chunks = tuple(min(n, 16) for n in array.shape)
    node = zarr.create_array(
        store=str(path), shape=array.shape, dtype=array.dtype, chunks=chunks, **options
    )
    node[...] = array


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("form", ["hw", "hwc", "chw", "hwc named", "v2"])
def test_windows_of_zarr(form, dtype, tmp_path):
    path = tmp_path / "image.zarr"
    stored = picture(40, 50, 1 if form == "hw" else 3, dtype)
    options: dict[str, Any] = {}
    given = stored
    if form == "hw":
        given = stored[..., 0]
    elif form == "chw":
        given = np.moveaxis(stored, 2, 0)
    elif form == "hwc named":
        # Named axes win over the guess by length.
        given, options = stored[:4].transpose(2, 0, 1), {"dimension_names": ("y", "x", "c")}
        stored = given
    elif form == "v2":
        options = {"zarr_format": 2}
    write_zarr(path, given, **options)
    if stored.shape[2] == 50:
        with pytest.raises(ImageFileError, match="50 channels"):
            open_large(path)
        return
    eight = (
        stored if dtype == np.uint8 else ((stored.astype(int) * 2 + 257) // 514).astype(np.uint8)
    )
    whole = torch.from_numpy(np.broadcast_to(eight, (*eight.shape[:2], 3)).copy()).permute(2, 0, 1)
    compare_windows(path, whole)


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_finest_level_of_ome_zarr(version, tmp_path):
    path = tmp_path / "image.zarr"
    stored = picture(40, 50)
    group = zarr.create_group(store=str(path), zarr_format=2 if version == "0.4" else 3)
    axes = [{"name": name} for name in ("t", "c", "z", "y", "x")]
    scales = [{"axes": axes, "datasets": [{"path": "full"}, {"path": "half"}]}]
    body = {"multiscales": scales, "version": version}
    group.attrs.update(body if version == "0.4" else {"ome": body})
    for name, level in (("full", stored), ("half", stored[::2, ::2])):
        volume = np.moveaxis(level, 2, 0)[None, :, None]
        array = group.create_array(
            name, shape=volume.shape, dtype="uint8", chunks=(1, 1, 1, 16, 16)
        )
        array[...] = volume
    compare_windows(path, torch.from_numpy(stored).permute(2, 0, 1))


def test_folders_that_hold_no_image(tmp_path):
    with pytest.raises(ImageFileError, match="without Zarr's metadata"):
        open_large(tmp_path)
    write_zarr(tmp_path / "five.zarr", np.zeros((9, 9, 9), np.uint8))
    with pytest.raises(ImageFileError, match="expected \\(height, width\\)"):
        open_large(tmp_path / "five.zarr")
    zarr.create_group(store=str(tmp_path / "group.zarr"))
    with pytest.raises(ImageFileError, match="without OME-Zarr"):
        open_large(tmp_path / "group.zarr")
    (tmp_path / "broken.zarr").mkdir()
    (tmp_path / "broken.zarr" / "zarr.json").write_text("{")
    with pytest.raises(ImageFileError, match=r"broken\.zarr"):
        open_large(tmp_path / "broken.zarr")
    with pytest.raises(ImageFileError, match="no such file"):
        open_large(tmp_path / "absent.zarr")


def labels_of(height: int, width: int, taxonomy: Taxonomy = THREE) -> torch.Tensor:
    values = np.random.default_rng(1).integers(0, len(taxonomy) + 1, (height, width))
    values[values == len(taxonomy)] = taxonomy.ignore_id
    return torch.from_numpy(values.astype(np.uint8 if taxonomy.ignore_id < 256 else np.int32))


@pytest.mark.parametrize("suffix", ["tif", "zarr"])
@pytest.mark.parametrize("window", [(16, 16), (100, 130), (37, 23), (1, 130)])
@pytest.mark.parametrize(
    "coding",
    [
        LabelCoding.plain(THREE),
        LabelCoding(THREE, (7, 300, 1)),
        LabelCoding.plain(Taxonomy.from_names([f"c{i}" for i in range(300)])),
    ],
)
def test_labels_round_trip(suffix, window, coding, tmp_path):
    taxonomy, size = coding.taxonomy, Size(100, 130)
    labels = labels_of(*size, taxonomy)
    path = tmp_path / "out" / f"labels.{suffix}"
    places = list(itertools.product(range(0, 100, window[0]), range(0, 130, window[1])))
    np.random.default_rng(3).shuffle(places)
    with create_labels(path, size, taxonomy, tile=32, coding=coding) as writer:
        for top, left in places:
            writer.write(top, left, labels[top : top + window[0], left : left + window[1]])
        assert not path.exists()
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]
    expected = coding.to_ids(read_back(labels, taxonomy)).numpy()
    if suffix == "zarr":
        array = zarr.open_array(store=str(path), mode="r")
        assert array.metadata.zarr_format == 3
        assert array.chunks == (32, 32)
        assert np.array_equal(array[...], expected)
        assert classes_from_mapping(array.attrs["segscape"]) == coding
        return
    assert np.array_equal(read_ids(path).numpy(), expected)
    assert torch.equal(read_label_map(path, coding).labels, labels)
    with tifffile.TiffFile(path) as tiff:
        page = tiff.pages.first
        assert tiff.is_bigtiff
        assert (page.tilelength, page.tilewidth) == (32, 32)
        assert np.array_equal(page.asarray(), expected)
    with Image.open(path) as image:
        assert image.size == (130, 100)
        if image.mode == "P":
            painted = np.asarray(image.convert("RGB"))
            for index, category in enumerate(taxonomy.categories):
                assert (painted[labels.numpy() == index] == category.color).all()


def read_back(labels: torch.Tensor, taxonomy: Taxonomy):
    from segscape.structures import LabelMap

    return LabelMap(labels, taxonomy)


@pytest.mark.parametrize("suffix", ["tif", "zarr"])
def test_nothing_is_left_of_what_was_not_finished(suffix, tmp_path):
    path = tmp_path / f"labels.{suffix}"
    piece = torch.zeros(32, 64, dtype=torch.uint8)

    def half_written(ending: str) -> None:
        with create_labels(path, Size(64, 64), THREE, tile=32) as writer:
            writer.write(0, 0, piece)
            if ending == "error":
                raise KeyError
            if ending == "abandon":
                writer.abandon()

    with pytest.raises(KeyError):
        half_written("error")
    with pytest.raises(OutputError, match="2 of 4 tiles lack pixels, the first at row 32"):
        half_written("close")
    half_written("abandon")
    assert list(tmp_path.iterdir()) == []
    writer = create_labels(path, Size(32, 64), THREE, tile=32)
    writer.write(0, 0, piece)
    writer.close()
    writer.close()
    writer.abandon()
    assert path.exists()
    with pytest.raises(OutputError, match="is closed"):
        writer.write(0, 0, piece)
    with pytest.raises(KeyError):
        half_written("error")
    with open_large(path) as image:
        assert image.size == Size(32, 64)


def test_wrong_windows_and_places(tmp_path):
    path = tmp_path / "labels.tif"
    piece = torch.zeros(32, 32, dtype=torch.uint8)
    with create_labels(path, Size(64, 64), THREE, tile=32) as writer:
        for top, left in ((-1, 0), (33, 0), (0, 33)):
            with pytest.raises(StructureError, match="leaves the label map"):
                writer.write(top, left, piece)
        writer.write(0, 0, piece)
        writer.write(40, 40, piece[:8, :8])
        for top, left in ((0, 0), (16, 16), (40, 40)):
            with pytest.raises(StructureError, match="written before"):
                writer.write(top, left, piece[:8, :8])
        with pytest.raises(StructureError, match="hold the ids"):
            writer.write(32, 0, piece + 9)
        writer.abandon()
    with pytest.raises(OutputError, match=r"not '\.png'"):
        create_labels(tmp_path / "labels.png", Size(9, 9), THREE)
    with pytest.raises(StructureError, match="multiple of 16"):
        create_labels(path, Size(9, 9), THREE, tile=100)
    with pytest.raises(StructureError, match="no pixels"):
        create_labels(path, Size(0, 9), THREE)
    assert list(tmp_path.iterdir()) == []


def test_full_disk_while_writing(tmp_path, monkeypatch):
    from segscape.io.tiled_tiff import TiledTiff

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(TiledTiff, "put", fail)
    path = tmp_path / "labels.tif"
    path.write_bytes(b"old")
    writer = create_labels(path, Size(32, 32), THREE, tile=32)
    with pytest.raises(OutputError, match=r"labels\.tif: disk full"):
        writer.write(0, 0, torch.zeros(32, 32, dtype=torch.uint8))
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["labels.tif"]


_MEMORY = """
import resource, sys
from pathlib import Path
import torch
from segscape.io.large_images import create_labels, open_large
from segscape.structures import Size, Taxonomy
import numpy, tifffile, zarr, imagecodecs
folder, suffix, height, width = Path(sys.argv[1]), sys.argv[2], 12_000, 8_000
taxonomy = Taxonomy.from_names(["a", "b", "c"])

def strip(top):
    labels = torch.full((min(512, height - top), width), top // 512 % 3, dtype=torch.uint8)
    labels[::7, ::5] = 1
    return labels

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024

# The libraries' own start-up is paid before the measurement.
with create_labels(folder / ("warm" + suffix), Size(600, 600), taxonomy) as writer:
    writer.write(0, 0, torch.zeros(600, 600, dtype=torch.uint8))
with open_large(folder / ("warm" + suffix)) as image:
    image.read(0, 0, 600, 600)
before = peak()
with create_labels(folder / ("labels" + suffix), Size(height, width), taxonomy) as writer:
    for top in range(0, height, 512):
        writer.write(top, 0, strip(top))
total = 0
with open_large(folder / ("labels" + suffix)) as image:
    for top in range(0, height - 512, 5120):
        for left in range(0, width - 1024, 1000):
            window = image.read(top, left, 512, 1024)
            # No sum: torch's first reduction alone maps hundreds of MiB of its library.
            total += 1 + int(window[0, 0, 0])
print(peak() - before, total > 0)
"""


@pytest.mark.parametrize("suffix", [".tif", ".zarr"])
def test_memory_is_that_of_a_row_of_tiles(suffix, tmp_path):
    # 96 MB of labels, 288 MB of colours; a row of tiles is 4 MB.
    result = subprocess.run(
        [sys.executable, "-c", _MEMORY, str(tmp_path), suffix],
        env={**os.environ, "PYTHONPATH": _SOURCES, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    grown, read = result.stdout.split()
    assert read == "True"
    assert int(grown) < 64, f"{grown} MiB"
