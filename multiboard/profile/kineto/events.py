"""The events of a Kineto trace by what they are, whichever version of PyTorch wrote them.

Categories have changed their names, times their origin, and streams their spelling. An event that has no name or no time is
counted and left out.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from multiboard.profile.kineto.trace_json import EVENTS, WARNINGS, rank_of

if TYPE_CHECKING:
    from collections.abc import Mapping

_CATEGORIES: Final = {
    "operator": "op",
    "cpu_op": "op",
    "user_annotation": "note",
    "python_function": "python",
    "runtime": "runtime",
    "cuda_runtime": "runtime",
    "cuda_driver": "runtime",
    "hip_runtime": "runtime",
    "privateuse1_runtime": "runtime",
    "privateuse1_driver": "runtime",
    "mtia_runtime": "runtime",
    "glow_runtime": "runtime",
    "xpu_runtime": "runtime",
    "xpu_driver": "runtime",
    "kernel": "kernel",
    "concurrent_kernel": "kernel",
    "mtia_ccp_events": "kernel",
    "memcpy": "memcpy",
    "gpu_memcpy": "memcpy",
    "memset": "memset",
    "gpu_memset": "memset",
}
"""What is kept. Ranges of the user on the device are left out, as XProf derives them, and waits of streams, which are no work."""
DEVICE_KINDS: Final = frozenset({"kernel", "memcpy", "memset"})
_LONGEST: Final = 86_400 * 10**9
"""A trace of more than a day, in ns, has times that are wrong; XSpace holds 106 days in ps."""
_YEAR_2001: Final = 10**15
"""In µs: later times count from 1970, as old versions wrote them; others count from when the machine was started."""
_LATEST: Final = 10**18
"""In µs: a time beyond is none."""
_BITS: Final = 64
_NUMBER: Final = re.compile(r"-?\d+")
Thread = tuple[Any, Any]


class Range:
    """Something that took time.

    Attributes:
        name: as PyTorch calls it.
        kind: 'op', 'note' (a range of the user), 'python', 'runtime' (a call of CUDA or HIP), 'kernel', 'memcpy' or 'memset'.
        start: ns from the start of the trace.
        end: ns from the start of the trace.
        args: as in the trace.
        thread: process and thread, or device and stream.
        parent: what encloses it on its thread.
        layer: of what runs in a compiled graph, from the module on that was compiled; '' for all else.
        scope: the layer path that it belongs to, with `backward/` in front where that is so.
        op: `scope/op:type`, for an operation.
        stats: what else is written about it.
        shown: the name in the profile.
    """

    __slots__ = ("args", "end", "kind", "layer", "name", "op", "parent", "scope", "shown", "start", "stats", "thread")

    def __init__(self, name: str, kind: str, start: int, end: int, args: Mapping[str, Any], thread: Thread) -> None:
        self.name = self.shown = name
        self.kind = kind
        self.start = start
        self.end = end
        self.args = args
        self.thread = thread
        self.parent: Range | None = None
        self.layer = ""
        self.scope = ""
        self.op = ""
        self.stats: dict[str, Any] = {}


@dataclass
class Allocation:
    """Memory that was taken or given back.

    Attributes:
        time: ns from the start of the trace.
        thread: process and thread.
        args: as in the trace.
    """

    time: int
    thread: Thread
    args: Mapping[str, Any]


@dataclass
class Events:
    """A trace, sorted out.

    Attributes:
        start_ns: of the trace, since 1970.
        end: of its last event, in ns from its start.
        threads: ranges of the host by thread.
        python: functions of Python by thread. They do not nest with the others: one may open a range and return.
        device: kernels and copies.
        memory: allocations.
        arrows: from operations to their backward ones, by id: thread and time of either end.
        thread_names: by thread.
        devices: Kineto's deviceProperties by index.
        rank: of the process, in a training of several.
        host: its name, if known.
        warnings: what could not be read.
    """

    start_ns: int = 0
    end: int = 0
    threads: dict[Thread, list[Range]] = field(default_factory=dict)
    python: dict[Thread, list[Range]] = field(default_factory=dict)
    device: list[Range] = field(default_factory=list)
    memory: list[Allocation] = field(default_factory=list)
    arrows: dict[Any, dict[str, tuple[Thread, int]]] = field(default_factory=dict)
    thread_names: dict[Thread, str] = field(default_factory=dict)
    devices: dict[int, Mapping[str, Any]] = field(default_factory=dict)
    rank: int | None = None
    host: str = ""
    warnings: list[str] = field(default_factory=list)


def sort_out(trace: Mapping[str, Any], facts: Mapping[str, Any]) -> Events:
    """Return the events of a trace by what they are.

    Args:
        trace: see `read_trace`.
        facts: of the tracer; its `rank` and `clock_ns` (when the trace began, in ns since 1970) are taken where the trace has
            none.
    """
    events = Events(rank=rank_of(trace), host=str(trace.get("host_name") or ""), warnings=list(trace.get(WARNINGS, ())))
    if events.rank is None and isinstance(facts.get("rank"), int):
        events.rank = facts["rank"]
    zero = _zero(trace[EVENTS])
    events.start_ns = _start_ns(trace, zero, facts)
    events.devices = _devices(trace.get("deviceProperties", trace.get("computeProperties")))
    odd = 0
    for event in trace[EVENTS]:
        try:
            _take(event, events, zero)
        except (TypeError, ValueError, KeyError, AttributeError, OverflowError):
            odd += 1
    if odd:
        events.warnings.append(f"{odd} events have no name, time or place, and are left out.")
    return events


def integer(value: object, default: int = 0) -> int:
    """Return a number of a trace as an int of 64 bits: also from a text like "stream 7"."""
    if isinstance(value, str):
        found = _NUMBER.search(value[:_BITS])
        value = int(found[0]) if found else default
    if not isinstance(value, int | float) or not (isinstance(value, int) or math.isfinite(value)):
        return default
    return int(value) if int(value).bit_length() < _BITS else default


def correlation(one: Range) -> int:
    """Return the number that a launch and what it launches have in common; 0 for none."""
    return integer(one.args.get("correlation"))


def _take(event: Mapping[str, Any], events: Events, zero: int) -> None:
    phase = event.get("ph")
    if phase == "X":
        kind = _CATEGORIES.get(str(event.get("cat")).lower())
        if kind is not None:
            _take_range(event, kind, events, zero)
    elif phase == "i":
        if event["name"] == "[memory]":
            events.memory.append(Allocation(_time(event["ts"], zero), _place(event), _args(event)))
    elif phase in ("s", "f"):
        if event["cat"] in ("fwdbwd", "forward_backward"):
            place = (_place(event), _time(event["ts"], zero))
            events.arrows.setdefault(event["id"], {})[phase] = place
    elif phase == "M" and event["name"] == "thread_name":
        events.thread_names[_place(event)] = str(event["args"]["name"])


def _take_range(event: Mapping[str, Any], kind: str, events: Events, zero: int) -> None:
    start = _time(event["ts"], zero)
    end = max(start, min(start + round(event.get("dur", 0) * 1000), _LONGEST))
    taken = Range(str(event["name"]), kind, start, end, _args(event), _place(event))
    if kind in DEVICE_KINDS:
        events.device.append(taken)
    else:
        (events.python if kind == "python" else events.threads).setdefault(taken.thread, []).append(taken)
    events.end = max(events.end, end)


def _time(time: float, zero: int) -> int:
    since = round((time - zero) * 1000)
    if not 0 <= since < _LONGEST:
        raise ValueError(since)
    return since


def _place(event: Mapping[str, Any]) -> Thread:
    thread = event["tid"]
    if isinstance(thread, str) and thread.isdecimal():
        thread = int(thread)  # old traces spell it both ways
    place = (event["pid"], thread)
    hash(place)  # what cannot be a key is refused here
    return place


def _args(event: Mapping[str, Any]) -> Mapping[str, Any]:
    args = event.get("args")
    return args if isinstance(args, dict) else {}


def _zero(raw: list[Any]) -> int:
    """Return the µs at which the trace begins, whole, so that differences to it are exact also of times since 1970."""
    times = sorted(event["ts"] for event in raw if isinstance(event, dict) and event.get("ph") in ("X", "i") and _is_time(event))
    middle = times[len(times) // 2] if times else 0
    return math.floor(next((time for time in times if middle - time < _LONGEST / 1000), 0))  # stray times: Kineto has had 0


def _is_time(event: Mapping[str, Any]) -> bool:
    time = event.get("ts")
    return isinstance(time, int | float) and -_LATEST < time < _LATEST


def _start_ns(trace: Mapping[str, Any], zero: int, facts: Mapping[str, Any]) -> int:
    base = trace.get("baseTimeNanoseconds")
    if isinstance(base, int):
        return integer(base + zero * 1000)
    return zero * 1000 if zero > _YEAR_2001 else integer(facts.get("clock_ns"), zero * 1000)


def _devices(properties: object) -> dict[int, Mapping[str, Any]]:
    if not isinstance(properties, list):
        return {}
    return {integer(one.get("id"), place): one for place, one in enumerate(properties) if isinstance(one, dict)}
