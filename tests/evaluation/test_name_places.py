import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segscape.evaluation.charts import (
    BOTTOM,
    LEFT,
    RIGHT,
    SCATTER_HEIGHT,
    SCATTER_WIDTH,
    TOP,
    scatter_chart,
)
from segscape.evaluation.name_places import Box, Dot, place_names, shortened, text_width

EDGES = LEFT, TOP, SCATTER_WIDTH - RIGHT, SCATTER_HEIGHT - BOTTOM
FRAME = Box(*map(float, EDGES))


def cluster(count, spread, seed):
    """Runs whose time and accuracy lie close together for a small spread."""
    generator = random.Random(seed)
    points = []
    for number in range(count):
        y = 60 + 10 * spread * generator.gauss(0, 1)
        half = generator.choice([0.0, 1.0, 4.0, math.nan])
        name = f"{number}_" + "".join(generator.choices("iWn_mx1.", k=generator.randint(1, 30)))
        time = 100 * 10 ** (spread * generator.gauss(0, 0.5))
        points.append((name, time, y, generator.random(), (y - half, y + half)))
    return points


def gap(box, dot):
    """From the box to the dot's rim, below 0 where they overlap."""
    across = max(box.left - dot.x, 0, dot.x - box.right)
    down = max(box.top - dot.y, 0, dot.y - box.bottom)
    return math.hypot(across, down) - dot.radius


def still(name, x, y, radius):
    return Dot(name, x, y, radius, y, y)


def overlap(one, other):
    return (
        one.left < other.right
        and other.left < one.right
        and one.top < other.bottom
        and other.top < one.bottom
    )


def check(chart):
    dots = {dot.name: dot for dot in chart.dots}
    assert [label.name for label in chart.labels] == list(dots)
    for place, label in enumerate(chart.labels):
        assert FRAME.left <= label.box.left < label.box.right <= FRAME.right
        assert FRAME.top <= label.box.top < label.box.bottom <= FRAME.bottom
        assert label.box.right - label.box.left >= text_width(label.text) - 0.2
        assert label.box.top < label.y < label.box.bottom
        assert not any(overlap(label.box, other.box) for other in chart.labels[:place])
        gaps = {name: gap(label.box, dot) for name, dot in dots.items()}
        assert min(gaps.values()) > 0
        if label.leader is None:
            others = [away for name, away in gaps.items() if name != label.name]
            assert gaps[label.name] < 8
            assert gaps[label.name] + 8 < min(others, default=math.inf)
        else:
            x, y = label.leader[2:]
            dot = dots[label.name]
            assert math.hypot(x - dot.x, y - dot.y) == pytest.approx(dot.radius, abs=0.2)
    for dot in chart.dots:
        assert dot.x - dot.radius >= LEFT
        assert dot.x + dot.radius <= SCATTER_WIDTH - RIGHT
        assert dot.y - dot.radius >= TOP
        assert dot.y + dot.radius <= SCATTER_HEIGHT - BOTTOM


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 20), st.sampled_from([0.0, 0.02, 0.2, 1.0]), st.integers(0, 10**6))
def test_names_keep_off_other_names_and_dots_within_the_frame(count, spread, seed):
    chart = scatter_chart(cluster(count, spread, seed))
    assert chart is not None
    check(chart)


@pytest.mark.parametrize("spread", [0.05, 1.0])
def test_thirty_names_find_room(spread):
    chart = scatter_chart(cluster(30, spread, 1))
    assert chart is not None
    check(chart)


def test_a_name_stands_right_of_its_dot_where_there_is_room():
    points = [
        ("slow but right", 400.0, 50.0, 1.0, (49.0, 51.0)),
        ("fast", 20.0, 60.0, 1.0, (59.0, 61.0)),
    ]
    chart = scatter_chart(points)
    assert chart is not None
    assert chart == scatter_chart(points)
    fast, slow = chart.dots
    by_name = {label.name: label for label in chart.labels}
    right = by_name["fast"]
    assert right.leader is None
    assert right.anchor == "start"
    assert right.x > fast.x + fast.radius
    assert right.box.top < fast.y < right.box.bottom
    # At the frame's right edge there is none.
    left = by_name["slow but right"]
    assert left.leader is None
    assert left.box.right <= FRAME.right
    assert left.box.left < slow.x


def test_a_dot_among_others_is_led_to():
    dots = [
        still(f"ring {i}", 200 + 22 * math.cos(i), 200 + 22 * math.sin(i), 10.0) for i in range(7)
    ]
    labels = place_names([still("middle", 200.0, 200.0, 10.0), *dots], FRAME)
    leader = labels[0].leader
    assert leader is not None
    assert math.hypot(leader[0] - leader[2], leader[1] - leader[3]) > 10


def test_without_room_a_name_is_left_out_rather_than_written_over_another():
    dots = [still(f"run {i}", 50.0, 50.0, 5.0) for i in range(30)]
    labels = place_names(dots, Box(0.0, 0.0, 100.0, 100.0))
    assert 0 < len(labels) < 30
    for place, label in enumerate(labels):
        assert not any(overlap(label.box, other.box) for other in labels[:place])
    assert place_names([], FRAME) == ()


def test_long_names_keep_both_ends_and_letters_their_width():
    assert shortened("unet") == "unet"
    one, other = (shortened("camvid_deeplab_v3_plus_resnet18_seed_" + end) for end in "12")
    assert one != other
    assert len(one) == len(other) == 25
    # Measured in DejaVu Sans of 12 pixels.
    for text, measured in [("L_light_weight_refinenet", 146.0), ("m2", 19.3), ("(^…^)", 41.5)]:
        assert measured <= text_width(text) <= 1.3 * measured
    assert text_width("分割") == text_width("mm")
    assert text_width("e\u0301") == text_width("e")
