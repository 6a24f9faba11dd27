import numpy as np
import pytest
import tifffile
import torch
from PIL import Image
from tests.support.data_roots import data_root
from tests.support.odd_images import (
    ORIENTATIONS,
    exif_block,
    pillow_images,
    png_bytes,
    png_chunk,
    png_images,
    shown,
    tiff_bytes,
    tiff_images,
)

from segscape.io.image_files import read_image
from segscape.io.label_coding import LabelCoding
from segscape.io.mask_files import read_ids, read_label_map, read_stored, write_label_map
from segscape.structures import (
    ImageFileError,
    LabelMap,
    MaskFileError,
    OutputError,
    Taxonomy,
)

THREE = LabelCoding.plain(Taxonomy.from_names(["background", "road", "car"]))


@pytest.mark.parametrize("build", [png_images, tiff_images, pillow_images])
def test_ids_are_read_as_stored(build, tmp_path):
    path = tmp_path / "mask.png"
    count = 0
    for odd in build(seed=1):
        if odd.ids is None:
            continue
        count += 1
        path.write_bytes(odd.data)
        found = read_ids(path)
        assert found.dtype == (
            torch.uint8
            if odd.ids.max() < 256 and odd.ids.dtype != np.uint16 and "depth 16" not in odd.name
            else torch.int32
        ), odd.name
        assert np.array_equal(found.numpy(), odd.ids), odd.name
    assert count >= 12


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [
        (np.bool_, torch.uint8),
        (np.uint8, torch.uint8),
        (np.int8, torch.int32),
        (np.uint16, torch.int32),
        (np.int16, torch.int32),
        (np.uint32, torch.int64),
        (np.int32, torch.int32),
    ],
)
@pytest.mark.parametrize("byteorder", ["<", ">"])
def test_every_integer_tiff(dtype, expected, byteorder, tmp_path):
    path = tmp_path / "mask.tif"
    values = np.array([[0, 1, 100], [3, 4, 5]]) if dtype != np.bool_ else np.eye(2, 3)
    values = values.astype(dtype)
    if np.dtype(dtype).kind == "i":
        values[0, 0] = -1
    path.write_bytes(tiff_bytes(values, 6, byteorder=byteorder, photometric="minisblack"))
    found = read_ids(path)
    assert found.dtype == expected
    assert np.array_equal(found.numpy(), shown(values, 6).astype(np.int64))


def test_palette_is_never_converted(tmp_path):
    # The trap itself: a conversion to grey would give 0, 38, 75, 113.
    path = tmp_path / "mask.png"
    mask = Image.fromarray(np.array([[0, 1, 2, 255]], np.uint8))
    mask.putpalette(bytes(np.array(palette_of_voc(), np.uint8)))
    mask.save(path, transparency=0)
    assert np.asarray(mask.convert("L")).tolist() != [[0, 1, 2, 255]]
    assert read_ids(path).tolist() == [[0, 1, 2, 255]]
    assert read_label_map(path, THREE).labels.tolist() == [[0, 1, 2, 255]]


def palette_of_voc() -> list[tuple[int, int, int]]:
    from segscape.structures.colors import default_color

    return [default_color(i) for i in range(256)]


@pytest.mark.parametrize("turn", ORIENTATIONS)
def test_rgb_masks_through_the_colors(turn, tmp_path):
    labels = np.array([[0, 1, 2], [2, 2, 255]], np.uint8)
    colors = np.array(palette_of_voc(), np.uint8)[labels]
    chunk = b"" if turn is None else png_chunk(b"eXIf", exif_block(turn))
    path = tmp_path / "mask.png"
    path.write_bytes(png_bytes(colors, 8, 2, before=chunk))
    found = read_label_map(path, THREE)
    assert np.array_equal(found.labels.numpy(), shown(labels, turn))
    with pytest.raises(MaskFileError, match=r"mask\.png: is an RGB image"):
        read_ids(path)
    opaque = np.dstack([colors, np.full(labels.shape, 255, np.uint8)])
    path.write_bytes(png_bytes(opaque, 8, 6, before=chunk))
    assert torch.equal(read_label_map(path, THREE).labels, found.labels)
    Image.fromarray(shown(opaque, turn)).save(path, "WEBP", lossless=True)
    assert torch.equal(read_label_map(path, THREE).labels, found.labels)


def save(image: Image.Image, path, container: str, **options) -> None:
    image.save(path, container, **options)


def test_lossy_masks_are_refused(tmp_path):
    path = tmp_path / "mask.png"
    color = Image.new("RGB", (20, 20), (128, 0, 0))
    for image, container, options in (
        (color, "JPEG", {}),
        (color.convert("L"), "JPEG", {"quality": 100}),
        (color, "WEBP", {"quality": 90}),
        (color.convert("RGBA"), "WEBP", {"quality": 90}),
        (color, "TIFF", {"compression": "jpeg"}),
    ):
        save(image, path, container, **options)
        with pytest.raises(MaskFileError, match="lossy") as caught:
            read_label_map(path, THREE)
        assert str(path) in str(caught.value)
        with pytest.raises(MaskFileError, match="lossy"):
            read_ids(path)


