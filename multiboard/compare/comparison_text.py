"""A comparison for people: plain text for errors and logs, tables for a terminal."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from multiboard.compare.oracle import SAME_WRONG, summary
from multiboard.compare.tolerances import KINDS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy.typing as npt
    from rich.console import RenderableType

    from multiboard.compare.comparison import Comparison
    from multiboard.compare.diagnosis import Diagnosis
    from multiboard.compare.divergence import Divergence
    from multiboard.compare.findings import Finding

VERDICTS = ("within tolerance", "diverged", "not all could be compared")
"""By exit status."""
_PARTS = ("step", "kind", "what", "beyond limit at", "baseline", "other", "difference", "limit")
_WORST = ("kind", "compared", "largest difference", "limit there", "step", "what")


class Worst(NamedTuple):
    """What comes closest to its limit, or is farthest beyond it, among all of one kind.

    Attributes:
        run: the other run.
        kind: what was compared.
        compared: number of tensors or scalars.
        points: steps of all of them together.
        distance: relative difference.
        limit: at the same place.
        step: of it.
        name: of the tensor or scalar.
        parted: how many have points beyond their limit.
    """

    run: str
    kind: str
    compared: int
    points: int
    distance: float
    limit: float
    step: int
    name: str
    parted: int


def worst_of(findings: Sequence[Finding]) -> list[Worst]:
    """Return one entry per run and kind, the kinds in the order of cause."""
    groups: dict[tuple[str, str], list[Finding]] = {}
    for finding in findings:
        if len(finding.step):
            groups.setdefault((finding.run, finding.kind), []).append(finding)
    return [_worst(*key, groups[key]) for key in sorted(groups, key=lambda key: KINDS.index(key[1]))]


def _worst(run: str, kind: str, group: Sequence[Finding]) -> Worst:
    worst, at = max(
        ((finding, int(np.argmax(_excess(finding)))) for finding in group), key=lambda pair: _excess(pair[0])[pair[1]]
    )
    parted = sum(bool((finding.distance > finding.limit).any()) for finding in group)
    points = sum(len(finding.step) for finding in group)
    distance, limit = float(worst.distance[at]), float(worst.limit[at])
    return Worst(run, kind, len(group), points, distance, limit, int(worst.step[at]), worst.name, parted)


def _excess(finding: Finding) -> npt.NDArray[np.float64]:
    with np.errstate(over="ignore"):
        return finding.distance / np.maximum(finding.limit, 1e-300)


def text(comparison: Comparison) -> str:
    """Return a comparison as plain text: verdict, mismatches, first divergence and the next ones, what was not compared."""
    first, *others = comparison.names
    lines = [f"{', '.join(others)} against {first}: {VERDICTS[comparison.code]} ({comparison.noise})"]
    lines += [f"  {line}" for line in _mismatches(comparison)]
    for run in others:
        found = [one for one in comparison.divergence if one.run == run]
        if found:
            lines.append(f"  {run} parts {_where(found[0])}")
            lines += [f"    {line}" for line in _aligned([_PARTS, *map(cells, found)])]
            more = sum(one.run == run for one in comparison.parted) - len(found)
            lines += [f"    and {more} more"] if more else []
        lines += [f"  {line}" for one in comparison.diagnoses if one.run == run for line in diagnosis_lines(one)]
    lines += [f"  {line}" for line in oracle_lines(comparison)]
    lines += [f"  not compared: {note}" for note in _notes(comparison)]
    return "\n".join(lines)


def _notes(comparison: Comparison) -> Iterator[str]:
    for note in comparison.notes:
        yield f"{note.run}: {note.text}" if len(comparison.names) > 2 else note.text  # noqa: PLR2004


def _mismatches(comparison: Comparison) -> Iterator[str]:
    for one in comparison.gate:
        run = f"{one.run}: " if len(comparison.names) > 2 else ""  # noqa: PLR2004
        yield f"{run}{one.what} {one.name}: {one.a} | {one.b}"


def oracle_lines(comparison: Comparison) -> list[str]:
    """Return how far the runs are from the reference, in sentences; none without a reference."""
    first, *others = comparison.names
    lines: list[str] = []
    for run in others if comparison.reference else ():
        lines += summary([one for one in comparison.errors if one.run == run], (comparison.reference, first, run))
    return lines


def _where(first: Divergence) -> str:
    since = f", the last compared step before it is {first.since}" if first.since is not None else ""
    return f"first in {first.kind} {first.name} at step {first.step}{since}:"


def diagnosis_lines(one: Diagnosis) -> list[str]:
    """Return a diagnosis as lines: a title, the text, and what was observed."""
    where = [one.layer] if one.layer else []
    where += [] if one.step is None else [f"step {one.step}"]
    return [
        f"{one.run} may have: {one.title}" + (f" ({', '.join(where)})" if where else ""),
        f"  {one.text}",
        *(f"  - {observed}" for observed in one.evidence),
    ]


def cells(one: Divergence) -> tuple[str, ...]:
    """Return a divergence as texts, in the order of the headings."""
    kind = f"{one.kind}, by element" if one.exact else one.kind
    return (str(one.step), kind, one.name, str(one.beyond), *map(number, (one.a, one.b, one.distance, one.limit)))


def number(value: float) -> str:
    """Return a number of four digits; '-' for what is not known.

    >>> number(0.00123456), number(float("nan"))
    ('0.001235', '-')
    """
    return "-" if math.isnan(value) else f"{value:.4g}"


def _aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def renderable(comparison: Comparison) -> RenderableType:
    """Return a comparison as tables for a terminal."""
    from rich.console import Group
    from rich.markup import escape
    from rich.text import Text

    first, *others = comparison.names
    parts: list[RenderableType] = [Text(f"mismatch: {line}", style="yellow") for line in _mismatches(comparison)]
    for run in others:
        found = [one for one in comparison.divergence if one.run == run]
        if found:
            count = sum(one.run == run for one in comparison.parted)
            title = f"{run} parts from {first} {_where(found[0])[:-1]}" + (f"; {count} in all" if count > 1 else "")
            parts.append(_table(escape(title), _PARTS, map(cells, found)))
        for one in comparison.diagnoses:
            parts += _told(one) if one.run == run else []
        rows = [_worst_cells(one) for one in worst_of(comparison.findings) if one.run == run]
        parts.append(_table(escape(f"{run} against {first}: largest differences"), _WORST, rows))
    parts += [Text(line, style="bold red" if line.startswith(SAME_WRONG) else "") for line in oracle_lines(comparison)]
    parts += [Text(f"not compared: {note}", style="yellow") for note in _notes(comparison)]
    parts += [Text(comparison.noise), Text(VERDICTS[comparison.code], style="bold green" if not comparison.code else "bold red")]
    return Group(*parts)


def short(comparison: Comparison, run: str) -> list[RenderableType]:
    """Return for a terminal where a run parts first, and what may be wrong with it.

    Args:
        comparison: of any number of runs.
        run: one of them, not the baseline.
    """
    from rich.text import Text

    first = next((one for one in comparison.parted if one.run == run), None)
    missing = [f"{run}: {note.text}" for note in comparison.notes if note.run == run and note.missing]
    sizes = [f"{run}: {one.what} {one.name}: {one.a} | {one.b}" for one in comparison.gate if one.run == run and one.fails]
    diagnoses = [part for one in comparison.diagnoses if one.run == run for part in _told(one)]
    lines = [*missing, *sizes]
    if first:
        lines.insert(0, f"{run} parts from {comparison.names[0]} {_where(first)[:-1]}: {number(first.distance)} apart")
    if not lines:
        return [Text(f"{run} is within tolerance of {comparison.names[0]}", style="bold green"), *diagnoses]
    return [*(Text(line, style="bold red") for line in lines), *diagnoses]


def _told(one: Diagnosis) -> list[RenderableType]:
    from rich.padding import Padding
    from rich.text import Text

    title, *lines = diagnosis_lines(one)
    return [Text(title, style="bold yellow"), *(Padding(Text(line.strip()), (0, 0, 0, 2)) for line in lines)]


def _worst_cells(one: Worst) -> tuple[str, ...]:
    count = f"{one.compared} x {one.points // one.compared} steps" + (f", {one.parted} beyond" if one.parted else "")
    return one.kind, count, number(one.distance), number(one.limit), str(one.step), one.name


def _table(title: str, headings: Sequence[str], rows: Iterator[Sequence[str]] | Sequence[Sequence[str]]) -> RenderableType:
    from rich.markup import escape
    from rich.table import Table

    table = Table(title=title, title_justify="left")
    for heading in headings:
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(*map(escape, row))
    return table
