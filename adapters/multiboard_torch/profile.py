"""PyTorch's profiler for one window of steps: starts it, marks steps, waiting and layers, and saves what it has recorded.

The trace is the Kineto JSON of `torch.profiler`, which the core converts in another process. PyTorch has one profiler at a time,
and says so to nobody: where another one runs, or is warming up, this one stays away; one that begins in the window goes on.
"""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from multiboard.profile.tracer import ForeignProfilerError, Raw
from multiboard_torch import distributed
from multiboard_torch._compat_profiler import (
    any_profiler_records,
    clear_profiler_flag,
    forget_profiler,
    new_profile,
    other_profilers,
    profiler_records,
    trace_range,
)
from multiboard_torch.compiled_graphs import GRAPHS
from multiboard_torch.profile_devices import MemoryHistory, activities, nvidia_tool, properties, wait_for_devices
from multiboard_torch.profile_export import export
from multiboard_torch.profile_layers import LayerRanges

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from torch.profiler import ProfilerActivity, profile

    from multiboard.profile.tracer import Request

STEP: Final = "mb.step:"
INPUT: Final = "mb.input"
_TRACE: Final = "torch.json"


def make_tracer(request: Request) -> TorchTracer:
    """Return PyTorch's profiler for a window; nothing is started."""
    return TorchTracer(request)


class TorchTracer:
    """A `multiboard.profile.tracer.Tracer`.

    At the level 'light' the operators and, on accelerators, the kernels are recorded, 'default' adds what is allocated if the
    request says so, 'deep' shapes and the functions of Python.

    Args:
        request: what to record, and where to put it.
    """

    def __init__(self, request: Request) -> None:
        self._request = request
        self._range = trace_range()
        self._marker = contextlib.ExitStack()
        self._profile: profile | None = None
        self._layers = LayerRanges(request.names)
        self._memory = MemoryHistory(wanted=request.snapshot)
        self._notes: list[str] = []
        self._began_ns = 0

    def prepare(self) -> None:
        """Load what traces an accelerator, which takes seconds the first time.

        Nothing stays open until `start`: a profiler that warms up is ended by any other, and stopping it crashes PyTorch 2.13.
        """
        traced = activities(host_only=self._request.host_only)
        if len(traced) > 1 and not _others_run():
            self._warm_up(traced)

    def start(self) -> None:
        """Wait for the devices, then record.

        Raises:
            ForeignProfilerError: another profiler is running, or warming up.
        """
        if _others_run():
            raise ForeignProfilerError("another profiler of PyTorch is running or warming up, and it has one at a time")
        wait_for_devices()
        request = self._request
        deep = request.level == "deep"
        self._profile = new_profile(
            stacks=deep or request.python,
            activities=activities(host_only=request.host_only),
            record_shapes=deep,
            profile_memory=request.memory and request.level != "light",
        )
        self._memory.begin()
        self._began_ns = time.time_ns()
        self._profile.prepare_trace()
        self._profile.start_trace()
        if request.layers:
            self._layers.begin()

    def step(self, number: int) -> None:
        """Mark what follows as that of a global step."""
        self._marker.close()
        self._marker.enter_context(self._range(f"{STEP}{number}"))

    def pause(self) -> None:
        """End the marker: what follows belongs to no step."""
        self._marker.close()

    def input(self) -> AbstractContextManager[Any]:
        """Return what marks the work inside as waiting for input."""
        return self._range(INPUT)

    def stop(self) -> list[Raw]:
        """End the marker, wait for the devices, stop, and save the trace.

        Raises:
            ForeignProfilerError: another profiler has begun meanwhile, by which PyTorch has ended this one.
            OSError: the trace could not be written.
        """
        self._layers.end()
        self._marker.close()
        wait_for_devices()
        profiler, self._profile = self._profile, None
        if profiler is None or not _is_own(profiler):
            forget_profiler(profiler)
            raise ForeignProfilerError(
                "another profiler of PyTorch has begun in the window, which ends the first one; let one profile at a time"
            )
        profiler.stop_trace()
        path = export(profiler, str(Path(self._request.folder) / _TRACE))
        snapshot = self._snapshot()
        trace = Raw("kineto", path, "torch", self._facts(profiler))
        return [trace] if snapshot is None else [trace, Raw("artefact", snapshot, "torch", {})]

    def abort(self) -> None:
        """Stop and throw away what there is; raises nothing."""
        for action in (self._layers.end, self._marker.close, self._memory.end, self._throw_away):
            with contextlib.suppress(Exception):
                action()

    # ------------------------------------------------------------------ inside

    def _warm_up(self, traced: list[ProfilerActivity]) -> None:
        profiler = new_profile(stacks=False, activities=traced)
        profiler.prepare_trace()
        profiler.start_trace()
        profiler.stop_trace()

    def _snapshot(self) -> str | None:
        try:
            return self._memory.save(self._request.folder)
        except Exception as error:  # noqa: BLE001  # the trace is worth more
            self._notes.append(f"the snapshot of the memory is lost: {type(error).__name__}: {error}")
            return None
        finally:
            self._memory.end()

    def _throw_away(self) -> None:
        profiler, self._profile = self._profile, None
        if profiler is not None and _is_own(profiler):
            profiler.stop_trace()
        else:
            forget_profiler(profiler)
            clear_profiler_flag()

    def _facts(self, profiler: profile) -> dict[str, Any]:
        failed = self._layers.failed.items()
        notes = [*self._notes, *(f"{count} calls of modules have no layer: {what}" for what, count in failed)]
        tool = nvidia_tool() if len(profiler.activities) > 1 else None
        if tool is not None:
            notes.append(f"the program runs in {tool}, which may keep the events of the GPU to itself")
        return {
            "rank": distributed.rank(),
            "world": distributed.processes(),
            "clock_ns": self._began_ns,
            "device": properties(),
            "layers": self._layers.paths(),
            "compiled": GRAPHS.facts(),
            "notes": notes,
        }


def _others_run() -> bool:
    return any_profiler_records() or other_profilers(None)


def _is_own(profiler: profile) -> bool:
    """Tell whether what records now is this profiler: one that has begun since has ended it, and must not be stopped."""
    return profiler_records() and not other_profilers(profiler)
