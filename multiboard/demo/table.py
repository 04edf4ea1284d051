"""What the demo prints: last values, largest differences, where curves part, and what may be wrong."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Final

import numpy as np
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Container, Mapping

    from rich.console import RenderableType

    from multiboard.reader import Column, RunData

METRICS: Final = ("train/loss", "train/accuracy", "val/loss", "val/accuracy")


@dataclass(frozen=True, slots=True)
class Difference:
    """How far the curves of one metric are apart over all pairs of runs.

    Attributes:
        largest: the largest absolute difference at any common step.
        at: the step of it.
        first: the first step where any two curves differ by more than the tolerance, or None.
    """

    largest: float
    at: int
    first: int | None


def difference(columns: Mapping[str, Column], tolerance: float) -> Difference | None:
    """Compare the curves of one metric at their common steps; None for fewer than two runs.

    Args:
        columns: the curve of each run.
        tolerance: absolute.
    """
    found: Difference | None = None
    first: list[int] = []
    for a, b in combinations(columns, 2):
        steps, in_a, in_b = np.intersect1d(columns[a].step, columns[b].step, return_indices=True)
        if not len(steps):
            continue
        apart = np.abs(columns[a].value[in_a] - columns[b].value[in_b])
        first += [int(step) for step in steps[~(apart <= tolerance)][:1]]
        worst = int(np.argmax(np.where(np.isnan(apart), np.inf, apart)))
        if found is None or not apart[worst] <= found.largest:
            found = Difference(float(apart[worst]), int(steps[worst]), None)
    return found and Difference(found.largest, found.at, min(first, default=None))


def comparison_table(runs: Mapping[str, RunData], seconds: Mapping[str, float], tolerance: float) -> Table:
    """Return the table of the demo: one row per metric, one column per framework."""
    table = Table(title="The same model, three ways" if len(runs) > 2 else "The same model")  # noqa: PLR2004
    table.add_column("last value", no_wrap=True)
    for name in runs:
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("largest difference (step)", justify="right", min_width=13)
    table.add_column(f"first step beyond {tolerance:g}", justify="right")
    for metric in METRICS:
        columns = {name: run.scalars[metric] for name, run in runs.items() if metric in run.scalars and len(run.scalars[metric])}
        values = [f"{columns[name].value[-1]:.5f}" if name in columns else "-" for name in runs]
        table.add_row(metric, *values, *_describe(difference(columns, tolerance)))
    table.add_section()
    table.add_row("seconds", *(f"{seconds[name]:.1f}" for name in runs), "", "")
    return table


def _describe(found: Difference | None) -> tuple[str, str]:
    if found is None:
        return "-", "-"
    largest = f"{found.largest:.1e} ({found.at})" if found.largest else "none"
    return largest, "never" if found.first is None else str(found.first)


def verdict(runs: Mapping[str, RunData], broken: Container[str] = ()) -> RenderableType:
    """Return where the runs part from the first one without a mistake, and what may be wrong with them.

    Args:
        runs: by framework, two or more.
        broken: frameworks in which a mistake was made.
    """
    from rich.console import Group
    from rich.text import Text

    from multiboard.compare.comparison import compare
    from multiboard.compare.comparison_text import short

    baseline, *others = sorted(runs, key=lambda name: name in broken)
    found = compare(*(runs[name] for name in (baseline, *others)), names=(baseline, *others))
    return Group(Text(), *(part for name in others for part in short(found, name)))
