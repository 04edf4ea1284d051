"""Training loops in blocks without and with logging, in turns: what both frameworks' loops share."""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from contenders import LOGGERS
from histogram_pass import read_histograms
from readback import numbers_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

BLOCK = 50
"""Steps in a block, and from one capture to the next."""
PAIRS = 12
TAGS = tuple(f"train/metric_{k}" for k in range(10))

Figures = dict[str, float]
"""Of one block: its clocks by name, in seconds."""


def in_turns(pairs: int, plain: Callable[[], Figures], logged: Callable[[], Figures]) -> Figures:
    """Run pairs of blocks, the first of them apart, and return the figures of all; which of a pair is first takes turns.

    Args:
        pairs: measured.
        plain: runs a block without logging.
        logged: runs one with it.
    """
    rows = []
    for pair in range(1 + pairs):
        first, second = (logged, plain) if pair % 2 else (plain, logged)
        found = {first: first(), second: second()}
        rows.append((found[plain], found[logged]))
    return figures_of_pairs(rows[1:])


def figures_of_pairs(rows: list[tuple[Figures, Figures]]) -> Figures:
    """Return the medians of the differences between blocks without and with logging, and the time of a step without."""

    def percent(clock: str) -> float:
        return statistics.median(logged[clock] / plain[clock] - 1 for plain, logged in rows) * 100

    def added_ms(clock: str) -> float:
        return statistics.median(logged[clock] - plain[clock] for plain, logged in rows) / BLOCK * 1e3

    return {
        "all_threads_percent": percent("cpu_s"),
        "main_thread_percent": percent("main_s"),
        "wall_percent": percent("wall_s"),
        "added_cpu_ms": added_ms("cpu_s"),
        "added_main_ms": added_ms("main_s"),
        **({"calls_ms": added_ms("calls_s")} if "calls_s" in rows[0][0] else {}),
        "step_ms": statistics.median(plain["wall_s"] for plain, _ in rows) / BLOCK * 1e3,
        "spread_percent": _spread([logged["cpu_s"] / plain["cpu_s"] for plain, logged in rows]),
    }


def _spread(ratios: list[float]) -> float:
    """Return the distance of the quartiles in percent: what a difference must exceed."""
    quarters = statistics.quantiles(ratios, n=4) if len(ratios) > 1 else [0.0, 0.0, 0.0]
    return (quarters[2] - quarters[0]) * 100


def check_logged(name: str, log_dir: str, logged: Sequence[dict[str, float]], sizes: list[int]) -> str:
    """Read all numbers and the distributions of each block back, and return the name of the reader.

    Args:
        name: of the logger.
        log_dir: where it has written.
        logged: the metrics of all logged steps.
        sizes: number of values of each parameter.
    """
    form = LOGGERS[name].form
    numbers = {(tag, step): value for tag, step, value in numbers_of(form, Path(log_dir)) if tag in TAGS}
    expected = {(tag, step): value for step, metrics in enumerate(logged) for tag, value in metrics.items()}
    if numbers.keys() != expected.keys() or not np.allclose([numbers[key] for key in expected], list(expected.values())):
        raise ValueError(f"{len(numbers)} numbers of {len(expected)}, or other ones")
    reader, found = read_histograms(form, log_dir)
    counted = [round(rows[:, 2].sum()) for rows in found.values()]
    if sorted(counted) != sorted(sizes * 2 * (len(logged) // BLOCK)):
        raise ValueError(f"{len(counted)} histograms instead of {len(sizes) * 2 * (len(logged) // BLOCK)}, or other counts")
    return reader
