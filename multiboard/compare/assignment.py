"""The cheapest way to give every row a column of its own: the assignment problem.

Shortest augmenting paths with potentials after Jonker and Volgenant (Computing 38, 1987), one NumPy operation per column visited.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt


def assign(cost: npt.ArrayLike) -> list[tuple[int, int]]:
    """Return pairs of row and column with the least sum; as many as the shorter side has, by row.

    Args:
        cost: finite `[n, m]`.

    >>> assign([[1.0, 2.0], [1.0, 9.0]])
    [(0, 1), (1, 0)]
    """
    table = np.asarray(cost, np.float64)
    if not table.size:
        return []
    if table.shape[0] > table.shape[1]:
        return sorted((row, column) for column, row in assign(table.T))
    return sorted((int(row), column) for column, row in enumerate(_rows(table)) if row >= 0)


def _rows(cost: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """Return the row of each column, -1 for none; there are no more rows than columns."""
    count, width = cost.shape
    of = np.full(width, -1, np.int64)
    rows, columns = np.zeros(count), np.zeros(width)
    for row in range(count):
        _augment(cost, row, of, rows, columns)
    return of


def _augment(cost: npt.NDArray[np.float64], row: int, of: npt.NDArray[np.int64], rows: Any, columns: Any) -> None:
    """Give one more row a column, and move others along the cheapest path to a free one."""
    width = cost.shape[1]
    distance, came = np.full(width, np.inf), np.full(width, -1, np.int64)
    done = np.zeros(width, bool)
    at, column, reach = row, -1, 0.0
    while at >= 0:
        through = reach + cost[at] - rows[at] - columns
        nearer = ~done & (through < distance)
        distance[nearer], came[nearer] = through[nearer], column
        column = _nearest(np.where(done, np.inf, distance), of)
        reach = float(distance[column])
        done[column] = True
        at = int(of[column])
    visited = done.copy()
    visited[column] = False
    rows[row] += reach
    rows[of[visited]] += reach - distance[visited]
    columns[visited] -= reach - distance[visited]
    while column >= 0:
        before = int(came[column])
        of[column] = row if before < 0 else of[before]
        column = before


def _nearest(distance: npt.NDArray[np.float64], of: npt.NDArray[np.int64]) -> int:
    """Return the column at the least distance; a free one among equals, or tables full of ties would take cubic time."""
    equal = np.flatnonzero(distance == distance.min())
    free = equal[of[equal] < 0]
    return int(free[0] if len(free) else equal[0])
