"""Making the ranges of a thread nest, as XProf groups the events of a line by containment.

Clocks are read a little late or early, so that a child may end after its parent. It is cut there. A step may begin within a range
that ends in it, e.g. in a hook of the optimizer: then it is the range that is cut, as everything hangs on the step.
"""

from __future__ import annotations

from bisect import bisect_right
from itertools import pairwise
from operator import attrgetter
from typing import TYPE_CHECKING

from multiboard.profile.kineto.events import integer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from multiboard.profile.kineto.events import Range

_start = attrgetter("start")


def nest(ranges: list[Range], steps: Sequence[Range] = ()) -> None:
    """Sort the ranges of a thread, cut those that overlap, and set the parent of each.

    Of ranges at the same time, as there are in old traces with whole µs, the one with the lower id has begun first.

    Args:
        ranges: of one thread, with the steps among them; sorted and changed in place.
        steps: those ranges that mark steps.
    """
    if steps:
        _give_way(ranges, sorted(steps, key=_start))
    marks = set(map(id, steps))
    ranges.sort(key=lambda one: (one.start, -one.end, id(one) not in marks, integer(one.args.get("External id"))))
    open_ranges: list[Range] = []
    for one in ranges:
        while open_ranges and open_ranges[-1].end <= one.start:
            open_ranges.pop()
        if open_ranges:
            one.parent = open_ranges[-1]
            one.end = min(one.end, open_ranges[-1].end)
        open_ranges.append(one)


def disjoint(ranges: list[Range]) -> list[list[Range]]:
    """Return the ranges of a stream in as few lists as it takes for them not to overlap; the first has what can be in it."""
    lanes: list[list[Range]] = []
    for one in sorted(ranges, key=lambda one: (one.start, one.end)):
        lane = next((lane for lane in lanes if lane[-1].end <= one.start), None)
        if lane is None:
            lanes.append([one])
        else:
            lane.append(one)
    return lanes


def _give_way(ranges: list[Range], steps: list[Range]) -> None:
    for step, following in pairwise(steps):
        step.end = min(step.end, following.start)
    starts = [step.start for step in steps]
    marks = set(map(id, steps))
    for one in ranges:
        if id(one) in marks:
            continue
        last = bisect_right(starts, one.end - 1) - 1
        if last >= 0 and one.start < starts[last] and one.end < steps[last].end:
            one.end = starts[last]
