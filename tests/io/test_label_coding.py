import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.data_roots import data_root

from segscape.io.label_coding import LabelCoding, classes_from_mapping, read_classes
from segscape.structures import (
    Category,
    DatasetError,
    LabelMap,
    MaskFileError,
    StructureError,
    Taxonomy,
)

THREE = Taxonomy.from_names(["background", "road", "car"])


def ids(*values: int, dtype: torch.dtype = torch.int64) -> torch.Tensor:
    return torch.tensor([values], dtype=dtype)


@st.composite
def codings(draw: st.DrawFn) -> LabelCoding:
    count = draw(st.integers(1, 300))
    most = draw(st.sampled_from([400, 65535, 2**32 - 1]))
    chosen = draw(st.lists(st.integers(0, most), min_size=count, max_size=count + 5, unique=True))
    names = [f"c{i}" for i in range(count)]
    return LabelCoding(
        Taxonomy.from_names(names), tuple(chosen[:count]), frozenset(chosen[count:]) | {-1}
    )


@settings(max_examples=40, deadline=None)
@given(codings(), st.integers(0, 2**32 - 1))
def test_round_trip_against_a_dictionary(coding, seed):
    generator = np.random.default_rng(seed)
    count, ignore = len(coding.taxonomy), coding.taxonomy.ignore_id
    labels = generator.integers(0, count + 1, (6, 7))
    labels[labels == count] = ignore
    label_map = LabelMap(torch.from_numpy(labels), coding.taxonomy)
    written = coding.to_ids(label_map)
    meaning = dict(enumerate(coding.file_ids)) | {ignore: coding.void_id}
    assert written.tolist() == [[meaning[int(v)] for v in row] for row in labels]
    back = coding.to_labels(written)
    assert back.labels.tolist() == labels.tolist()
    assert back.labels.dtype == (torch.uint8 if ignore == 255 else torch.int32)
    again = classes_from_mapping(json.loads(json.dumps(coding.to_mapping())))
    assert again == coding


def test_ignored_and_sparse_ids():
    coding = LabelCoding(THREE, (7, 8, 26), frozenset({0, -1}))
    labels = coding.to_labels(ids(7, 26, 8, 0, -1, 255)).labels
    assert labels.tolist() == [[0, 2, 1, 255, 255, 255]]
    assert coding.ignoring([3]).to_labels(ids(3)).labels.tolist() == [[255]]
    with pytest.raises(StructureError, match="id 8 is ignored and is the id of 'road'"):
        coding.ignoring([8])


def test_255_as_a_category():
    coding = LabelCoding(THREE, (0, 128, 255))
    assert coding.void_id == 65535
    assert coding.to_labels(ids(255, 0, 65535)).labels.tolist() == [[2, 0, 255]]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ((0, 1, 2, 9, 9), r"9 \(2 px\).*: add them to the classes"),
        ((1, 2, 3, 3), "off by one: give the ids 1..3"),
        ((0, 0, 128), "black-and-white mask whose foreground is 128"),
        ((0, -5), r"-5 \(1 px\)"),
        ((0, 2**31), rf"{2**31} \(1 px\)"),
        (tuple(range(60)), "anti-aliasing"),
        ((0, 9, 10, 9), r"9 \(2 px\), 10 \(1 px\)"),
    ],
)
def test_unknown_ids_are_listed_with_a_hint(values, words):
    coding = LabelCoding.plain(THREE)
    with pytest.raises(MaskFileError, match=words) as caught:
        coding.to_labels(ids(*values), source="mask7.png")
    assert str(caught.value).startswith("mask7.png: ")
    assert "0..2" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_every_unknown_8_bit_id_is_found():
    for count in (1, 254, 255, 256):
        coding = LabelCoding.plain(Taxonomy.from_names([f"c{i}" for i in range(count)]))
        for value in range(256):
            given_ids = ids(0, value, dtype=torch.uint8)
            if value < count or value == 255:
                expected = value if value < count else coding.taxonomy.ignore_id
                assert coding.to_labels(given_ids).labels[0, 1] == expected
            else:
                with pytest.raises(MaskFileError, match=f"{value} "):
                    coding.to_labels(given_ids)


