"""Processors, memory, disk and network, by psutil; see `multiboard.system` for the tags."""

from __future__ import annotations

import contextlib
from pathlib import Path
from time import monotonic, process_time
from typing import TYPE_CHECKING, Any, Final

from multiboard.system.sources import left_out

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from multiboard.system.sources import Source

_GB: Final = 1e9
_MB: Final = 1e6
_BLOCK_DEVICES: Final = Path("/sys/block")
_INTERFACES: Final = Path("/sys/class/net")
_NO_DISKS: Final = ("loop", "ram", "zram")
"""Begin the names of block devices that are files or memory."""
_IDLE: Final = ("idle", "iowait")
_ALSO_IN_USER: Final = ("guest", "guest_nice")


def sources(log_dir: str, report: Callable[[str, str], None]) -> Iterator[Source]:
    """Yield what psutil tells; each has begun to count.

    Args:
        log_dir: of the run.
        report: called with cause and message of a source that this machine does not have.

    Raises:
        ImportError: psutil is missing.
    """
    import psutil

    for kind in (Processors, Memory, Disk, Network):
        try:
            yield kind(psutil, log_dir)
        except Exception as error:  # noqa: BLE001  # e.g. a /proc that a container hides
            report(f"system {kind.name}", left_out(kind.name, error))


class Rates:
    """Counters that only grow, as differences per second.

    Args:
        counters: by name, as they are now.
    """

    def __init__(self, counters: Mapping[str, float]) -> None:
        self._time, self._counters = monotonic(), counters

    def since(self, counters: Mapping[str, float]) -> dict[str, float]:
        """Return how fast each has grown since the last time; one that is new, or began anew, is left out.

        Args:
            counters: as they are now.
        """
        now = monotonic()
        seconds, before = now - self._time, self._counters
        self._time, self._counters = now, counters
        if seconds <= 0:
            return {}
        return {
            name: (count - before[name]) / seconds for name, count in counters.items() if name in before and count >= before[name]
        }


class Processors:
    """Processors of the machine, and what this process takes of them."""

    name = "processors"

    def __init__(self, psutil: Any, _log_dir: str) -> None:
        self._psutil = psutil
        self._rates = Rates(self._seconds())

    def _seconds(self) -> dict[str, float]:
        """Return seconds of work; not `cpu_percent`, which shares its memory with whoever else asks."""
        times = self._psutil.cpu_times()._asdict()
        whole = sum(spent for kind, spent in times.items() if kind not in _ALSO_IN_USER)
        idle = sum(times.get(kind, 0.0) for kind in _IDLE)
        return {"whole": whole, "busy": whole - idle, "process": process_time()}

    def read(self) -> Mapping[str, float]:
        """Return shares of the time since the last reading."""
        rates = self._rates.since(self._seconds())
        found = {"system/process_cpu_pct": 100 * rates["process"]} if "process" in rates else {}
        if rates.get("whole") and "busy" in rates:
            found["system/cpu_pct"] = 100 * rates["busy"] / rates["whole"]
        return found


class Memory:
    """Memory of the machine and of this process."""

    name = "memory"

    def __init__(self, psutil: Any, _log_dir: str) -> None:
        self._psutil, self._process = psutil, psutil.Process()
        self.read()

    def read(self) -> Mapping[str, float]:
        """Return what is in use now."""
        machine = self._psutil.virtual_memory()
        return {
            "system/memory_gb": (machine.total - machine.available) / _GB,
            "system/memory_pct": machine.percent,
            "system/process_memory_gb": self._process.memory_info().rss / _GB,
        }


class Disk:
    """Traffic of all disks that there are when it begins, and how full that of the run is."""

    name = "disk"

    def __init__(self, psutil: Any, log_dir: str) -> None:
        self._psutil, self._log_dir = psutil, log_dir
        self._disks = [name for name in psutil.disk_io_counters(perdisk=True, nowrap=False) if _is_disk(name)]
        self._rates = Rates(self._bytes())

    def _bytes(self) -> dict[str, float]:
        if not self._disks:  # a machine without disks of its own
            return {}
        counters = self._psutil.disk_io_counters(perdisk=True, nowrap=False)
        each = [counters[name] for name in self._disks if name in counters]
        return {
            "system/disk_read_mb_per_s": sum(disk.read_bytes for disk in each) / _MB,
            "system/disk_write_mb_per_s": sum(disk.write_bytes for disk in each) / _MB,
        }

    def read(self) -> Mapping[str, float]:
        """Return the traffic since the last reading, and how full the disk is now."""
        rates = self._rates.since(self._bytes())
        try:
            return {**rates, "system/disk_used_pct": self._psutil.disk_usage(self._log_dir).percent}
        except FileNotFoundError:  # the directory was deleted, and may come again
            return rates


class Network:
    """Traffic of the interfaces to other machines that there are when it begins."""

    name = "network"

    def __init__(self, psutil: Any, _log_dir: str) -> None:
        self._psutil = psutil
        self._interfaces = _outer(psutil.net_io_counters(pernic=True, nowrap=False))
        self._rates = Rates(self._bytes())

    def _bytes(self) -> dict[str, float]:
        counters = self._psutil.net_io_counters(pernic=True, nowrap=False)
        outer = [counters[name] for name in self._interfaces if name in counters]
        return {
            "system/network_sent_mb_per_s": sum(each.bytes_sent for each in outer) / _MB,
            "system/network_received_mb_per_s": sum(each.bytes_recv for each in outer) / _MB,
        }

    def read(self) -> Mapping[str, float]:
        """Return the traffic since the last reading."""
        return self._rates.since(self._bytes())


def _is_disk(name: str) -> bool:
    """Tell whether a block device is a disk; parts of disks, and what is made of disks (RAID, LVM, encryption), count again."""
    if not _BLOCK_DEVICES.is_dir():  # not Linux
        return True
    with contextlib.suppress(OSError):
        return not any((_BLOCK_DEVICES / name.replace("/", "!") / "slaves").iterdir()) and not name.startswith(_NO_DISKS)
    return False


def _outer(interfaces: Iterable[str]) -> list[str]:
    """Return the interfaces that are hardware; bridges, tunnels and bonds count again what goes through these.

    In a container no interface is hardware: all count but that of the machine with itself.
    """
    names = [name for name in interfaces if not name.startswith("lo")]
    hardware = [name for name in names if (_INTERFACES / name / "device").exists()]
    return hardware or names
