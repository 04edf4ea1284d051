"""Fresh processes, in turn, medians: the one way in which the benchmarks of this folder measure.

A contender is a piece of Python code that runs in a new interpreter with NumPy loaded and nothing else, an empty directory `d`,
and `start()` and `stop(**figures)` of `clocks`; what is measured lies between them. Machines are shared and noisy: trust ratios
and CPU time.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from contenders import LOGGERS, OURS, QUIET

PRELUDE = f"""
import os, sys, time
sys.path.insert(0, {str(Path(__file__).parent)!r})
import numpy
from clocks import start, stop
time.sleep(0.1)  # threads of the linear algebra library spin for a while after the import
d = sys.argv[1]
"""


@dataclass(frozen=True, slots=True)
class Contender:
    """One way to do a job.

    Attributes:
        package: what must be installed, and whose version is stated.
        code: Python that calls `start()` and, last, `stop()`.
        check: Python that runs after the code in one more process, before any that counts: raises if the result is wrong,
            else reports who `verified` it.
        needs: more that must be installed.
    """

    package: str
    code: str
    check: str = ""
    needs: tuple[str, ...] = ()


def of_logger(name: str, code: str, check: str, needs: tuple[str, ...] = ()) -> Contender:
    """Return a contender for a logger of `contenders`: `{name!r}` in code and check stands for its name."""
    logger = LOGGERS[name]
    check = check.format(name=name) if logger.form else ""  # a form is what can be read back
    return Contender(logger.package, code.format(name=name), check, (*logger.needs, *needs))


def options(description: str | None) -> argparse.Namespace:
    """Parse the command line that all benchmarks share."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--rounds", type=int, default=5, help="fresh processes per contender")
    parser.add_argument("--out", type=Path, help="append JSON lines to this file")
    parser.add_argument("--only", type=lambda names: names.split(","), help="names of contenders, with commas between")
    parser.add_argument("--topic", default="", help="run only the race of this topic")
    parser.add_argument("--scale", type=float, default=1.0, help="less or more than the usual number of calls")
    return parser.parse_args()


def race(topic: str, contenders: dict[str, Contender], arguments: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """Run all contenders in turn, several times; print and return the median of each figure by contender.

    What is not installed, and what fails its check, is named on the terminal and in the output, and left out.

    Args:
        topic: of the lines that are written.
        contenders: by name.
        arguments: of `options`.
    """
    if arguments.topic and topic != arguments.topic:
        return {}
    chosen = {name: c for name, c in contenders.items() if not arguments.only or name.partition(" (n")[0] in arguments.only}
    facts = _facts()
    print(f"\n{topic}: {facts['cpu']}, {facts['cores']} cores, load {facts['load']}, {arguments.rounds} rounds", flush=True)
    lines = {name: _Lines(topic, name, c.package, facts, arguments.out) for name, c in chosen.items()}
    present = {name: c for name, c in chosen.items() if _admit(c, lines[name])}
    rows: dict[str, list[dict[str, Any]]] = {name: [] for name in present}
    for number in range(arguments.rounds):
        for name, contender in present.items():
            rows[name].append(_run(contender.code)[0])
            lines[name].write(round=number + 1, **rows[name][-1])
    medians = {name: {key: statistics.median(row[key] for row in found) for key in found[0]} for name, found in rows.items()}
    for name, row in medians.items():
        lines[name].write(median=True, rounds=arguments.rounds, **row)
    _print(medians)
    return medians


class _Lines:
    """The JSON lines of one contender."""

    def __init__(self, topic: str, name: str, package: str, facts: dict[str, Any], out: Path | None) -> None:
        self.shared = {"topic": topic, "contender": name, "package": package, "version": _version(package), **facts}
        self._out = out

    def write(self, **fields: Any) -> None:
        if self._out:
            with self._out.open("a") as file:
                file.write(json.dumps(self.shared | {"load": round(os.getloadavg()[0], 1)} | fields) + "\n")

    def leave_out(self, why: str) -> None:
        print(f"  {self.shared['contender']}: {why}", flush=True)
        self.write(left_out=why)


def _admit(contender: Contender, lines: _Lines) -> bool:
    """Tell whether a contender is installed and does its job right, which is tried once before anything counts."""
    missing = [package for package in (contender.package, *contender.needs) if not find_spec(package)]
    if missing:
        lines.leave_out(f"not installed ({', '.join(missing)})")
        return False
    lines.shared["verified"] = ""
    if contender.check:
        try:
            lines.shared["verified"] = _run(f"{contender.code}\n{contender.check}")[-1]["verified"]
        except RuntimeError as error:
            lines.leave_out(f"failed: {str(error).strip().splitlines()[-1]}")
            return False
    return True


def _run(code: str) -> list[dict[str, Any]]:
    """Run code in a new process and an empty directory; return what it reported."""
    directory = tempfile.mkdtemp()
    command = [sys.executable, "-c", PRELUDE + code, directory]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=900, env={**os.environ, **QUIET})
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    reports = [json.loads(line.removeprefix("measured ")) for line in done.stdout.splitlines() if line.startswith("measured ")]
    if done.returncode or not reports:
        raise RuntimeError(done.stderr[-3000:] or "no figures")
    return reports


def _facts() -> dict[str, Any]:
    facts = {
        "date": time.strftime("%Y-%m-%d %H:%M"),
        "python": platform.python_version(),
        "numpy": version("numpy"),
        "tensorflow": _version("tensorflow"),
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 1),
    }
    if shutil.which("nvidia-smi"):
        asked = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
        facts["gpu"] = subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip()
    return facts


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def _version(package: str) -> str:
    try:
        return version({"PIL": "pillow"}.get(package, package))
    except PackageNotFoundError:
        return ""


def _print(medians: dict[str, dict[str, Any]]) -> None:
    """Print one row per contender with its ratios to ours, or to the first."""
    width = max(map(len, medians), default=0) + 2
    for name, row in medians.items():
        ours = medians.get(OURS) or next(iter(medians.values()))
        cells = [f"{key} {value:.4g}" + (f" ({value / ours[key]:.3g}x)" if ours.get(key) else "") for key, value in row.items()]
        print(f"  {name:{width}}" + "  ".join(cells), flush=True)
