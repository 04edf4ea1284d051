"""Tensors that runs kept element by element: how far they are apart, the most different first."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from multiboard.compare.exact import ExactRow
    from multiboard.page.parts import Board, Part


def exact(board: Board) -> Part:
    """Return the distances of tensors at the steps that two runs have, and how many there are of each run.

    Of many rows each step keeps its most different ones: with the steps everything comes apart, and the first one tells most.
    """
    found: dict[str, list[ExactRow]] = {}
    for row in board.comparison.exact if board.comparison else ():
        found.setdefault(row.run, []).append(row)
    kept = [row for rows in found.values() for row in most_different(rows, board.limits.exact)]
    kept.sort(key=_apart, reverse=True)
    return {"rows": [row._asdict() for row in kept], "counts": {run: len(rows) for run, rows in found.items()}}


def most_different(rows: Iterable[ExactRow], most: int | None) -> list[ExactRow]:
    """Return the rows that are farthest apart, about as many of each step.

    Args:
        rows: of one run.
        most: that stay; None for all.
    """
    places: Counter[int] = Counter()
    ranked: list[tuple[int, ExactRow]] = []
    for row in sorted(rows, key=_apart, reverse=True):
        ranked.append((places[row.step], row))
        places[row.step] += 1
    ranked.sort(key=lambda pair: pair[0])
    return [row for _, row in ranked[:most]]


def _apart(row: ExactRow) -> float:
    return row.relative_l2
