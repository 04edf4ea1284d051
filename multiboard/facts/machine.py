"""The machine that the process runs on, read from what the system shows as files; no program is started for it."""

from __future__ import annotations

import os
import platform
import re
from pathlib import Path
from typing import Final

_GIB: Final = 2**30
_NO_LIMIT: Final = 2**60
"""Bytes from which on a limit of a container is none."""


def describe() -> dict[str, str]:
    """Return system, processor, memory and NVIDIA devices by name, as far as they are known."""
    found = {"system": platform.platform(), "host": platform.node(), "processor": _processor(), "memory": _memory()}
    found |= {"GPUs": _gpus(Path("/proc/driver/nvidia")), "NVIDIA driver": _driver(Path("/proc/driver/nvidia/version"))}
    return {name: value for name, value in found.items() if value}


def _processor() -> str:
    model = re.search(r"^model name\s*:\s*(.+)$", _read(Path("/proc/cpuinfo")), re.MULTILINE)
    name = model[1].strip() if model else platform.processor() or platform.machine()
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{name}, {usable} of {os.cpu_count()} cores"


def _memory() -> str:
    total = re.search(r"^MemTotal:\s*(\d+) kB", _read(Path("/proc/meminfo")), re.MULTILINE)
    if not total:
        return ""
    size = int(total[1]) * 1024
    limit = _limit()
    return f"{size / _GIB:.1f} GiB" + (f", of which this container may use {limit / _GIB:.1f} GiB" if limit < size else "")


def _limit() -> int:
    """Return how many bytes the control group of the process allows."""
    for name in ("memory.max", "memory/memory.limit_in_bytes"):
        text = _read(Path("/sys/fs/cgroup", name)).strip()
        if text.isdigit():
            return int(text)
    return _NO_LIMIT


def _gpus(directory: Path) -> str:
    """Return the models of NVIDIA devices, which the driver tells without being started."""
    names = [re.search(r"^Model:\s*(.+)$", _read(path), re.MULTILINE) for path in sorted(directory.glob("gpus/*/information"))]
    return ", ".join(name[1].strip() for name in names if name)


def _driver(path: Path) -> str:
    version = re.search(r"Kernel Module.*?\s(\d+\.[\d.]+)", _read(path))
    return version[1] if version else ""


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
