"""What system metrics cost: the time of a processor that the readings take, as a share of one core.

    python benchmarks/system_metrics.py
    python benchmarks/system_metrics.py --gpu    # also what is read while PyTorch keeps a GPU busy that holds 4 GiB

A reading with all that belongs to it (the sources, the means, the point in the run) is timed by the clock of its own thread, many
in a row, so that neither the training nor the load of the machine is in it; the share at an interval follows. Beside it, as a
check, the whole process is measured while it sleeps, with and without the metrics at a short interval.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from statistics import median

import multiboard as mb
from multiboard.system.sources import find_sources
from multiboard.system.watching import Watched

INTERVALS = (10.0, 1.0)


def reading_seconds(directory: Path, readings: int) -> tuple[float, dict[str, float]]:
    """Return the median seconds of a processor for one reading with its point, and by source without it."""
    with mb.Run(directory / "readings", facts=False) as run:
        watched = Watched(run, 1.0, find_sources(run.log_dir, run.report))
        spent = []
        for step in range(readings):
            run.log({"x": 1.0}, step)
            time.sleep(0.03)
            begin = time.thread_time()
            watched.sample()
            spent.append(time.thread_time() - begin)
        parts = {source.name: _seconds_of(source.read, readings) for source in find_sources(run.log_dir, run.report)}
    return median(spent), parts


def _seconds_of(action: object, times: int) -> float:
    spent = []
    for _ in range(times):
        begin = time.thread_time()
        action()  # type: ignore[operator]
        spent.append(time.thread_time() - begin)
    return median(spent)


def process_share(directory: Path, seconds: float, every: float | None) -> float:
    """Return the share of a core that a process takes that logs ten steps a second and sleeps otherwise."""
    with mb.Run(directory / f"every_{every}", facts=False, system=every or False) as run:
        run.log({"x": 1.0}, 0)
        run.flush()
        begin, clock = time.process_time(), time.monotonic()
        for step in range(int(seconds * 10)):
            run.log({"x": 1.0}, step)
            time.sleep(0.1)
        return (time.process_time() - begin) / (time.monotonic() - clock)


def busy_gpu(directory: Path, seconds: float) -> dict[str, float]:
    """Return what a run says of the GPUs, in the mean over a time in which one of them multiplies matrices and holds 4 GiB."""
    import torch

    held = torch.zeros(1 << 30, dtype=torch.float32, device="cuda")
    a = torch.randn(8192, 8192, device="cuda", dtype=torch.bfloat16)
    with mb.Run(directory / "busy", facts=False, system=0.2) as run:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            for _ in range(20):
                a @ a
            torch.cuda.synchronize()
        run.log({"x": float(held[0])}, 0)
    scalars = mb.read(directory / "busy")["."].scalars
    return {tag: float(column.value[-1]) for tag, column in scalars.items() if tag.startswith("system/gpu")}


def main() -> None:
    """Print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--readings", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=15.0)
    parser.add_argument("--gpu", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        one, parts = reading_seconds(Path(directory), options.readings)
        without = process_share(Path(directory), options.seconds, None)
        with_metrics = process_share(Path(directory), options.seconds, 0.1)
        busy = {"busy_gpu": busy_gpu(Path(directory), 4.0)} if options.gpu else {}
    print(
        json.dumps(
            {
                "reading_ms": round(1e3 * one, 3),
                "by_source_ms": {name: round(1e3 * spent, 3) for name, spent in parts.items()},
                **{f"share_of_a_core_every_{interval:g}_s_pct": round(100 * one / interval, 4) for interval in INTERVALS},
                "process_at_0.1_s_ms_per_reading": round(1e3 * (with_metrics - without) * 0.1, 3),
                **busy,
            },
            indent=2,
        )
    )


if __name__ == "__main__":
    main()
