"""Allocations on a line of their own, where they are not counted as calls of the operations they name.

It is the line that allocations of PyTorch have, too: tables of operations skip its id, the memory profile does not. Each is
tied to its step; a range around them would count as work of the host.
"""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING, Final

from multiboard.profile.spans import MEMORY_EVENTS
from multiboard.profile.step_links import StepLinks
from multiboard.profile.xspace import PlaneBuilder

if TYPE_CHECKING:
    from collections.abc import Mapping

    from multiboard.profile.messages import XEvent, XLine, XPlane

LINE: Final = 0xDEADBEEF + 6
_PS_PER_NS: Final = 1000
_LATEST: Final = 1 << 61
"""Picoseconds in a month: what is beyond is damaged."""
_MIB: Final = 1 << 20
_STATISTIC: Final = re.compile(r"system/(gpu\d*)_memory_(allocated|reserved|peak)_mib")


def move_allocations(plane: XPlane) -> None:
    """Move the allocations in the lines of a plane to a line of their own, in place."""
    wanted = {number for number, metadata in plane.event_metadata.items() if metadata.name in MEMORY_EVENTS}
    lines = [line for line in plane.lines if line.id != LINE and any(event.metadata_id in wanted for event in line.events)]
    if not lines:
        return
    start = min(line.timestamp_ns for line in lines)
    links = StepLinks(plane)
    moved = sorted((one for line in lines for one in _taken(line, wanted, start)), key=lambda event: event.offset_ps)
    for event in moved:
        links.tie(event, start * _PS_PER_NS + event.offset_ps)
    PlaneBuilder(plane).line(LINE, "Memory", start).message.events.extend(moved)


def add_samples(plane: XPlane, memory: Mapping[str, float]) -> None:
    """Add what allocators had allocated at the end of the profile, in place.

    Args:
        plane: of the host.
        memory: as `multiboard.jax.memory_stats` returns it: MiB by tag.
    """
    found = defaultdict[str, dict[str, int]](dict)
    for tag, size in memory.items():
        match = _STATISTIC.fullmatch(tag)
        if match:
            found[match[1]][match[2]] = int(size * _MIB)
    if not found:
        return
    line = PlaneBuilder(plane).line(LINE, "Memory")
    end = min(_LATEST, max((_end(one) for one in plane.lines), default=0))
    for allocator, sizes in found.items():
        allocated = sizes.get("allocated", 0)
        cached = max(0, sizes.get("reserved", 0) - allocated)
        peak = sizes.get("peak", allocated)
        stats = {"bytes_allocated": allocated, "bytes_cached": cached, "peak_bytes_in_use": peak}
        line.event(MEMORY_EVENTS[0], end, 0, {"allocator_name": allocator, **stats})


def _end(line: XLine) -> int:
    """Return when the last event of a line ends, picoseconds from the start of the profile."""
    return line.timestamp_ns * _PS_PER_NS + max((event.offset_ps + event.duration_ps for event in line.events), default=0)


def _taken(line: XLine, wanted: set[int], start: int) -> list[XEvent]:
    """Take events out of a line; their offsets count from another start."""
    shift = (line.timestamp_ns - start) * _PS_PER_NS
    taken = [event for event in line.events if event.metadata_id in wanted]
    kept = [event for event in line.events if event.metadata_id not in wanted]
    for event in taken:
        event.offset_ps = max(0, min(_LATEST, event.offset_ps + shift))
    del line.events[:]
    line.events.extend(kept)
    return taken
