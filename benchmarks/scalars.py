"""What a scalar costs, sustained: Python floats under 10 tags, one per call and in dicts, drained and closed.

python benchmarks/scalars.py [--rounds 5] [--out results.jsonl]

The figures are per scalar. The values, and with 'dicts built before' the dicts too, exist before the clock starts; with 'dict
literal' the dict is built inside the loop, as people write it. Loggers that take more than 100 us get a fifth of the calls.
The last races have ten times as many, for those that would be done before their writer thread wakes up.
"""

from __future__ import annotations

import gc
import time
from typing import TYPE_CHECKING, Any

import numpy as np
from clocks import bytes_in, lap, report, start, total
from contenders import DROP_IN, LOGGERS, OURS
from measure import of_logger, options, race
from readback import check_scalars
from targets import DICT_LITERAL, DICTS, SINGLE

if TYPE_CHECKING:
    from collections.abc import Iterable

    from measure import Contender

TAGS = tuple(f"train/metric_{k}" for k in range(10))
WARM_UP = 10
"""Steps before the clock starts: first calls compile, connect and describe tags."""

Rows = list[tuple[float, ...]]


def rows_of(n: int) -> Rows:
    """Return the numbers of each step, ten by ten; n is the number of scalars after the warm-up."""
    table = np.random.default_rng(0).random((WARM_UP + n // len(TAGS), len(TAGS)))
    return [tuple(row) for row in table.tolist()]


def single(name: str, log_dir: str, n: int) -> None:
    """Measure one scalar per call."""
    calls = [(tag, value, step) for step, row in enumerate(rows_of(n)) for tag, value in zip(TAGS, row, strict=True)]
    logger = _opened(name, log_dir)
    scalar = logger.scalar
    for tag, value, step in calls[: WARM_UP * len(TAGS)]:
        scalar(tag, value, step)
    calls = calls[WARM_UP * len(TAGS) :]
    _settle()
    for tag, value, step in calls:
        scalar(tag, value, step)
    _finish(logger, log_dir, n)


def prebuilt(name: str, log_dir: str, n: int) -> None:
    """Measure ten scalars per call, in dicts that exist before."""
    dicts = [dict(zip(TAGS, row, strict=True)) for row in rows_of(n)]
    logger = _opened(name, log_dir)
    log = logger.step
    for step in range(WARM_UP):
        log(dicts[step], step)
    steps = list(enumerate(dicts))[WARM_UP:]
    _settle()
    for step, metrics in steps:
        log(metrics, step)
    _finish(logger, log_dir, n)


def literal(name: str, log_dir: str, n: int) -> None:
    """Measure ten scalars per call, in dicts that are built inside the loop."""
    rows = rows_of(n)
    logger = _opened(name, log_dir)
    log = logger.step
    for step in range(WARM_UP):
        log(dict(zip(TAGS, rows[step], strict=True)), step)
    steps = [(step, *row) for step, row in enumerate(rows)][WARM_UP:]
    _settle()
    for step, a, b, c, d, e, f, g, h, i, j in steps:
        log(
            {
                "train/metric_0": a,
                "train/metric_1": b,
                "train/metric_2": c,
                "train/metric_3": d,
                "train/metric_4": e,
                "train/metric_5": f,
                "train/metric_6": g,
                "train/metric_7": h,
                "train/metric_8": i,
                "train/metric_9": j,
            },
            step,
        )
    _finish(logger, log_dir, n)


def check(name: str, log_dir: str, n: int) -> None:
    """Read all numbers back."""
    columns = np.array(rows_of(n)).T
    report(verified=check_scalars(LOGGERS[name].form, log_dir, dict(zip(TAGS, columns, strict=True))))


def _opened(name: str, log_dir: str) -> Any:
    return LOGGERS[name].open(log_dir)


def _settle() -> None:
    """Let writer threads catch up with the warm-up, keep the prepared values out of garbage collections, start the clock."""
    time.sleep(0.3)
    gc.collect()
    gc.freeze()
    start()


def _finish(logger: Any, log_dir: str, n: int) -> None:
    passed = lap()
    logger.close()
    whole = total()
    report(
        caller_us=passed["wall_s"] / n * 1e6,
        caller_cpu_us=passed["caller_cpu_s"] / n * 1e6,
        total_cpu_us=whole["cpu_s"] / n * 1e6,
        bytes=bytes_in(log_dir) / (n + WARM_UP * len(TAGS)),
        memory_mb=whole["memory_mb"],
    )


def contenders(job: str, n: int, names: Iterable[str] = LOGGERS) -> dict[str, Contender]:
    """Return the loggers that have scalars, for one of the jobs above; slow ones with a fifth of the calls."""
    found = {}
    for name in names:
        if LOGGERS[name].form != "png":
            size = n // 5 if LOGGERS[name].slow else n
            call = f"({{name!r}}, d, {size})"
            label = f"{name} (n = {size:,})" if size != n else name
            found[label] = of_logger(name, f"import scalars; scalars.{job}{call}", f"scalars.check{call}")
    return found


def main() -> None:
    """Run the races."""
    arguments = options(__doc__)
    n = int(100_000 * arguments.scale) // len(TAGS) * len(TAGS)
    race(SINGLE, contenders("single", n), arguments)
    race(DICTS, contenders("prebuilt", n), arguments)
    race(DICT_LITERAL, contenders("literal", n), arguments)
    fast = (OURS, DROP_IN, "csv.writer", "empty call")
    race(f"{SINGLE}, n = {10 * n:,}", contenders("single", 10 * n, fast), arguments)
    race(f"{DICTS}, n = {10 * n:,}", contenders("prebuilt", 10 * n, fast), arguments)


if __name__ == "__main__":
    main()
