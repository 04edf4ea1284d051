"""Boxes and lines of a picture find their places, whatever they are."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from multiboard.graph.layering import Link, Size
from multiboard.graph.layout import arrange


@st.composite
def drawings(draw):
    many = draw(st.integers(1, 18))
    sizes = [Size(draw(st.integers(4, 200)), draw(st.integers(4, 90))) for _ in range(many)]
    ends = st.tuples(st.integers(0, many - 1), st.integers(0, many - 1)).filter(lambda pair: pair[0] != pair[1])
    pairs = draw(st.lists(ends, max_size=30, unique=True)) if many > 1 else []
    return sizes, [Link(source, target) for source, target in pairs]


@settings(max_examples=80, deadline=None)
@given(drawings())
def test_no_box_lies_on_another_and_no_line_runs_through_one(drawing):
    sizes, links = drawing
    found = arrange(sizes, links)
    boxes = [
        (x - s.width / 2, y - s.height / 2, x + s.width / 2, y + s.height / 2)
        for (x, y), s in zip(found.centres, sizes, strict=True)
    ]
    for one, other in itertools.combinations(boxes, 2):
        assert one[2] <= other[0] + 0.01 or other[2] <= one[0] + 0.01 or one[3] <= other[1] + 0.01 or other[3] <= one[1] + 0.01
    for left, top, right, bottom in boxes:
        assert left >= -0.01
        assert top >= -0.01
        assert right <= found.width + 0.01
        assert bottom <= found.height + 0.01
    for link, line in zip(links, found.lines, strict=True):
        for number, box in enumerate(boxes):
            if number not in {link.source, link.target}:
                assert not any(_meets(start, end, box) for start, end in itertools.pairwise(line))


def _meets(start, end, box):
    """Tell whether a straight piece of a line comes into a box."""
    left, top, right, bottom = box
    points = [(start[0] + (end[0] - start[0]) * part / 20, start[1] + (end[1] - start[1]) * part / 20) for part in range(21)]
    return any(left + 0.01 < x < right - 0.01 and top + 0.01 < y < bottom - 0.01 for x, y in points)


@settings(max_examples=40, deadline=None)
@given(drawings())
def test_a_line_joins_its_boxes_and_the_same_drawing_comes_out_the_same(drawing):
    sizes, links = drawing
    found = arrange(sizes, links)
    assert found == arrange(sizes, links)
    for link, line in zip(links, found.lines, strict=True):
        for (x, y), box in ((line[0], link.source), (line[-1], link.target)):
            assert x == pytest.approx(found.centres[box][0])
            assert abs(y - found.centres[box][1]) == pytest.approx(sizes[box].height / 2)


def test_a_chain_is_straight():
    found = arrange([Size(40 + 10 * number, 20) for number in range(6)], [Link(number, number + 1) for number in range(5)])
    assert len({round(x, 6) for x, _ in found.centres}) == 1


def test_two_lines_that_need_not_cross_do_not():
    found = arrange([Size(40, 20)] * 4, [Link(0, 3), Link(1, 2)])
    (left, right), (upper_left, upper_right) = (
        (found.centres[3][0], found.centres[2][0]),
        (found.centres[0][0], found.centres[1][0]),
    )
    assert (left < right) == (upper_left < upper_right)


def test_a_chain_is_straight_beside_a_line_that_skips_it():
    sizes = [Size(2, 18, "top"), Size(130, 36), Size(150, 36), Size(80, 36), Size(120, 36), Size(44, 22)]
    found = arrange(sizes, [Link(number, number + 1) for number in range(5)] + [Link(0, 5)])
    assert len({round(x, 6) for x, _ in found.centres[1:5]}) == 1
    assert len({round(x, 6) for x, _ in found.lines[-1][1:-1]}) == 1


def test_a_box_without_a_source_stands_just_above_its_user():
    found = arrange([Size(40, 20)] * 5, [Link(1, 2), Link(2, 3), Link(3, 4), Link(0, 4)])
    assert found.centres[0][1] == found.centres[3][1]
