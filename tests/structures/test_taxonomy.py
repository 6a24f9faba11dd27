import pytest
from hypothesis import given
from hypothesis import strategies as st

from segscape.structures import Category, StructureError, Taxonomy

SKY, CAR = Category("sky", (1, 2, 3)), Category("car", (4, 5, 6), is_thing=True)
WHEEL = Category("wheel", (7, 8, 9), is_thing=True, part_of="car")


@given(st.lists(st.text(min_size=1), min_size=1, max_size=20, unique=True))
def test_ids_follow_the_order_of_the_names(names):
    taxonomy = Taxonomy.from_names(names)
    assert taxonomy.names == tuple(names)
    assert [taxonomy.id_of(name) for name in names] == list(range(len(names)))
    assert taxonomy.thing_ids == ()
    assert len(taxonomy) == len(names)


@pytest.mark.parametrize(("count", "ignore_id"), [(1, 255), (255, 255), (256, 65535)])
def test_ignored_id_never_names_a_category(count, ignore_id):
    assert Taxonomy.from_names([str(i) for i in range(count)]).ignore_id == ignore_id


def test_things_and_parts_are_found():
    taxonomy = Taxonomy((SKY, CAR, WHEEL))
    assert taxonomy.thing_ids == (1, 2)
    assert taxonomy.parts_of("car") == (2,)
    assert taxonomy.parts_of("sky") == ()


@pytest.mark.parametrize(
    ("categories", "ignore_id", "words"),
    [
        ((), 255, "name at least one"),
        ((SKY, Category("sky", (9, 9, 9))), 255, "name 'sky' stands for categories 0 and 1"),
        ((SKY, Category("sea", (1, 2, 3))), 255, "color .* give each its own"),
        ((SKY, CAR), 1, "id of category 'car': choose one of 2 or more"),
        ((SKY,), -1, "ignore_id -1 is negative.*choose one of 1 or more"),
        ((Category("sky", (0, 0, 256)),), 255, "outside 0..255: give red, green and blue"),
        ((SKY, WHEEL), 255, "part of 'car', which is not a category: add it or choose"),
        ((Category("sky", (1, 1, 1), part_of="sky"),), 255, "part of itself: name the whole"),
    ],
)
def test_wrong_taxonomies_are_refused_with_the_cure(categories, ignore_id, words):
    with pytest.raises(StructureError, match=words) as caught:
        Taxonomy(categories, ignore_id)
    assert "\n" not in str(caught.value)


def test_ignored_id_beyond_255_is_suggested_for_many_categories():
    with pytest.raises(StructureError, match="65535 is usual"):
        Taxonomy.from_names([str(i) for i in range(300)], ignore_id=255)


@pytest.mark.parametrize("ask", [Taxonomy.id_of, Taxonomy.parts_of])
def test_unknown_names_are_refused_with_the_known_ones(ask):
    with pytest.raises(StructureError, match=r"named 'dog': the categories are sky, car"):
        ask(Taxonomy((SKY, CAR)), "dog")
