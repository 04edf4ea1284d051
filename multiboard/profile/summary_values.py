"""How the numbers of a summary are made of the spans of a profile."""

from __future__ import annotations

import statistics
from bisect import bisect_right
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Final

from multiboard.profile.intervals import Cover, self_times
from multiboard.profile.spans import DEVICE, HOST, Allocation, Operation, Spans
from multiboard.profile.summary import LiveRow, MemoryRow, OpRow, StepRow, Summary

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from multiboard.profile.messages import XSpace

_PS_PER_US: Final = 1e6
_PS_PER_MS: Final = 1e9
_PERCENT: Final = 100.0
_LEAD: Final = 0.25
"""Of the time of all steps: by less the host is not said to run ahead."""
NO_STEPS: Final = "The profile marks no steps, so there are no times per step."
NO_MARKS: Final = "Its steps have no mark that XProf takes for one: XProf shows no step times."
NO_OPS: Final = "No event of the profile says which operation it is."
RAN_AHEAD: Final = "The host ran ahead of what it had computed: the time of its steps is that of asking for it."
NO_BUFFERS: Final = "The profile of live buffers cannot be read."


def summary_of(space: XSpace, live_buffers: bytes | None) -> Summary:
    """Return the summary of a profile; see `summarize`."""
    spans = Spans(space)
    kept = spans.steps[1:] or spans.steps
    device_steps = _device_steps(spans)[-len(kept) :] if kept else []
    steps = [(step.begin, step.end) for step in kept]
    span = sum(end - begin for begin, end in steps)
    inputs = Cover(spans.inputs).within(steps)
    busy = Cover(spans.busy).within(steps) if spans.devices else None
    covered = Cover([*spans.inputs, *spans.busy]).within(steps)

    def percent(time: float) -> float | None:
        return _PERCENT * float(time) / span if span else None

    behind = _behind(spans)
    ops = tuple(_ops(spans))
    memory = tuple(_memory(spans.memory))
    live, told = _live(live_buffers)
    return Summary(
        steps=tuple(
            StepRow(step.number, (step.end - step.begin) / _PS_PER_MS, float(inputs[i]) / _PS_PER_MS,
                    None if busy is None else float(busy[i]) / _PS_PER_MS, device_steps[i])
            for i, step in enumerate(kept)
        ),
        captured=len(spans.steps),
        step_ms=statistics.median((end - begin) / _PS_PER_MS for begin, end in steps) if steps else None,
        device_step_ms=statistics.median(known) if (known := [one for one in device_steps if one is not None]) else behind,
        input_pct=percent(inputs.sum()),
        device_busy_pct=None if busy is None else percent(busy.sum()),
        comm_pct=None if busy is None else percent(Cover(spans.communication).within(steps).sum()),
        host_only_pct=percent(span - covered.sum()),
        mem_peak_bytes=max((row.peak_bytes for row in memory), default=None),
        ops=ops,
        memory=memory,
        live=live,
        notes=(*_notes(spans, ops), *([] if behind is None else [RAN_AHEAD]), *told, *space.errors, *space.warnings),
    )  # fmt: skip


def _device_steps(spans: Spans) -> list[float | None]:
    """Return what each step takes on the devices, in ms; None for steps that launched nothing."""
    starts = [step.begin for step in spans.steps]
    extents: list[tuple[int, int] | None] = [None] * len(starts)
    for begin, end, number in spans.launched:
        time = spans.launches.get(number, -1)
        i = bisect_right(starts, time) - 1
        if i >= 0 and time < spans.steps[i].end:
            known = extents[i] or (begin, end)
            extents[i] = min(known[0], begin), max(known[1], end)
    return [None if extent is None else (extent[1] - extent[0]) / _PS_PER_MS for extent in extents]


def _behind(spans: Spans) -> float | None:
    """Return what a step takes whose host does not wait for XLA's threads, in ms; None if these have nothing left to do.

    The mean from the beginning of the first step until all is computed, for which the end of a window waits.
    """
    if spans.devices or not spans.steps or not spans.computed:
        return None
    begin, end = spans.steps[0].begin, spans.steps[-1].end
    done = max(end for _, end in spans.computed)
    return (done - begin) / len(spans.steps) / _PS_PER_MS if done - end > (end - begin) * _LEAD else None


def _ops(spans: Spans) -> Iterator[OpRow]:
    """Yield the operations of the devices, then those of the host, in each those that take longest first."""
    for place in (DEVICE, HOST):
        counts, times = Counter[tuple[str, str]](), defaultdict[tuple[str, str], int](int)
        for operations in spans.operations[place]:
            _add(operations, counts, times)
        total = sum(times.values())
        for (layer, op), time in sorted(times.items(), key=lambda one: (-one[1], one[0])):
            yield OpRow(place, layer, op, counts[layer, op], time / _PS_PER_US, time / total if total else 0.0)


def _add(operations: list[Operation], counts: Counter[tuple[str, str]], times: dict[tuple[str, str], int]) -> None:
    """Add the operations of one thread or stream."""
    operations.sort(key=lambda one: (one.begin, -one.end))
    for one, time in zip(operations, self_times([(one.begin, one.end) for one in operations]), strict=True):
        counts[one.layer, one.kind] += 1
        times[one.layer, one.kind] += time


def _memory(states: Iterable[Allocation]) -> Iterator[MemoryRow]:
    by_allocator = defaultdict[str, list[Allocation]](list)
    for state in states:
        by_allocator[state.allocator].append(state)
    for allocator, own in sorted(by_allocator.items()):
        freed = Counter(state.freed for state in own)
        peak = max(state.allocated for state in own)
        held = max(state.allocated + state.reserved for state in own)
        yield MemoryRow(allocator, peak, held if any(state.reserved for state in own) else 0, freed[False], freed[True])


def _live(content: bytes | None) -> tuple[tuple[LiveRow, ...], list[str]]:
    from multiboard.profile.live_buffers import rows_of

    if content is None:
        return (), []
    try:
        return rows_of(content), []
    except ValueError:
        return (), [NO_BUFFERS]


def _notes(spans: Spans, ops: tuple[OpRow, ...]) -> Iterator[str]:
    if not spans.steps:
        yield NO_STEPS
    elif not spans.marked:
        yield NO_MARKS
    if not ops:
        yield NO_OPS
