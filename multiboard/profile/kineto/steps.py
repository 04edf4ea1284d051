"""Steps of a Kineto trace: which ranges mark them, what belongs to them, and what is left out when there is too much.

XProf takes an event with the stats `_r` and `step_num` for the root of a step. What is nested in it belongs to the step, and what
is linked to it: an event with `_pt` and `_p` produces what events with the same `_ct` and `_c` consume
(xprof/utils/group_events.cc).
"""

from __future__ import annotations

import re
from bisect import bisect_right
from typing import TYPE_CHECKING, Final

from multiboard.profile.kineto.events import correlation
from multiboard.profile.step_links import LINK
from multiboard.profile.step_marks import MARK
from multiboard.profile.tracer import INPUT_STAGE

if TYPE_CHECKING:
    from collections.abc import Iterable

    from multiboard.profile.kineto.events import Events, Range

_MARK: Final = re.compile(r"mb\.step:(\d{1,18})$")
_SCHEDULE_MARK: Final = re.compile(r"ProfilerStep#(\d{1,18})$")
_OWN_INPUT: Final = "mb.input"
_INPUT: Final = (_OWN_INPUT, "enumerate(DataLoader)#")
_MARKER_LIKE: Final = ("train", "test", "TraceContext")


def find_steps(events: Events) -> list[Range]:
    """Return the ranges that mark steps, in their order, all of one thread; they are renamed for XProf.

    Ranges of the adapter count; otherwise those of torch.profiler's schedule. The ids of links begin with those of the steps;
    those of backwards come after them.
    """
    for pattern in (_MARK, _SCHEDULE_MARK):
        found = [
            (one, int(match[1])) for ranges in events.threads.values() for one in ranges if (match := pattern.match(one.name))
        ]
        thread = found[0][0].thread if found else None
        steps = [(one, number) for one, number in found if one.thread == thread]
        for place, (one, number) in enumerate(steps):
            one.shown = MARK
            one.stats.update({"_r": 1, "step_num": number, "_pt": LINK, "_p": place})
        if steps:
            return sorted((one for one, _ in steps), key=lambda one: one.start)
    return []


def mark_inputs(ranges: Iterable[Range]) -> None:
    """Say which ranges of a thread, nested already, are waits for input; of nested ones the outermost."""
    for one in ranges:
        if one.name.startswith(_INPUT) and not _is_in_input(one):
            one.stats.update(INPUT_STAGE)
            if one.name == _OWN_INPUT:
                one.shown = "input"  # as in the profiles of the other frameworks


def link_threads(events: Events, steps: list[Range], pairs: Iterable[tuple[Range, Range]]) -> None:
    """Tie what happens on other threads to the steps: a backward to its forward, the rest to the step that it begins in."""
    if not steps:
        return
    main = steps[0].thread
    for number, (before, after) in enumerate(pairs, len(steps)):
        if before.thread != after.thread and after.parent is None and "_p" not in before.stats:
            before.stats.update({"_pt": LINK, "_p": number})
            after.stats.update({"_ct": LINK, "_c": number})
    for thread, ranges in events.threads.items():
        for one in ranges if thread != main else ():
            if one.parent is None and "_c" not in one.stats:
                step = step_at(steps, one.start)
                if step is not None:
                    one.stats.update(consumed(step))


def consumed(step: Range) -> dict[str, int]:
    """Return the stats that tie an event on another line to a step."""
    return {"_ct": LINK, "_c": step.stats["_p"]}


def step_at(steps: list[Range], time: int) -> Range | None:
    """Return the step that a time in ns is in."""
    place = bisect_right(steps, time, key=lambda step: step.start) - 1
    return steps[place] if place >= 0 and time < steps[place].end else None


def safe_name(one: Range) -> str:
    """Return a name for an event that XProf takes for what it is: not for a step ("train") or an operation ("name:type")."""
    name = one.shown if one.op else one.shown.replace(":", " ")
    if "_r" in one.stats:
        return name
    return f"range/{name}" if name.startswith(_MARKER_LIKE) and "/" not in name else name


def cut(events: Events, steps: list[Range], most: int) -> int:
    """Leave out what comes after the last whole step within a number of events; without steps, after that number.

    Args:
        events: changed in place.
        steps: see `find_steps`; those that are left out are taken from the list.
        most: how many events are wanted. The first step stays, but what is too much of it goes.

    Returns:
        The number of events that were left out.
    """
    hosts = (*events.threads.values(), *events.python.values())
    times = sorted([one.start for ranges in (*hosts, events.device) for one in ranges] + [one.time for one in events.memory])
    if len(times) <= most:
        return 0
    limit = times[most]
    whole = [step for step in steps if step.end <= limit]
    if whole:
        limit = whole[-1].end
    steps[:] = whole or steps[:1]
    for ranges in hosts:
        ranges[:] = [one for one in ranges if one.start < limit]
    launches = (one for ranges in events.threads.values() for one in ranges if one.kind == "runtime")
    launched = {correlation(one) for one in launches} - {0}
    events.device = [one for one in events.device if one.start < limit or correlation(one) in launched]
    events.memory = [one for one in events.memory if one.time < limit]
    left = sum(map(len, hosts)) + len(events.device) + len(events.memory)
    return len(times) - left


def _is_in_input(one: Range) -> bool:
    above = one.parent
    while above is not None and not above.name.startswith(_INPUT):
        above = above.parent
    return above is not None
