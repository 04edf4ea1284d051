"""Fresh processes, in turn, medians: the one way in which the benchmarks of this folder measure.

A contender is a piece of Python code that runs in a new interpreter with NumPy loaded, a temporary directory `d`, and the clocks
`start()` and `stop(**more)`; what is measured lies between them. Machines are shared and noisy: trust ratios and CPU time.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

PRELUDE = """
import json, os, resource, shutil, sys, tempfile, threading, time
import numpy
time.sleep(0.1)  # threads of the linear algebra library spin for a while after the import
d = tempfile.mkdtemp()

def _clocks():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return {"wall_s": time.perf_counter(), "cpu_s": time.process_time(), "caller_cpu_s": time.thread_time(),
            "memory_mb": usage.ru_maxrss / 1024}

def start():
    global _begin
    _begin = _clocks()

def stop(**more):
    end = _clocks()
    print(json.dumps({key: end[key] - _begin[key] for key in end} | more))
    shutil.rmtree(d, ignore_errors=True)
"""


@dataclass(frozen=True)
class Contender:
    """One way to do a job.

    Attributes:
        package: what must be installed.
        code: Python that calls `start()` and, last, `stop()`.
    """

    package: str
    code: str


def options(description: str | None) -> argparse.Namespace:
    """Parse the command line that all benchmarks share."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--rounds", type=int, default=5, help="fresh processes per contender")
    parser.add_argument("--out", type=Path, help="append JSON lines to this file")
    return parser.parse_args()


def race(topic: str, contenders: dict[str, Contender], rounds: int, out: Path | None = None) -> dict[str, dict[str, float]]:
    """Run all contenders in turn, several times; return the median of each figure by contender.

    Packages that are not installed are named on the terminal and left out.
    """
    present = {name: c for name, c in contenders.items() if find_spec(c.package)}
    print(f"{topic}: Python {platform.python_version()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, {rounds} rounds")
    for name in contenders.keys() - present.keys():
        print(f"  {name}: not installed")
    rows: dict[str, list[dict[str, float]]] = {name: [] for name in present}
    for _ in range(rounds):
        for name, contender in present.items():
            rows[name].append(_run(contender.code))
    medians = {name: {key: statistics.median(row[key] for row in found) for key in found[0]} for name, found in rows.items()}
    if out:
        _append(out, topic, contenders, medians)
    return medians


def _run(code: str) -> dict[str, float]:
    done = subprocess.run([sys.executable, "-c", PRELUDE + code], capture_output=True, text=True, check=False, timeout=600)
    if done.returncode:
        raise RuntimeError(done.stderr[-3000:])
    return json.loads(done.stdout.splitlines()[-1])


def _append(out: Path, topic: str, contenders: dict[str, Contender], medians: dict[str, dict[str, float]]) -> None:
    with out.open("a") as file:
        for name, row in medians.items():
            facts = {
                "version": _version(contenders[name].package),
                "python": platform.python_version(),
                "load": os.getloadavg()[0],
            }
            file.write(json.dumps({"topic": topic, "contender": name, **facts, **row}) + "\n")


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def table(medians: dict[str, dict[str, float]], columns: dict[str, tuple[str, float]], baseline: str) -> None:
    """Print one row per contender with ratios to the baseline.

    Args:
        medians: of `race`.
        columns: by heading: the figure, and the factor to the printed unit.
        baseline: the contender that has the ratio 1.
    """
    print(f"{'':32}" + "".join(f"{heading:>24}" for heading in columns))
    for name, row in medians.items():
        cells = []
        for key, factor in columns.values():
            ratio = row[key] / medians[baseline][key] if medians[baseline][key] else float("nan")
            cells.append(f"{row[key] * factor:12.2f} ({ratio:7.1f}x)")
        print(f"{name:32}" + "".join(f"{cell:>24}" for cell in cells))
