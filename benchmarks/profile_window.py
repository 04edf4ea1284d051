"""What a profiler costs a step on the training thread while no window is open, and what a window costs besides its tracer.

python benchmarks/profile_window.py [--rounds 60] [--out results.jsonl]

The ways to name a step take turns in short blocks of calls in one process; each figure is the minimum over the rounds, less that
of an empty loop. Needs no framework: the tracer of the windows does nothing.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import tempfile
import timeit
import types
from pathlib import Path
from time import perf_counter
from typing import Any

import multiboard as mb
from multiboard.profile import frameworks
from multiboard.profile.tracer import Raw

CALLS = 20_000
WAYS = {
    "with profiler.step(n)": "with profiler.step(n): pass",
    "profiler.reached(n)": "profiler.reached(n)",
    "if n >= profiler.next_step": "if n >= profiler.next_step: pass",
    "with profiler.waiting()": "with profiler.waiting(): pass",
    "for scale: time.perf_counter()": "perf_counter()",
}


class Tracer:
    """Captures nothing."""

    def __init__(self, request: Any) -> None:
        self._folder = request.folder

    def prepare(self) -> None:
        """Do nothing, like `start` and `step`."""

    start = prepare

    def step(self, number: int) -> None:
        """Do nothing."""

    def input(self) -> contextlib.AbstractContextManager[Any]:
        """Mark nothing."""
        return contextlib.nullcontext()

    def stop(self) -> list[Raw]:
        """Leave an empty trace."""
        path = Path(self._folder, "nothing.xplane.pb")
        path.touch()
        return [Raw("xspace", str(path), "nothing", {})]

    def abort(self) -> None:
        """Do nothing."""


def outside(log_dir: str, rounds: int) -> dict[str, float]:
    """Return the nanoseconds of each way to name a step, outside of windows."""
    profiler = mb.Profiler(log_dir, start=None)
    profiler.reached(0)
    names = {"profiler": profiler, "n": 500, "perf_counter": perf_counter}
    best: dict[str, float] = {}
    for _ in range(rounds):
        for way, code in {"nothing": "pass", **WAYS}.items():
            seconds = timeit.timeit(code, number=CALLS, globals=names)
            best[way] = min(seconds, best.get(way, seconds))
    nothing = best.pop("nothing")
    return {way: 1e9 * (seconds - nothing) / CALLS for way, seconds in best.items()}


def window(log_dir: str, rounds: int) -> dict[str, float]:
    """Return the microseconds at the beginning and the end of a window, and of a step in it, besides those of the tracer."""
    frameworks.ADAPTERS["nothing"] = "nothing_profile"
    sys.modules["nothing"] = sys.modules["nothing_profile"] = types.ModuleType("nothing")
    sys.modules["nothing_profile"].make_tracer = Tracer  # type: ignore[attr-defined]
    steps = 5
    profiler = mb.Profiler(log_dir, start=0, steps=steps, warmup=0, every=steps + 1, framework="nothing", convert="lazy")
    best: dict[str, float] = {}
    for n in range(rounds * (steps + 1)):
        began = perf_counter()
        profiler.reached(n)
        seconds = perf_counter() - began
        what = {0: "begin a window", steps: "end a window"}.get(n % (steps + 1), "a step in a window")
        best[what] = min(seconds, best.get(what, seconds))
    profiler.close()
    return {what: 1e6 * seconds for what, seconds in best.items()}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--out", type=Path, help="append the figures as a line of JSON")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as log_dir:
        nanoseconds, microseconds = outside(log_dir, arguments.rounds), window(log_dir, arguments.rounds)
    for way, figure in nanoseconds.items():
        print(f"{way:32} {figure:8.1f} ns")
    for what, figure in microseconds.items():
        print(f"{what:32} {figure:8.1f} us")
    if arguments.out is not None:
        with arguments.out.open("a") as file:
            file.write(json.dumps({"ns": nanoseconds, "us": microseconds}) + "\n")


if __name__ == "__main__":
    main()
