"""What the libraries of all vendors share: which devices a process may use, and the tags of a device."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final, TypeVar

from multiboard import tags

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

MIB: Final = 2**20
_Device = TypeVar("_Device")


def visible(
    listed: str | None, devices: Sequence[_Device], uuid_of: Callable[[_Device], str], by_uuid: Callable[[str], _Device]
) -> list[_Device]:
    """Return the devices that a variable such as CUDA_VISIBLE_DEVICES leaves to a process, in its order.

    Args:
        listed: the variable: numbers, or UUIDs or their beginnings, with commas; None is all. What comes behind something that is
            no device does not count, as in CUDA.
        devices: all, in the order of their numbers.
        uuid_of: returns the UUID of a device.
        by_uuid: returns the device of a whole UUID, also one that is a part of another device; may raise anything.

    >>> visible("2,0,7,1", ["a", "b", "c"], str, str)
    ['c', 'a']
    """
    if listed is None:
        return list(devices)
    found: list[_Device] = []
    for name in map(str.strip, listed.split(",")):
        device = _numbered(name, devices) if name.isdecimal() or not name else _named(name, devices, uuid_of, by_uuid)
        if device is None:
            break
        found.append(device)
    return found


def _numbered(number: str, devices: Sequence[_Device]) -> _Device | None:
    return devices[int(number)] if number and int(number) < len(devices) else None


def _named(
    name: str, devices: Sequence[_Device], uuid_of: Callable[[_Device], str], by_uuid: Callable[[str], _Device]
) -> _Device | None:
    if name.startswith("-"):
        return None
    matching = [device for device in devices if uuid_of(device).startswith(name)]
    if matching:
        return matching[0] if len(matching) == 1 else None
    with contextlib.suppress(Exception):  # no device has it, in the words of each vendor
        return by_uuid(name)
    return None


def by_tag(readings: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """Return the statistics of devices by tag, with their numbers if there are several.

    >>> by_tag([{"power_w": 70.0}]), by_tag([{"power_w": 70.0}, {}])
    ({'system/gpu_power_w': 70.0}, {'system/gpu0_power_w': 70.0})
    """
    found = list(readings)
    return {
        tags.device(statistic, index if len(found) > 1 else None): value
        for index, reading in enumerate(found)
        for statistic, value in reading.items()
    }


def memory(used: float, total: float) -> dict[str, float]:
    """Return the statistics of a device's memory.

    Args:
        used: bytes.
        total: bytes; 0 is not known.
    """
    return {"memory_used_mib": used / MIB} | ({"memory_used_pct": 100 * used / total} if total else {})