def test_colors():
    coding = LabelCoding.plain(THREE)
    colors = torch.tensor([[0, 0, 0], [128, 0, 0], [0, 128, 0], [224, 224, 192]], dtype=torch.uint8)
    labels = coding.colors_to_labels(colors.T[:, None])
    assert labels.labels.tolist() == [[0, 1, 2, 255]]
    strange = torch.tensor([[1, 2, 3], [1, 2, 3], [0, 0, 0]], dtype=torch.uint8).T[:, None]
    with pytest.raises(MaskFileError, match=r"\[1, 2, 3\] \(2 px\): add them"):
        coding.colors_to_labels(strange)
    tolerant = LabelCoding(THREE, (0, 1, 2), frozenset(), frozenset({(1, 2, 3)}))
    assert tolerant.colors_to_labels(strange).labels.tolist() == [[255, 255, 0]]
    grey = torch.full((3, 2, 2), 7, dtype=torch.uint8)
    with pytest.raises(MaskFileError, match="one channel"):
        coding.colors_to_labels(grey)
    ramp = torch.arange(60, dtype=torch.uint8).reshape(1, 1, 60).repeat(3, 1, 1)
    with pytest.raises(MaskFileError, match="anti-aliasing"):
        coding.colors_to_labels(ramp)


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_colors_against_a_dictionary(seed):
    generator = np.random.default_rng(seed)
    palette = np.unique(generator.integers(0, 256, (20, 3)), axis=0)
    categories = tuple(
        Category(f"c{i}", (int(r), int(g), int(b))) for i, (r, g, b) in enumerate(palette)
    )
    chosen = generator.integers(0, len(palette), (5, 6))
    image = torch.from_numpy(palette[chosen].astype(np.uint8)).permute(2, 0, 1)
    coding = LabelCoding.plain(Taxonomy(categories))
    assert coding.colors_to_labels(image).labels.tolist() == chosen.tolist()


def test_wrong_codings():
    with pytest.raises(StructureError, match="2 file ids for 3 categories"):
        LabelCoding(THREE, (0, 1))
    with pytest.raises(StructureError, match="id 1 stands for 'background' and 'car'"):
        LabelCoding(THREE, (1, 2, 1))
    with pytest.raises(StructureError, match="outside 0"):
        LabelCoding(THREE, (0, -1, 2))
    with pytest.raises(StructureError, match="color"):
        LabelCoding(THREE, (0, 1, 2), frozenset(), frozenset({(0, 0, 0)}))
    other = LabelMap(torch.zeros(2, 2, dtype=torch.uint8), Taxonomy.from_names(["a"]))
    with pytest.raises(StructureError, match="cannot be written"):
        LabelCoding.plain(THREE).to_ids(other)


def test_camvid(tmp_path):
    coding = read_classes(data_root("camvid") / "classes.txt")
    assert len(coding.taxonomy) == 11
    assert coding.all_ignored == {11, 255}


def test_text_file(tmp_path):
    path = tmp_path / "classes.txt"
    path.write_bytes(b"\xef\xbb\xbfbackground\r\n\r\n# things\r\ncar \r\n")
    coding = read_classes(path)
    assert coding.taxonomy.names == ("background", "car")
    assert coding.to_labels(ids(0, 1, 2, 255)).labels.tolist() == [[0, 1, 255, 255]]


