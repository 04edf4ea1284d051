"""Ties between a step and what is done for it in other threads, by which XProf knows which step that belongs to.

An event with the stats `_pt` and `_p` produces what events with the same `_ct` and `_c` consume; what lies inside those belongs
to the same step (xprof/utils/group_events.cc).
"""

from __future__ import annotations

from bisect import bisect_right
from operator import itemgetter
from typing import TYPE_CHECKING, Final

from multiboard.profile.spans import COMPUTATION
from multiboard.profile.step_marks import marked
from multiboard.profile.xspace import HOST_PLANE, PlaneBuilder, find_plane

if TYPE_CHECKING:
    from collections.abc import Iterator

    from multiboard.profile.messages import XEvent, XPlane, XSpace

LINK: Final = 0
"""The type of a context that XProf has no meaning for."""
_STEP_IDS: Final = 1 << 50
_PS_PER_NS: Final = 1000


class StepLinks:
    """The steps of a plane, ready to be tied to.

    Args:
        plane: of the host; its steps become producers.
    """

    def __init__(self, plane: XPlane) -> None:
        self._builder = PlaneBuilder(plane)
        self._made = {self._builder.stat_id("_pt"), self._builder.stat_id("_p")}
        self._consumed = {self._builder.stat_id("_ct"), self._builder.stat_id("_c")}
        found = sorted(_spans(plane), key=itemgetter(0, 1))
        self._begins = [begin for begin, _, _ in found]
        self._steps = [(end, self._number(event, i)) for i, (_, end, event) in enumerate(found)]

    def tie(self, event: XEvent, time: int) -> None:
        """Tie an event to the step that a time lies in, picoseconds from the start of the profile, unless it is tied already."""
        i = bisect_right(self._begins, time) - 1
        if i < 0 or time >= self._steps[i][0] or not self._consumed.isdisjoint(stat.metadata_id for stat in event.stats):
            return
        self._builder.add_stat(event.stats, "_ct", LINK)
        self._builder.add_stat(event.stats, "_c", self._steps[i][1])

    def _number(self, event: XEvent, i: int) -> int:
        """Return by which number a step is known as producer."""
        known: dict[int, int] = {stat.metadata_id: stat.int64_value for stat in event.stats if stat.metadata_id in self._made}
        if not known:
            self._builder.add_stat(event.stats, "_pt", LINK)
            self._builder.add_stat(event.stats, "_p", _STEP_IDS + i)
        return known.get(self._builder.stat_id("_p"), _STEP_IDS + i)


def tie_computations(space: XSpace) -> None:
    """Tie what XLA computes in threads of its own to the step in which it does so: else XProf sees a host that waits."""
    plane = find_plane(space, HOST_PLANE)
    wanted = {number for number, one in plane.event_metadata.items() if one.name == COMPUTATION} if plane else set()
    if plane is None or not wanted:
        return
    links = StepLinks(plane)
    for line in plane.lines:
        for event in line.events:
            if event.metadata_id in wanted:
                links.tie(event, line.timestamp_ns * _PS_PER_NS + event.offset_ps)


def _spans(plane: XPlane) -> Iterator[tuple[int, int, XEvent]]:
    """Yield beginning and end of each step in picoseconds, and its mark."""
    for line, place in marked(plane):
        event = line.events[place]
        begin = line.timestamp_ns * _PS_PER_NS + event.offset_ps
        yield begin, begin + event.duration_ps, event
