"""Allocations of a Kineto trace, in the form of the memory profile of XProf.

Their `tf_op` would be counted among the operations, too. So they are on a line with the id of a derived one, which the tables of
operations skip and the memory profile does not. Each is tied to its step: a range around them would count as work of the host
(xprof/convert/xplane_to_memory_profile.cc).
"""

from __future__ import annotations

import re
from collections import defaultdict
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final

from multiboard.profile.kineto.events import integer
from multiboard.profile.kineto.layers import enclosing_op
from multiboard.profile.kineto.steps import consumed, step_at
from multiboard.profile.memory_line import LINE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from multiboard.profile.kineto.events import Allocation, Events, Range, Thread
    from multiboard.profile.xspace import LineBuilder, PlaneBuilder, Value

_DEVICE_TYPES: Final = {0: "cpu", 1: "cuda", 6: "hip", 9: "xla", 12: "xpu", 13: "mps", 15: "hpu", 19: "mtia"}
"""By number in torch/headeronly/core/DeviceType.h."""
_MAKERS: Final = ("aten::empty", "aten::new_empty", "aten::resize_", "aten::zeros", "aten::ones", "aten::full")
_SIZES: Final = re.compile(r"\[[\d, ]*\]$")
_SCALARS: Final = {
    "0": "uint8",
    "1": "int8",
    "2": "int16",
    "3": "int32",
    "4": "int64",
    "5": "float16",
    "6": "float32",
    "7": "float64",
    "8": "complex32",
    "9": "complex64",
    "10": "complex128",
    "11": "bool",
    "15": "bfloat16",
}
"""By number in c10/core/ScalarType.h."""


def add_memory(events: Events, host: PlaneBuilder, steps: list[Range]) -> None:
    """Add the line of allocations to the plane of the host, if there are any.

    Args:
        events: of the trace; operations have their names.
        host: the plane.
        steps: see `find_steps`.
    """
    if not events.memory:
        return
    line = host.line(LINE, "Memory")
    allocations = sorted(events.memory, key=attrgetter("time"))
    ops = _ops_around(events, allocations)
    use = _Use(events)
    for one, op in zip(allocations, ops, strict=True):
        step = step_at(steps, one.time)
        _add(one, op, line, use.stats(one.args) | (consumed(step) if step else {}))


class _Use:
    """What is allocated on each device: as the trace says, or summed up where it does not."""

    def __init__(self, events: Events) -> None:
        self._devices = events.devices
        self._sums: dict[str, int] = defaultdict(int)
        self._peaks: dict[str, int] = defaultdict(int)

    def stats(self, args: Mapping[str, Any]) -> dict[str, Value]:
        kind, device = integer(args.get("Device Type")), integer(args.get("Device Id"), -1)
        name = f"torch_{_DEVICE_TYPES.get(kind, f'device_type_{kind}')}" + (f":{device}" if device >= 0 else "")
        self._sums[name] += integer(args.get("Bytes"))
        allocated = integer(args["Total Allocated"]) if "Total Allocated" in args else max(0, self._sums[name])
        reserved = integer(args.get("Total Reserved"))
        self._peaks[name] = max(self._peaks[name], allocated)
        stats: dict[str, Value] = {
            "allocator_name": name,
            "bytes_allocated": allocated,
            "peak_bytes_in_use": self._peaks[name],
        }
        if reserved:
            stats["bytes_cached"] = max(0, reserved - allocated)  # in "bytes_reserved", XProf would seek the peak of the sum
            stats["fragmentation"] = max(0.0, 1 - allocated / reserved)
            size = integer(self._devices.get(device, {}).get("totalGlobalMem")) if kind else 0
            stats["bytes_available"] = max(0, size - allocated)
        return stats


def _add(one: Allocation, op: Range | None, line: LineBuilder, stats: dict[str, Value]) -> None:
    size = integer(one.args.get("Bytes"))
    stats |= {"requested_bytes": abs(size), "allocation_bytes": abs(size), "addr": integer(one.args.get("Addr"))}
    if size >= 0:
        stats |= _shape(op)
    layer = _layer(op)
    if layer is not None:
        stats["tf_op"] = layer.op
    line.event("MemoryAllocation" if size >= 0 else "MemoryDeallocation", one.time * 1000, 0, stats)


def _layer(op: Range | None) -> Range | None:
    """Return the operation that wanted the memory, rather than the one that only makes a tensor for it."""
    above = enclosing_op(op.parent) if op is not None and op.name.startswith(_MAKERS) else None
    return above or op


def _shape(op: Range | None) -> dict[str, Value]:
    """Return shape and type of what is allocated, where the trace says so: an operation that makes a tensor is given them."""
    given = op.args.get("Concrete Inputs") if op is not None and op.name.startswith(_MAKERS[:3]) else None
    if not isinstance(given, list):
        return {}
    sizes = next((one for one in given if isinstance(one, str) and _SIZES.match(one)), None)
    kind = next((one for one in given if isinstance(one, str) and one in _SCALARS), None)
    found: dict[str, Value] = {"shape": sizes} if sizes else {}
    return found | ({"data_type": _SCALARS[kind]} if kind else {})


def _ops_around(events: Events, allocations: list[Allocation]) -> list[Range | None]:
    """Return the innermost operation around each allocation, on its thread."""
    by_thread: dict[Thread, list[tuple[int, Allocation]]] = defaultdict(list)
    for place, one in enumerate(allocations):
        by_thread[one.thread].append((place, one))
    found: list[Range | None] = [None] * len(allocations)
    for thread, ones in by_thread.items():
        walk = _innermost(events.threads.get(thread, []), [one.time for _, one in ones])
        for (place, _), around in zip(ones, walk, strict=True):
            found[place] = enclosing_op(around)
    return found


def _innermost(ranges: list[Range], times: list[int]) -> Iterator[Range | None]:
    """Yield the innermost of nested ranges around each of sorted times."""
    position, current = 0, None
    for time in times:
        while position < len(ranges) and ranges[position].start <= time:
            current = ranges[position]
            position += 1
        while current is not None and current.end < time:
            current = current.parent
        yield current