def test_yaml_file(tmp_path):
    path = tmp_path / "classes.yaml"
    path.write_text(
        "categories:\n"
        "  - {name: road, id: 7, color: [128, 64, 128]}\n"
        "  - {name: car, id: 26, color: '#00008e', is_thing: true}\n"
        "  - {name: wheel, id: 27, is_thing: true, part_of: car}\n"
        "ignore: [0, -1, [0, 0, 0]]\n"
    )
    coding = read_classes(path)
    assert coding.file_ids == (7, 26, 27)
    assert coding.taxonomy.categories[1] == Category("car", (0, 0, 142), True)
    assert coding.taxonomy.categories[2].part_of == "car"
    assert coding.ignored_ids == {0, -1}
    assert coding.ignored_colors == {(0, 0, 0)}
    path.write_text("[background, road]")
    coding = read_classes(path)
    assert coding.taxonomy.names == ("background", "road")
    with pytest.raises(MaskFileError):
        coding.to_labels(ids(2))


def test_missing_colors_do_not_collide():
    coding = classes_from_mapping([{"name": "a", "color": [128, 0, 0]}, "b", "c"])
    assert len({category.color for category in coding.taxonomy.categories}) == 3


@pytest.mark.parametrize(
    ("mapping", "words"),
    [
        (None, "is missing|holds missing"),
        ("background", "holds text"),
        ([], "expected a list of classes"),
        ({"category": ["a"]}, "unknown key 'category': did you mean 'categories'"),
        ({"categories": [{"name": "a", "colour": [1, 2, 3]}]}, "did you mean 'color'"),
        ({"categories": [{"name": "a", "color": [1, 2]}]}, r"categories\[0\]: color is \[1, 2\]"),
        ({"categories": [{"name": "a", "color": [1, 2, 256]}]}, "0..255"),
        ({"categories": [{"name": "a", "color": "#12345"}]}, "#rrggbb"),
        ({"categories": [{"name": "a", "id": "7"}]}, "id is '7'"),
        ({"categories": [{"name": "a", "id": True}]}, "id is True"),
        ({"categories": [{"name": "a", "id": 1}, {"name": "b"}]}, "'b' has no id"),
        ({"categories": [{"name": "a", "id": 1}, {"name": "b", "id": 1}]}, "id 1 stands for"),
        ({"categories": [{"name": "a", "is_thing": "yes"}]}, "is_thing is 'yes'"),
        ({"categories": [{"name": "a", "part_of": "z"}]}, "part of 'z'"),
        ({"categories": [False]}, "in quotes"),
        ({"categories": [{"id": 3}]}, "name is missing"),
        ({"categories": ["a", "a"]}, "name 'a' stands for"),
        ({"categories": ["a"], "ignore": 255}, "expected a list of ids"),
        ({"categories": ["a"], "ignore": [0]}, "id 0 is ignored and is the id of 'a'"),
        ({"categories": ["a"], "ignore": [1.5]}, "ignore holds 1.5"),
    ],
)
def test_wrong_mappings(mapping, words):
    with pytest.raises(DatasetError, match=words) as caught:
        classes_from_mapping(mapping, "recipe.yaml: classes")
    assert str(caught.value).startswith("recipe.yaml: classes")
    assert "\n" not in str(caught.value)


def test_unreadable_class_files(tmp_path):
    with pytest.raises(DatasetError, match="no such file"):
        read_classes(tmp_path / "classes.txt")
    with pytest.raises(DatasetError, match="cannot be read"):
        read_classes(tmp_path)
    cases = {
        "classes.txt": [
            (b"", "is empty"),
            (b"\xff\xfe\x00", "not UTF-8"),
            (b"0 background\n1 road\n", "begins with a number"),
            (b"background\nbackground\n", "stands for categories"),
        ],
        "classes.yaml": [
            (b"a: [", "not valid YAML at line"),
            (b"", "expected"),
            (b"[" * 1000, "not valid YAML"),
            (b"!!python/object/apply:os.system [id]", "not valid YAML"),
            (b"a: 2026-99-99", "YAML|unknown key"),
        ],
    }
    for name, contents in cases.items():
        for content, words in contents:
            (tmp_path / name).write_bytes(content)
            with pytest.raises(DatasetError, match=words) as caught:
                read_classes(tmp_path / name)
            assert name in str(caught.value)
