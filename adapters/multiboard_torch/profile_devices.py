"""Devices around a profile: which ones work, waiting for them, what they can do, and the memory of CUDA."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import torch
from torch.profiler import ProfilerActivity, supported_activities

from multiboard_torch._compat_profiler import begin_memory_history, end_memory_history, save_memory_snapshot
from multiboard_torch.memory import memory_stats

if TYPE_CHECKING:
    from collections.abc import Mapping

_TOOLS: Final = {
    "NSYS_PROFILING_SESSION_ID": "Nsight Systems",
    "NV_NSIGHT_INJECTION_TRANSPORT_TYPE": "Nsight Compute",
    "NV_COMPUTE_PROFILER_PERFWORKS_DIR": "Nsight Compute",
    "NVPROF_ID": "nvprof",
}
"""Profilers of NVIDIA by what they set in the environment of a program."""
_PROPERTIES: Final = {
    "name": "name",
    "major": "compute_cap_major",
    "minor": "compute_cap_minor",
    "multi_processor_count": "core_count",
    "total_memory": "memory_size",
    "clock_rate": "clock_rate_khz",
}
"""What is told of a device, by PyTorch's name of it; older versions tell less."""
SNAPSHOT: Final = "memory_snapshot.pickle"


def activities(*, host_only: bool) -> list[ProfilerActivity]:
    """Return what can be traced: the host, and the accelerators that this process has started."""
    found = [ProfilerActivity.CPU]
    if not host_only:
        found += [one for one in supported_activities() if one != ProfilerActivity.CPU and is_started(one.name.lower())]
    return found


def is_started(name: str) -> bool:
    """Tell whether this process uses a backend, e.g. 'cuda'; asking starts none."""
    check = getattr(getattr(torch, name, None), "is_initialized", None)
    return check is not None and bool(check())


def wait_for_devices() -> None:
    """Wait for all that has been launched on the accelerators that this process uses."""
    if is_started("cuda"):
        for index in _used():
            torch.cuda.synchronize(index)
    elif hasattr(torch, "accelerator"):  # newer than the oldest PyTorch that is supported
        device = torch.accelerator.current_accelerator()
        if device is not None and (is_started(device.type) or device.type == "mps"):
            torch.accelerator.synchronize()
    elif torch.backends.mps.is_available():
        torch.mps.synchronize()


def _used() -> list[int]:
    """Return the indices of the CUDA devices with memory of ours: a call for another one would start it."""
    current = torch.cuda.current_device()
    return [index for index in range(torch.cuda.device_count()) if index == current or torch.cuda.memory_reserved(index)]


def properties() -> dict[str, dict[str, Any]]:
    """Return what the CUDA devices in use can do, by index; none if CUDA has not been started."""
    if not is_started("cuda"):
        return {}
    return {str(index): described(torch.cuda.get_device_properties(index)) for index in _used()}


def described(device: Any) -> dict[str, Any]:
    """Return the properties of a device as far as PyTorch tells them: memory in bytes, its bandwidth in bytes per second.

    >>> from types import SimpleNamespace
    >>> described(SimpleNamespace(name="A100", clock_rate=1410000, memory_clock_rate=1215000, memory_bus_width=5120))
    {'name': 'A100', 'clock_rate_khz': 1410000, 'memory_bandwidth': 1555200000000}
    """
    found = {name: getattr(device, own) for own, name in _PROPERTIES.items() if hasattr(device, own)}
    if hasattr(device, "memory_clock_rate") and hasattr(device, "memory_bus_width"):
        transfers = 2 * device.memory_clock_rate * 1000  # per second: two in each cycle, which is in kHz
        found["memory_bandwidth"] = transfers * device.memory_bus_width // 8
    return found


def nvidia_tool(environment: Mapping[str, str] = os.environ) -> str | None:
    """Return the profiler of NVIDIA that this program runs in, which may keep the events of the GPU to itself; None without one.

    >>> nvidia_tool({"NSYS_PROFILING_SESSION_ID": "7"}), nvidia_tool({})
    ('Nsight Systems', None)
    """
    return next((tool for name, tool in _TOOLS.items() if name in environment), None)


class MemoryHistory:
    """What CUDA's allocator does in a window.

    Args:
        wanted: False keeps nothing, and shows what is allocated only if memory runs out in the window.
    """

    def __init__(self, *, wanted: bool) -> None:
        self._wanted = wanted and is_started("cuda")
        self._begun = False
        self._failures = 0.0

    def begin(self) -> None:
        """Let the allocator remember, unless it does already."""
        self._begun = self._wanted and begin_memory_history()
        self._failures = _failed_allocations()

    def save(self, folder: str) -> str | None:
        """Write a snapshot and return where; None if none is wanted or can be had."""
        wanted = self._wanted or _failed_allocations() > self._failures
        path = str(Path(folder) / SNAPSHOT)
        return path if wanted and save_memory_snapshot(path) else None

    def end(self) -> None:
        """Let it forget, if it did not remember before."""
        if self._begun:
            self._begun = False
            end_memory_history()


def _failed_allocations() -> float:
    """Return how often the memory of a device was not enough, since the start."""
    return sum(number for tag, number in memory_stats().items() if tag.endswith("_ooms"))
