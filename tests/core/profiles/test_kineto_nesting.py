"""Laws of nesting: whatever ranges a thread has, its line nests, and steps lose nothing."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from multiboard.profile.kineto.events import Range
from multiboard.profile.kineto.nesting import disjoint, nest

SPANS = st.lists(st.tuples(st.integers(0, 200), st.integers(0, 60)), max_size=25)


def ranges_of(spans, name="range"):
    return [Range(name, "op", start, start + length, {}, (1, 1)) for start, length in spans]


@given(SPANS)
def test_any_ranges_nest_afterwards(spans):
    ranges = ranges_of(spans)
    nest(ranges)
    assert sorted(one.start for one in ranges) == sorted(start for start, _ in spans)
    open_ends = []
    for one in ranges:
        while open_ends and open_ends[-1] <= one.start:
            open_ends.pop()
        assert one.end >= one.start
        assert not open_ends or one.end <= open_ends[-1]
        assert one.parent is None or one.parent.start <= one.start <= one.end <= one.parent.end
        open_ends.append(one.end)


@given(SPANS, st.lists(st.integers(1, 40), min_size=1, max_size=6))
def test_steps_stay_whole_within_ranges_that_do_not_contain_them(spans, lengths):
    starts = [5 + sum(lengths[:place]) for place in range(len(lengths))]
    steps = ranges_of(zip(starts, lengths, strict=True), "step")
    ranges = [one for one in ranges_of(spans) if not any(one.start <= step.start and one.end >= step.end for step in steps)]
    everything = ranges + steps
    nest(everything, steps)
    assert [(step.start, step.end - step.start) for step in steps] == list(zip(starts, lengths, strict=True))
    assert all(step.parent is None for step in steps)


@given(SPANS)
def test_nested_ranges_are_left_as_they_are(spans):
    ranges = ranges_of(spans)
    nest(ranges)
    before = [(one.start, one.end) for one in ranges]
    again = ranges_of([(start, end - start) for start, end in before])
    nest(again)
    assert [(one.start, one.end) for one in again] == before


@given(SPANS)
def test_lanes_hold_all_ranges_and_do_not_overlap(spans):
    lanes = disjoint(ranges_of(spans))
    assert sorted((one.start, one.end) for lane in lanes for one in lane) == sorted((s, s + n) for s, n in spans)
    for lane in lanes:
        assert all(one.end <= following.start for one, following in pairwise(lane))
