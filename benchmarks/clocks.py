"""The clocks inside a measured process: wall, CPU of the calling thread, CPU of all threads and child processes, memory.

Imports nothing that NumPy has not imported already, so that a measured import pays for all it needs.
"""

from __future__ import annotations

import os
import resource
import sys
import time

_TICKS = os.sysconf("SC_CLK_TCK")
_begin: dict[str, float] = {}


def start() -> None:
    """Begin the measured stretch."""
    _begin["memory_mb"] = _peak_mb()
    _begin["cpu_s"] = time.process_time() + _children_cpu(os.getpid())
    _begin["caller_cpu_s"] = time.thread_time()
    _begin["wall_s"] = time.perf_counter()


def lap() -> dict[str, float]:
    """Return wall time and CPU time of the calling thread since `start`, in seconds."""
    wall, caller = time.perf_counter(), time.thread_time()
    return {"wall_s": wall - _begin["wall_s"], "caller_cpu_s": caller - _begin["caller_cpu_s"]}


def total() -> dict[str, float]:
    """Return what `lap` does, CPU seconds of all threads and child processes, and the growth of the peak memory in MB."""
    passed = lap()
    cpu = time.process_time() + _children_cpu(os.getpid())
    return passed | {"cpu_s": cpu - _begin["cpu_s"], "memory_mb": _peak_mb() - _begin["memory_mb"]}


def bytes_in(directory: str) -> int:
    """Return the size of all files below a directory; what links point to does not count twice."""
    paths = [os.path.join(folder, name) for folder, _, names in os.walk(directory) for name in names]  # noqa: PTH118
    return sum(os.lstat(path).st_size for path in paths)


def report(**figures: float | str) -> None:
    """Hand figures to the process that started this one, on a marked line of the output."""
    import json

    print("\nmeasured " + json.dumps(figures), flush=True)


def stop(**figures: float) -> None:
    """End the measured stretch and report `total` with more figures."""
    report(**(total() | figures))


def _children_cpu(pid: int) -> float:
    """Return the CPU seconds of the descendants of this process, those that have ended and those that run."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return ended.ru_utime + ended.ru_stime + sum(map(_tree_cpu, _children(pid)))


def _tree_cpu(pid: str) -> float:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:  # noqa: PTH123  # pathlib would be a free import for a contender
            fields = file.read().rpartition(b")")[2].split()
    except OSError:  # it has just ended
        return 0.0
    return sum(map(int, fields[11:15])) / _TICKS + sum(map(_tree_cpu, _children(pid)))


def _children(pid: int | str) -> list[str]:
    found: list[str] = []
    try:
        for thread in os.listdir(f"/proc/{pid}/task"):  # noqa: PTH208
            with open(f"/proc/{pid}/task/{thread}/children") as file:  # noqa: PTH123
                found += file.read().split()
    except OSError:  # it has just ended, or the system is not Linux
        pass
    return found


def _peak_mb() -> float:
    try:
        with open("/proc/self/status") as file:  # noqa: PTH123
            return next(int(line.split()[1]) for line in file if line.startswith("VmHWM")) / 1024
    except OSError:  # ru_maxrss may be that of the parent process: it survives an exec
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak / (2**20 if sys.platform == "darwin" else 1024)
