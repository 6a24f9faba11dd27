from hypothesis import given
from hypothesis import strategies as st

from segscape.structures.colors import colors_for, default_color


def test_default_colors_are_those_of_pascal_voc():
    # Read off the palette of the VOC development kit: background, aeroplane, ..., tv monitor.
    assert [default_color(i) for i in (0, 1, 2, 3, 8, 20)] == [
        (0, 0, 0),
        (128, 0, 0),
        (0, 128, 0),
        (128, 128, 0),
        (64, 0, 0),
        (0, 64, 128),
    ]
    assert len({default_color(i) for i in range(1000)}) == 1000


@given(st.lists(st.sampled_from(["sky", "road", "cell", "background", "tree", "vegetation", "x"])))
def test_every_name_gets_a_color_of_its_own(names):
    assert len(set(colors_for(names))) == len(names)


def test_given_colors_stay_and_are_not_given_twice():
    given_sky = colors_for(["road", "sky", "cell"], [None, (128, 64, 128), None])
    assert given_sky == ((128, 0, 0), (128, 64, 128), (0, 128, 0))


def test_lists_that_begin_with_a_background_get_pascal_voc_colors_by_position():
    assert colors_for(["background", "sky", "car"]) == tuple(map(default_color, range(3)))
