"""Unions of intervals, and what nested intervals are without what is inside them, against counting every unit."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from multiboard.profile.intervals import Cover, self_times

LATEST = 40
TIMES = st.integers(0, LATEST)
INTERVALS = st.lists(st.tuples(TIMES, TIMES), max_size=12)


def units(intervals):
    """Return which units of time are in one of the intervals."""
    inside = np.zeros(LATEST, dtype=bool)
    for begin, end in intervals:
        inside[begin:end] = True
    return inside


@given(INTERVALS, INTERVALS)
def test_what_is_covered_is_what_is_counted(intervals, others):
    others = [tuple(sorted(one)) for one in others]
    expected = [int(units(intervals)[begin:end].sum()) for begin, end in others]
    assert Cover(intervals).within(others).tolist() == expected


@given(INTERVALS)
def test_own_times_of_nested_intervals_add_up_to_their_union(intervals):
    nested = []
    for begin, end in sorted({tuple(sorted(one)) for one in intervals}, key=lambda one: (one[0], -one[1])):
        around = [stop for start, stop in nested if start <= begin < stop]
        nested.append((begin, min([end, *around])))
    nested.sort(key=lambda one: (one[0], -one[1]))
    assert sum(self_times(nested)) == units(nested).sum()
    assert min(self_times(nested), default=0) >= 0
