"""What is of interest in a profile, read in one pass: steps, waits for input, operations, what devices did, memory."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from multiboard.profile.op_names import split_name
from multiboard.profile.xspace import HOST_PLANE, value_of

if TYPE_CHECKING:
    from multiboard.profile.messages import XEvent, XLine, XPlane, XSpace

HOST: Final = "host"
DEVICE: Final = "device"

_PS_PER_NS: Final = 1000
_LATEST: Final = 1 << 61
"""Picoseconds in a month: an event beyond is damaged."""
_DERIVED: Final = range(0xDEADBEEF, 0xDEADBEEF + 32)
"""Ids of lines whose events XProf derives from others, and does not count."""
_DEVICE: Final = re.compile(r"/device:(?!CUSTOM)")
_NO_STREAM: Final = re.compile(r"Steps|XLA Modules|Framework .*|Source code|Launch Stats|XLA TraceMe|Async XLA Ops")
_STREAM: Final = "Stream"
"""How lines of GPUs are called; those of other names repeat what is in them, and TPUs have only such."""
_NODE: Final = re.compile(r"[^:\s]*:[A-Z_]\w*|[^:\s]+:[a-z_][a-z0-9_]*", re.ASCII)
_INPUT: Final = "IteratorGetNext"
COMPUTATION: Final = "ThunkExecutor::Execute"
"""What XLA calls the part of a program that a thread computes, on CPUs."""
_COMMUNICATION: Final = re.compile(r"nccl|(all-reduce|all-gather|reduce-scatter|all-to-all|collective-)", re.IGNORECASE)
_STATS: Final = (
    "_r", "step_num", "_ipl_stage_cat", "tf_op", "hlo_op", "allocator_name", "bytes_allocated", "bytes_reserved", "bytes_cached",
    "peak_bytes_in_use", "requested_bytes", "correlation_id",
)  # fmt: skip
MEMORY_EVENTS: Final = ("MemoryAllocation", "MemoryDeallocation")


class Step(NamedTuple):
    """A step of the host: its number, and when it began and ended, picoseconds."""

    number: int
    begin: int
    end: int


class Operation(NamedTuple):
    """A call of an operation: its layer and type, and when it began and ended, picoseconds."""

    layer: str
    kind: str
    begin: int
    end: int


class Allocation(NamedTuple):
    """The state of an allocator behind an allocation or a deallocation, bytes; `reserved` is held, but not allocated.

    `freed` tells a deallocation; None is a look at the allocator, and neither of them.
    """

    allocator: str
    begin: int
    allocated: int
    reserved: int
    freed: bool | None


class Spans:
    """What is of interest in a profile.

    Args:
        space: any profile, also an empty or a damaged one.

    Attributes:
        steps: of the host, in order; those with a mark that XProf takes for one, if there are any.
        marked: whether they have that mark.
        inputs: beginnings and ends of waits for input.
        busy: beginnings and ends of all that devices did.
        communication: of these, what several devices did together.
        devices: names of the planes of devices.
        operations: by place ('host' or 'device'), for each thread or stream.
        memory: what allocators did, in order.
        computed: beginnings and ends of what XLA computed in threads of the host.
        launches: when the host launched work for a device, by its number.
        launched: beginnings and ends of what devices did for a launch, with its number.
    """

    def __init__(self, space: XSpace) -> None:
        self.inputs: list[tuple[int, int]] = []
        self.busy: list[tuple[int, int]] = []
        self.communication: list[tuple[int, int]] = []
        self.devices: list[str] = []
        self.operations: dict[str, list[list[Operation]]] = {HOST: [], DEVICE: []}
        self.memory: list[Allocation] = []
        self.computed: list[tuple[int, int]] = []
        self.launches: dict[int, int] = {}
        self.launched: list[tuple[int, int, int]] = []
        self._marked: list[Step] = []
        self._numbered: list[Step] = []
        for plane in space.planes:
            if plane.name == HOST_PLANE:
                reader = _Plane(plane)
                for line in plane.lines:
                    self._read_host(line, reader)
            elif _DEVICE.match(plane.name):
                self.devices.append(plane.name)
                self._read_device(plane)
        self.marked = bool(self._marked) or not self._numbered
        self.steps = _apart(self._marked or self._numbered)
        self.memory.sort(key=lambda one: one.begin)

    def _read_device(self, plane: XPlane) -> None:
        reader = _Plane(plane)
        lines = [line for line in plane.lines if not _NO_STREAM.fullmatch(line.name) and line.id not in _DERIVED]
        for line in [line for line in lines if line.name.startswith(_STREAM)] or lines:
            self._read_stream(line, reader)

    def _read_host(self, line: XLine, reader: _Plane) -> None:
        base, found = line.timestamp_ns * _PS_PER_NS, list[Operation]()
        derived = line.id in _DERIVED
        computed = (_times(base, event) for event in line.events if event.metadata_id in reader.computed)
        self.computed += [times for times in computed if times[1] <= _LATEST]
        for event in line.events:
            metadata = event.metadata_id
            stats = reader.stats(event)
            named = reader.node(metadata)
            if not stats and named is None and metadata not in reader.inputs:
                continue
            begin, end = _times(base, event)
            if end > _LATEST:
                continue
            if metadata in reader.memory:
                self.memory.append(_allocation(stats, begin, freed=reader.memory[metadata]))
            elif "_ipl_stage_cat" in stats or metadata in reader.inputs:
                self.inputs.append((begin, end))
            elif "step_num" in stats:
                step = Step(_whole(stats, "step_num"), begin, end)
                (self._marked if "_r" in stats else self._numbered).append(step)
            elif not derived:
                if "correlation_id" in stats:
                    self.launches[_whole(stats, "correlation_id")] = begin
                named = named or reader.name(stats)
                if named is not None:
                    found.append(Operation(*named, begin, end))
        self.operations[HOST].append(found)

    def _read_stream(self, line: XLine, reader: _Plane) -> None:
        base, found = line.timestamp_ns * _PS_PER_NS, list[Operation]()
        for event in line.events:
            begin, end = _times(base, event)
            stats = reader.stats(event)
            if end > _LATEST:
                continue
            if event.metadata_id in reader.memory:
                self.memory.append(_allocation(stats, begin, freed=reader.memory[event.metadata_id]))
                continue
            self.busy.append((begin, end))
            if "correlation_id" in stats:
                self.launched.append((begin, end, _whole(stats, "correlation_id")))
            title = reader.title(event.metadata_id)
            if _COMMUNICATION.match(title) or _COMMUNICATION.match(str(stats.get("hlo_op", ""))):
                self.communication.append((begin, end))
            named = reader.name(stats) or reader.node(event.metadata_id) or ("", title)
            found.append(Operation(*named, begin, end))
        self.operations[DEVICE].append(found)


class _Plane:
    """Names and stats of the events of one plane."""

    def __init__(self, plane: XPlane) -> None:
        self._plane = plane
        self._wanted = {number: stat.name for number, stat in plane.stat_metadata.items() if stat.name in _STATS}
        self._titles = {number: metadata.name for number, metadata in plane.event_metadata.items()}
        self.memory = {number: name == MEMORY_EVENTS[1] for number, name in self._titles.items() if name in MEMORY_EVENTS}
        self.inputs = {number for number, name in self._titles.items() if name.startswith(_INPUT)}
        self.computed = {number for number, name in self._titles.items() if name == COMPUTATION}
        self._nodes = {
            number: split_name(name)
            for number, name in self._titles.items()
            if "::" not in name and _NODE.fullmatch(name)
        }  # fmt: skip
        self._own = {number: self._of(metadata.stats) for number, metadata in plane.event_metadata.items() if len(metadata.stats)}
        self._known: dict[str, tuple[str, str]] = {}

    def title(self, number: int) -> str:
        return self._titles.get(number, "")

    def node(self, number: int) -> tuple[str, str] | None:
        """Return layer and type of an event that is named like an operation of TensorFlow."""
        return self._nodes.get(number)

    def stats(self, event: XEvent) -> dict[str, Any]:
        """Return those stats of an event that are of interest."""
        own = self._own.get(event.metadata_id)
        found = self._of(event.stats)
        return {**own, **found} if own else found

    def _of(self, stats: Any) -> dict[str, Any]:
        wanted = self._wanted
        return {wanted[stat.metadata_id]: value_of(stat, self._plane) for stat in stats if stat.metadata_id in wanted}

    def name(self, stats: dict[str, Any]) -> tuple[str, str] | None:
        """Return layer and type of an event that has the stats of an operation."""
        name = stats.get("tf_op")
        if not name:
            return ("", str(stats["hlo_op"])) if stats.get("hlo_op") else None
        known = self._known.get(name)
        if known is None:
            known = self._known[name] = split_name(str(name))
        return known


def _times(base: int, event: XEvent) -> tuple[int, int]:
    """Return when an event began and ended, picoseconds from the start of the profile."""
    begin = max(-_LATEST, base + event.offset_ps)
    return begin, begin + max(0, event.duration_ps)


def _whole(stats: dict[str, Any], name: str) -> int:
    """Return a stat that is a whole number; 0 if it is none."""
    value = stats.get(name)
    return value if isinstance(value, int) else 0


def _allocation(stats: dict[str, Any], begin: int, *, freed: bool) -> Allocation:
    allocated, reserved, cached = (_whole(stats, name) for name in ("bytes_allocated", "bytes_reserved", "bytes_cached"))
    reserved += cached  # of the two, TensorFlow has the former and PyTorch the latter
    looked = "peak_bytes_in_use" in stats and "requested_bytes" not in stats
    if looked:  # what was allocated in between, only the peak tells
        allocated = max(allocated, _whole(stats, "peak_bytes_in_use"))
    return Allocation(str(stats.get("allocator_name") or "unknown"), begin, allocated, reserved, None if looked else freed)


def _apart(steps: list[Step]) -> list[Step]:
    """Return steps in order, without those that lie in another one, as threads of one step may have marks of their own."""
    found: list[Step] = []
    for step in sorted(steps, key=lambda step: (step.begin, -step.end)):
        if step.end > step.begin and (not found or 2 * step.begin >= found[-1].begin + found[-1].end):
            found.append(step)
    return found
