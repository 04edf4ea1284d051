"""Memory of accelerators, as their allocators count it on the host.

Nothing here waits for a device, starts one that the process does not use, or resets a peak that somebody else reads. The free
memory of the whole device is left out: asking for it is a call of the driver.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Final

import torch

from multiboard import tags

if TYPE_CHECKING:
    from collections.abc import Mapping

_MIB: Final = 2**20
_STATISTICS: Final = {
    "memory_allocated_mib": ("allocated_bytes.all.current", _MIB),
    "memory_reserved_mib": ("reserved_bytes.all.current", _MIB),
    "memory_peak_mib": ("allocated_bytes.all.peak", _MIB),
    "allocation_retries": ("num_alloc_retries", 1),
    "ooms": ("num_ooms", 1),
}
_EVER_RESERVED: Final = ("reserved_bytes.all.allocated", "reserved_bytes.all.peak", "reserved_bytes.all.current")


def memory_stats() -> dict[str, float]:
    """Return the memory of every accelerator device that this process uses by tag, ready for `Run.log`; waits for no device.

    In MiB: 'system/gpu_memory_allocated_mib' (tensors), 'system/gpu_memory_reserved_mib' (with what the allocator keeps for
    later) and 'system/gpu_memory_peak_mib' (the most allocated since the start, or since the program last reset its peaks).
    Numbers since the start: 'system/gpu_allocation_retries' (each one a stall) and 'system/gpu_ooms'. With several devices in use
    the tags are 'system/gpu<index>_...'. What a backend does not count is left out.

    Returns:
        An empty dict if the process uses no accelerator.

    Example:
        >>> memory_stats() if not torch.cuda.is_available() else {}
        {}
    """
    return memory_scalars(_statistics_in_use())


def memory_scalars(statistics: Mapping[int, Mapping[str, Any]]) -> dict[str, float]:
    """Return the tags and values of allocator statistics.

    Args:
        statistics: by index of the device what `torch.cuda.memory_stats` returns, or its nested form. Devices that have never
            reserved memory are not in use.

    >>> memory_scalars({1: {"allocated_bytes.all.current": 3 * 2**19, "reserved_bytes.all.current": 2**21}})
    {'system/gpu_memory_allocated_mib': 1.5, 'system/gpu_memory_reserved_mib': 2.0}
    """
    used = {index: known for index, known in statistics.items() if any(_look_up(known, key) for key in _EVER_RESERVED)}
    return {
        tags.device(name, index if len(used) > 1 else None): value / unit
        for index, known in used.items()
        for name, (key, unit) in _STATISTICS.items()
        if (value := _look_up(known, key)) is not None
    }


def device_statistics(backend: Any) -> dict[int, Mapping[str, Any]]:
    """Return the statistics of all devices of a backend module such as `torch.cuda`; none if the process has not started it."""
    read = getattr(backend, "memory_stats_as_nested_dict", None) or getattr(backend, "memory_stats", None)
    if read is None or not getattr(backend, "is_initialized", lambda: True)():
        return {}
    return {index: read(index) for index in range(backend.device_count())}


def _statistics_in_use() -> dict[int, Mapping[str, Any]]:
    found = device_statistics(torch.cuda) or device_statistics(torch.xpu) or _mps_statistics()
    if found:
        return found
    generic = getattr(torch, "accelerator", None)  # newer than the oldest PyTorch that is supported
    if generic is None or generic.current_accelerator() is None or generic.current_accelerator().type in {"cuda", "xpu", "mps"}:
        return {}
    with contextlib.suppress(RuntimeError):  # what a backend without these statistics raises
        return device_statistics(generic)
    return {}


def _mps_statistics() -> dict[int, Mapping[str, Any]]:
    if not torch.backends.mps.is_available():
        return {}
    allocated, reserved = torch.mps.current_allocated_memory(), torch.mps.driver_allocated_memory()
    return {0: {"allocated_bytes.all.current": allocated, "reserved_bytes.all.current": reserved}}


def _look_up(statistics: Mapping[str, Any], key: str) -> Any:
    """Return a statistic from the flat or the nested form, None if it is not there."""
    if key in statistics:
        return statistics[key]
    found: Any = statistics
    for part in key.split("."):
        found = found.get(part) if isinstance(found, dict) else None
    return found
