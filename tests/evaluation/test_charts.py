import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segscape.evaluation.charts import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, line_chart

NUMBERS = st.floats(-1e9, 1e9)


@given(st.lists(st.tuples(NUMBERS, NUMBERS), max_size=30), st.booleans(), st.booleans())
def test_lines_and_ticks_stay_in_their_box(points, from_zero, logarithmic):
    chart = line_chart("y", "x", [("one", points)], from_zero=from_zero, logarithmic=logarithmic)
    if len(points) < 2:
        assert chart is None
        return
    assert chart is not None
    numbers = [float(word) for word in re.findall(r"[-+.\de]+", chart.lines[0].path)]
    for x, y in zip(numbers[::2], numbers[1::2], strict=True):
        assert LEFT - 0.1 <= x <= WIDTH - RIGHT + 0.1
        assert TOP - 0.1 <= y <= HEIGHT - BOTTOM + 0.1
    for tick in chart.y_ticks:
        assert TOP - 0.1 <= tick.position <= HEIGHT - BOTTOM + 0.1
    assert chart.y_ticks or logarithmic


def test_higher_values_are_drawn_higher():
    chart = line_chart("y", "x", [("one", [(0.0, 1.0), (1.0, 2.0)])])
    assert chart is not None
    first, last = (float(step.split()[1]) for step in chart.lines[0].path[1:].split("L"))
    assert last < first


def test_gaps_and_single_points_are_left_out():
    points = [(0.0, 1.0), (1.0, math.nan), (2.0, math.inf), (3.0, 2.0)]
    chart = line_chart("y", "x", [("one", points), ("two", [(0.0, 1.0)])])
    assert chart is not None
    assert [line.name for line in chart.lines] == ["one"]
    assert chart.lines[0].path.count("L") == 1


def test_long_curves_are_thinned_by_their_mean():
    chart = line_chart("y", "x", [("one", [(float(i), float(i % 2)) for i in range(10_000)])])
    assert chart is not None
    assert len(chart.lines[0].path) < 10_000


@pytest.mark.parametrize(("high", "expected"), [(100.0, "100"), (0.01, "0.01"), (2e-6, "2e-6")])
def test_ticks_are_round_numbers(high, expected):
    chart = line_chart("y", "x", [("one", [(0.0, 0.0), (1.0, high)])])
    assert chart is not None
    assert [chart.y_ticks[0].text, chart.y_ticks[-1].text] == ["0", expected]
