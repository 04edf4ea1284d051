"""Memory of accelerators, as the allocators of the runtime count it on the host. Nothing here waits for a device."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Final

import jax

from multiboard import tags

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_MIB: Final = 2**20
_STATISTICS: Final = {
    "memory_allocated_mib": (("bytes_in_use",), _MIB),
    "memory_reserved_mib": (("pool_bytes", "bytes_reserved"), _MIB),
    "memory_peak_mib": (("peak_bytes_in_use",), _MIB),
    "memory_limit_mib": (("bytes_limit",), _MIB),
    "allocations": (("num_allocs",), 1),
}
"""By name of a tag the statistics of which it is the first that is counted, and the unit."""
_EVER_USED: Final = ("num_allocs", "peak_bytes_in_use", "bytes_in_use")


def memory_stats() -> dict[str, float]:
    """Return the memory of every local accelerator that this process uses by tag, ready for `Run.log`; waits for no device.

    In MiB: 'system/gpu_memory_allocated_mib' (arrays and what programs need while they run), 'system/gpu_memory_reserved_mib'
    (what the allocator has taken from the device, by default three quarters of a GPU from the start; on TPUs what is reserved),
    'system/gpu_memory_peak_mib' (the most allocated since the start) and 'system/gpu_memory_limit_mib' (the most there can be).
    'system/gpu_allocations' is a number since the start. With several devices in use the tags are 'system/gpu<index>_...' by
    the position in `jax.local_devices()`; TPUs have the same tags. What a backend does not count is left out.

    Returns:
        An empty dict on CPUs.

    Example:
        >>> memory_stats() if jax.default_backend() == "cpu" else {}
        {}
    """
    return memory_scalars(dict(enumerate(map(_statistics, jax.local_devices()))))


def memory_scalars(statistics: Mapping[int, Mapping[str, Any]]) -> dict[str, float]:
    """Return the tags and values of allocator statistics.

    Args:
        statistics: by index of the device what `Device.memory_stats` returns. Devices that have never held anything are not in
            use.

    >>> memory_scalars({1: {"num_allocs": 2, "bytes_in_use": 3 * 2**19}})
    {'system/gpu_memory_allocated_mib': 1.5, 'system/gpu_allocations': 2.0}
    """
    used = {index: known for index, known in statistics.items() if any(known.get(key) for key in _EVER_USED)}
    return {
        tags.device(name, index if len(used) > 1 else None): value / unit
        for index, known in used.items()
        for name, (keys, unit) in _STATISTICS.items()
        if (value := _first_counted(known, keys)) is not None
    }


def _first_counted(statistics: Mapping[str, Any], keys: Iterable[str]) -> Any:
    """Return the first statistic that is not 0, which most allocators say of what they do not count; 0 if all are."""
    found = [statistics[key] for key in keys if key in statistics]
    return next(filter(None, found), found[0] if found else None)


def _statistics(device: jax.Device) -> Mapping[str, Any]:
    with contextlib.suppress(Exception):  # what a backend without statistics raises, each in its own way
        return device.memory_stats() or {}
    return {}
