"""From a Kineto trace, the JSON of torch.profiler, to a profile that XProf shows.

Each rule of the conversion is described in the module that follows it: times and categories in `events`, nesting in `nesting`,
steps in `steps`, layers in `layers`, GPUs in `device`, allocations in `memory`; `trace_json` reads the file.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

from multiboard.profile.kineto.compiled import find_compiled
from multiboard.profile.kineto.device import add_devices, tie_to_launches
from multiboard.profile.kineto.events import integer, sort_out
from multiboard.profile.kineto.layers import backward_pairs, name_ops, python_modules
from multiboard.profile.kineto.memory import add_memory
from multiboard.profile.kineto.nesting import nest
from multiboard.profile.kineto.steps import cut, find_steps, link_threads, mark_inputs, safe_name
from multiboard.profile.kineto.trace_json import checked_trace, read_trace
from multiboard.profile.op_names import LayerPaths
from multiboard.profile.xspace import HOST_PLANE, TASK_PLANE, SpaceBuilder, valid_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from multiboard.profile.kineto.events import Events, Range, Thread
    from multiboard.profile.xspace import PlaneBuilder, Value, XSpace

PYTHON_PLANE: Final = "/device:CUSTOM:Python stacks"
"""On the plane of the host, functions of Python would turn all of a step into host compute; here they do no harm."""
_MOST_SHAPES: Final = 200
"""Characters."""


def convert(
    trace: Mapping[str, Any] | str | os.PathLike[str], *, facts: Mapping[str, Any] | None = None, max_events: int | None = None
) -> XSpace:
    """Return the profile of a Kineto trace.

    Args:
        trace: what `export_chrome_trace` of torch.profiler has written, as a path (also of a .gz file) or as what json.load
            gives.
        facts: what the trace does not say: `rank`; `device`, by index what torch.cuda.get_device_properties knows
            (clock_rate_khz, memory_bandwidth in bytes per second); `clock_ns`, when it began, in ns since 1970; `layers`, the
            paths of the model; `compiled`, the programs of compiled graphs, see `inductor`.
        max_events: keep whole steps from the beginning, up to this many events; None keeps all. How many were left out is the
            stat `dropped_events` of the plane "Task Environment", and a warning says so.

    Returns:
        The profile. Its warnings say what could not be read.

    Raises:
        OSError: the file cannot be opened.
        ProfileReadError: it is no Kineto trace, or has no event.
    """
    known = facts or {}
    raw = read_trace(trace) if isinstance(trace, str | os.PathLike) else checked_trace(trace, "trace")
    events = sort_out(raw, known)
    steps = find_steps(events)
    dropped = 0 if max_events is None else cut(events, steps, max_events)
    _understand(events, steps, known)
    return _space(events, steps, known, dropped)


def _understand(events: Events, steps: list[Range], facts: Mapping[str, Any]) -> None:
    """Find out what each range is part of: its parent, layer, step and launch."""
    for functions in events.python.values():
        nest(functions)
    modules = python_modules(events)
    nested = []
    for thread, ranges in events.threads.items():
        both = ranges + modules.get(thread, [])
        nest(both, steps if steps and steps[0].thread == thread else ())
        ranges[:] = [one for one in both if one.kind != "python"]
        mark_inputs(ranges)
        nested += both
    pairs = backward_pairs(events)
    find_compiled(events, facts.get("compiled") or ())
    name_ops(nested, pairs, LayerPaths(facts))
    link_threads(events, steps, pairs)
    tie_to_launches(events, steps)


def _space(events: Events, steps: list[Range], facts: Mapping[str, Any], dropped: int) -> XSpace:
    builder = SpaceBuilder()
    add_devices(events, builder, facts)
    host = builder.plane(HOST_PLANE)
    lines = _line_numbers(events, steps)
    for thread, number in lines.items():
        _add_line(host, number, _line_name(thread, events), events.threads.get(thread, []))
    add_memory(events, host, steps)
    for thread in events.python:
        _add_line(builder.plane(PYTHON_PLANE), lines[thread], _line_name(thread, events), events.python[thread])
    _add_task(builder.plane(TASK_PLANE), events, dropped)
    space = builder.space
    if dropped:
        events.warnings.append(f"{dropped} events are left out: more than the limit of events per profile.")
    space.warnings.extend(events.warnings)
    space.hostnames.extend([valid_text(events.host)] if events.host else [])
    return space


def _add_task(plane: PlaneBuilder, events: Events, dropped: int) -> None:
    plane.stat("profile_start_time", events.start_ns)
    plane.stat("profile_stop_time", events.start_ns + events.end)
    if events.rank is not None:
        plane.stat("rank", events.rank)
    if dropped:
        plane.stat("dropped_events", dropped)


def _line_numbers(events: Events, steps: list[Range]) -> dict[Thread, int]:
    """Return a number for each thread, that of the steps first: those of the system may be long."""
    main = steps[0].thread if steps else None
    threads = sorted(events.threads | events.python, key=lambda thread: (thread != main, str(thread)))
    return {thread: number for number, thread in enumerate(threads, 1)}


def _line_name(thread: Thread, events: Events) -> str:
    return events.thread_names.get(thread, f"thread {integer(thread[1]) or thread[1]}")


def _add_line(plane: PlaneBuilder, number: int, name: str, ranges: list[Range]) -> None:
    if not ranges:
        return
    line = plane.line(number, name)
    add = line.event
    for one in ranges:
        name = safe_name(one)
        shown = one.shown if name != one.shown else ""
        add(name, one.start * 1000, (one.end - one.start) * 1000, _stats(one), shown)


def _stats(one: Range) -> dict[str, Value]:
    stats = one.stats
    if one.op:
        stats["tf_op"] = one.op
        if one.args.get("Input Dims"):
            stats["shapes"] = str(one.args["Input Dims"])[:_MOST_SHAPES]
    return stats
