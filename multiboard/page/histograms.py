"""Histograms of one tensor in all runs: nine quantiles at every step, and the bars at some."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from multiboard.compare.joining import join, latest
from multiboard.compare.tensor_differences import readings
from multiboard.compare.tolerances import TENSORS
from multiboard.errors import ArgumentError, did_you_mean
from multiboard.page.curves import narrow
from multiboard.page.limits import spread

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from multiboard.page.parts import Board, Part
    from multiboard.reader import RunData

    Floats = npt.NDArray[np.float64]

QUANTILES: Final = (0.0, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 1.0)
"""Those that travel of every histogram."""
_LARGEST: Final = float(np.finfo(np.float32).max)


def histogram(board: Board, kind: str, name: str) -> Part:
    """Return the histograms of one tensor in the runs that have it.

    Args:
        board: with the runs.
        kind: the group, e.g. 'grads'; 'histograms' for tags without a group.
        name: what the baseline calls the tensor, without the group.

    Raises:
        ArgumentError: the baseline has no such histograms.
    """
    if kind not in (*TENSORS, "histograms"):
        raise ArgumentError("kind", kind, f"the kinds are {', '.join((*TENSORS, 'histograms'))}")
    pieces = board.pieces(kind, name)
    series = [one for run, paths in pieces if (one := _series(board, run, kind, name, paths))]
    if not series:
        known = [tag.removeprefix(f"{kind}/") for tag in board.baseline.histograms]
        raise ArgumentError("name", name, f"the baseline has no {kind} of it.{did_you_mean(name, known)}")
    return {"series": series}


def _series(board: Board, run: str, kind: str, name: str, paths: Sequence[str]) -> dict[str, Any] | None:
    data = board.runs[run]
    step, captures = readings(data, kind, paths).histogram
    if not len(step):
        return None
    first = paths[0] if kind == "histograms" else f"{kind}/{paths[0]}"
    parted = board.parted_at(kind, name)
    kept = spread(len(step), board.limits.quantiles, np.flatnonzero(np.isin(step, parted)).tolist())
    step, captures = step[kept], [captures[at] for at in kept]
    shown = spread(len(step), board.limits.captures, np.flatnonzero(np.isin(step, parted)).tolist())
    rows = [captures[at] for at in shown]
    finding = board.tensors.get((run, kind, name))
    return {
        "run": run,
        "name": paths[0],
        "level": finding.level if finding else "",
        "step": step,
        "wall": _wall(data, first, step),
        "quantiles": narrow(quantiles(captures).reshape(-1)),
        "shown": shown.astype(np.int32),
        "offsets": np.cumsum([0, *map(len, rows)]).astype(np.int32),
        "rows": _rows(rows),
    }


def _wall(run: RunData, tag: str, step: npt.NDArray[np.int64]) -> Floats:
    column = run.histograms[tag]
    steps, last = latest(column.step)
    joined = join(step, steps)
    wall: Floats = column.wall_time[last][joined.b]
    return wall


def _rows(captures: Sequence[Floats]) -> npt.NDArray[np.float32]:
    """Return left, right and count of all rows behind each other; open ends are cut to what float32 holds."""
    rows = np.concatenate([*captures, np.zeros((0, 3))])
    rows = np.column_stack([np.clip(rows[:, :2], -_LARGEST, _LARGEST), rows[:, 2]])
    return narrow(rows.reshape(-1))


def quantiles(captures: Sequence[Floats]) -> Floats:
    """Return nine quantiles of histograms, `[n, 9]`: the values inside of a bar are taken as evenly spread; NaN of nothing.

    Args:
        captures: n arrays `[k, 3]` of left, right and count, ascending.

    >>> quantiles([np.array([[0.0, 1.0, 1.0], [1.0, 1.0, 2.0]])])[0].tolist()[3:]
    [0.75, 1.0, 1.0, 1.0, 1.0, 1.0]
    """
    result = np.full((len(captures), len(QUANTILES)), np.nan)
    for at, rows in enumerate(captures):
        filled = rows[rows[:, 2] > 0]
        if len(filled):
            result[at] = _inverse(filled)
    return result


def _inverse(rows: Floats) -> Floats:
    left, right = np.clip(rows[:, :2].T, -_LARGEST, _LARGEST)
    reached = np.cumsum(rows[:, 2])
    wanted = np.array(QUANTILES) * reached[-1]
    at = np.minimum(np.searchsorted(reached, wanted), len(rows) - 1)
    share = (wanted - (reached[at] - rows[at, 2])) / rows[at, 2]
    return np.asarray(left[at] + np.clip(share, 0.0, 1.0) * (right[at] - left[at]))
