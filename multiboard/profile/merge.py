"""Two profilers of one process in one profile, e.g. that of JAX and that of PyTorch, whose loader feeds it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from multiboard.profile.xspace import HOST_PLANE, TASK_PLANE, find_plane, stats_of

if TYPE_CHECKING:
    from multiboard.profile.messages import XLine, XSpace

_PS_PER_NS: Final = 1000
_LATEST: Final = 1 << 62
"""The last time, in nanoseconds; nothing but damage is beyond."""
_START: Final = "profile_start_time"
_SHOWN: Final = "/device:CUSTOM:"
"""What XProf shows as a timeline of its own and counts nowhere."""


def merge(main: XSpace, other: XSpace, name: str) -> None:
    """Show what the host did in another profile in this one, in place, on the clock of this one.

    Both clocks are that of the machine, and times count from the start of each profile. The operations of the other one are in no
    table, for they would count as steps and host time of this one.

    Args:
        main: the profile that is completed.
        other: stays as it is. Its devices are left out: one profiler per process can see them.
        name: of the other framework; the timeline is called `<name> host`.
    """
    host = find_plane(other, HOST_PLANE)
    if host is None or not any(line.events for line in host.lines):
        return
    shift = _start(other) - _start(main)
    plane = main.planes.add()
    plane.CopyFrom(host)
    plane.id = 1 + max(one.id for one in main.planes)
    plane.name = f"{_SHOWN}{name} host"
    for line in plane.lines:
        _shift(line, shift)
    main.errors.extend(other.errors)
    main.warnings.extend(other.warnings)


def _shift(line: XLine, shift: int) -> None:
    """Move a line by nanoseconds; what was before the start of the profile is left out, for there are no times before it."""
    begin = line.timestamp_ns + shift
    line.timestamp_ns = max(0, min(_LATEST, begin))
    if begin >= 0:
        return
    kept = [event for event in line.events if event.offset_ps + begin * _PS_PER_NS >= 0]
    for event in kept:
        event.offset_ps += begin * _PS_PER_NS
    del line.events[:]
    line.events.extend(kept)


def _start(space: XSpace) -> int:
    """Return when a profile started, nanoseconds since 1970; 0 if it does not say."""
    plane = find_plane(space, TASK_PLANE)
    return 0 if plane is None else int(stats_of(plane, plane).get(_START) or 0)