def test_anti_aliased_masks_are_refused(tmp_path):
    path = tmp_path / "mask.png"
    mask = Image.new("L", (40, 40))
    mask.paste(2, (10, 10, 30, 30))
    color = Image.new("RGB", (40, 40), (0, 0, 0))
    color.paste((128, 0, 0), (10, 10, 30, 30))
    color.rotate(20, Image.Resampling.BICUBIC).save(path)
    with pytest.raises(MaskFileError, match="anti-aliasing"):
        read_label_map(path, THREE)
    mask = mask.point(lambda v: v * 100)
    mask.rotate(20, Image.Resampling.BICUBIC).save(path)
    with pytest.raises(MaskFileError, match="anti-aliasing"):
        read_label_map(path, THREE)


def test_other_masks_that_would_need_guessing(tmp_path):
    path = tmp_path / "mask"
    Image.new("RGBA", (4, 4), (0, 0, 0, 128)).save(path, "PNG")
    with pytest.raises(MaskFileError, match="transparent"):
        read_ids(path)
    Image.new("LA", (4, 4), (1, 0)).save(path, "PNG")
    with pytest.raises(MaskFileError, match="transparent"):
        read_ids(path)
    Image.new("LA", (4, 4), (1, 255)).save(path, "PNG")
    assert read_ids(path).tolist() == [[1] * 4] * 4
    path.write_bytes(png_bytes(np.zeros((2, 2, 3), int), 16, 2))
    with pytest.raises(MaskFileError, match="16-bit colors"):
        read_ids(path)
    tifffile.imwrite(path, np.zeros((4, 4), np.float32))
    with pytest.raises(MaskFileError, match="fractions"):
        read_ids(path)
    tifffile.imwrite(path, np.zeros((3, 4, 4), np.uint8), photometric="minisblack")
    with pytest.raises(MaskFileError, match="several pages"):
        read_ids(path)
    frames = [Image.new("RGB", (4, 4), color) for color in ("red", "blue")]
    frames[0].save(path, "GIF", save_all=True, append_images=frames[1:])
    with pytest.raises(MaskFileError, match="animated"):
        read_ids(path)
    Image.new("CMYK", (4, 4)).save(path, "TIFF")
    with pytest.raises(MaskFileError, match="expected one id or 8-bit"):
        read_label_map(path, THREE)
    path.write_bytes(b"")
    with pytest.raises(ImageFileError, match="empty"):
        read_ids(path)


def test_damaged_masks(tmp_path):
    path = tmp_path / "mask.png"
    data = png_bytes(np.ones((4, 4, 1), int), 8, 0, end=False)
    path.write_bytes(data)
    with pytest.raises(ImageFileError, match="cut off"):
        read_ids(path)
    path.write_bytes(png_bytes(np.ones((3, 8, 1), int), 8, 0, size=(5, 8)))
    with pytest.raises(ImageFileError, match="lacks its last rows"):
        read_ids(path)
    with pytest.raises(ImageFileError, match="lacks its last rows"):
        read_image(path)


@pytest.mark.parametrize(
    "coding",
    [
        THREE,
        LabelCoding(THREE.taxonomy, (7, 26, 8), frozenset({0})),
        LabelCoding(THREE.taxonomy, (0, 1, 255)),
        LabelCoding(THREE.taxonomy, (0, 1, 40_000)),
        LabelCoding.plain(Taxonomy.from_names([f"c{i}" for i in range(255)])),
        LabelCoding.plain(Taxonomy.from_names([f"c{i}" for i in range(700)])),
    ],
)
def test_write_and_read_back(coding, tmp_path):
    generator = np.random.default_rng(0)
    count, ignore = len(coding.taxonomy), coding.taxonomy.ignore_id
    labels = generator.integers(0, count + 1, (30, 41))
    labels[labels == count] = ignore
    label_map = LabelMap(torch.from_numpy(labels), coding.taxonomy)
    path = tmp_path / "masks" / "one.png"
    write_label_map(path, label_map, coding=coding)
    assert np.array_equal(read_label_map(path, coding).labels.numpy(), labels)
    with Image.open(path) as image:
        stored = np.asarray(image)
        expected = np.array([*coding.file_ids, *[0] * (ignore + 1 - count)])
        expected[ignore] = coding.void_id
        assert np.array_equal(stored, expected[labels])
        assert image.mode == ("P" if max(*coding.file_ids, coding.void_id) <= 255 else "I;16")
        if image.mode == "P":
            painted = np.asarray(image.convert("RGB"))
            for index, category in enumerate(coding.taxonomy.categories[:20]):
                assert (painted[labels == index] == category.color).all()


def test_default_coding_and_refusals(tmp_path):
    label_map = LabelMap(torch.tensor([[0, 2, 255]], dtype=torch.uint8), THREE.taxonomy)
    write_label_map(tmp_path / "one.png", label_map)
    assert read_ids(tmp_path / "one.png").tolist() == [[0, 2, 255]]
    with pytest.raises(OutputError, match=r"use the suffix \.png"):
        write_label_map(tmp_path / "one.jpg", label_map)
    huge = LabelCoding(THREE.taxonomy, (0, 1, 70_000))
    with pytest.raises(OutputError, match="70000 does not fit"):
        write_label_map(tmp_path / "two.png", label_map, coding=huge)
    assert [path.name for path in tmp_path.iterdir()] == ["one.png"]


def test_real_masks():
    from segscape.io.label_coding import read_classes

    root = data_root("camvid")
    coding = read_classes(root / "classes.txt")
    masks = sorted((root / "val" / "masks").iterdir())[:5]
    for path in masks:
        found = read_label_map(path, coding)
        with Image.open(path) as image:
            raw = np.asarray(image)
        assert np.array_equal(found.labels.numpy(), np.where(raw >= 11, 255, raw))
        assert read_stored(path).ndim == 2
