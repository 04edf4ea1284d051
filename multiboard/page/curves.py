"""Curves: scalars under one tag, and the norms of one tensor, of all runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from multiboard import tags
from multiboard.compare.joining import latest
from multiboard.compare.tolerances import DEFAULTS, TENSORS, scalar_kind
from multiboard.errors import ArgumentError, did_you_mean
from multiboard.page.limits import kept_steps

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import numpy.typing as npt

    from multiboard.page.parts import Board, Part
    from multiboard.reader import RunData

    Floats = npt.NDArray[np.float64]
    Steps = npt.NDArray[np.int64]
    Curve = tuple[dict[str, Any], Steps, Floats, Floats]

_KINDS: Final = ("loss", "metrics", "schedule")
_PER_TENSOR: Final = frozenset({"norm", "nonfinite"})
_OF_PARAMETERS: Final = (tags.PARAMS, tags.UPDATES)


def scalars(board: Board) -> Part:
    """Return the tags of the scalars, without those that there is one of for each tensor."""
    found = dict.fromkeys(tag for run in board.runs.values() for tag in run.scalars if not _per_tensor(tag))
    return {"tags": [_tag(board, tag) for tag in found]}


def _per_tensor(tag: str) -> bool:
    head, _, rest = tag.partition("/")
    group, _, path = rest.partition("/")
    return bool(head == tags.UPDATE_RATIO and rest) or bool(head in _PER_TENSOR and group in TENSORS and path)


def _tag(board: Board, tag: str) -> dict[str, Any]:
    kind = scalar_kind(tag)
    allowed = (board.comparison.tolerances if board.comparison else DEFAULTS).get(kind) if kind else None
    having = {name: len(np.unique(run.scalars[tag].step)) for name, run in board.runs.items() if tag in run.scalars}
    return {
        "tag": tag,
        "kind": kind if kind in _KINDS else None,
        "runs": list(having),
        "points": list(having.values()),
        "limit": allowed,
    }


def curve(board: Board, tag: str) -> Part:
    """Return the curves of one tag, and by run how far it may be from the baseline.

    Raises:
        ArgumentError: no run has the tag.
    """
    found = [({"run": name}, *points_of(run, tag)) for name, run in board.runs.items() if tag in run.scalars]
    if not found:
        known = (known for run in board.runs.values() for known in run.scalars)
        raise ArgumentError("tag", tag, f"no run has scalars of it.{did_you_mean(tag, known)}")
    return {"series": _series(board, found), "limits": list(_limits(board, tag))}


def points_of(run: RunData, tag: str) -> tuple[Steps, Floats, Floats]:
    """Return steps, ascending, wall times and values of a scalar; of a step that occurs several times the last point counts."""
    column = run.scalars[tag]
    step, last = latest(column.step)
    return step, column.wall_time[last], column.value[last]


def _series(board: Board, found: Sequence[Curve]) -> list[dict[str, Any]]:
    kept = kept_steps([(step, value) for _, step, _, value in found], board.limits.points)
    series = []
    for head, step, wall, value in found:
        at = slice(None) if kept is None else np.isin(step, kept)
        series.append({**head, "step": step[at], "wall": wall[at], "value": narrow(value[at])})
    return series


def narrow(value: Floats) -> npt.NDArray[np.float32]:
    """Return numbers as float32; what is too large is infinite."""
    with np.errstate(over="ignore"):
        return value.astype(np.float32)


def _limits(board: Board, tag: str) -> Iterator[dict[str, Any]]:
    """Yield by run from which relative differences on something is wrong, and which noise makes."""
    for one in board.scalars.get(tag, ()):
        kept = kept_steps([(one.step, one.distance)], board.limits.points)
        at = slice(None) if kept is None else np.isin(one.step, kept)
        yield {"run": one.run, "step": one.step[at], "limit": narrow(one.limit[at]), "noise": narrow(one.noise[at])}


def norms(board: Board, kind: str, name: str) -> Part:
    """Return norms, update ratios and counts of non-finite values of one tensor.

    Args:
        board: with the runs.
        kind: the group, e.g. 'grads'.
        name: what the baseline calls the tensor; '' for the whole group.

    Raises:
        ArgumentError: there is no such group.
    """
    if kind not in TENSORS:
        raise ArgumentError("kind", kind, f"the kinds are {', '.join(TENSORS)}")
    groups: dict[str, list[Curve]] = {}
    for run, paths in board.pieces(kind, name):
        for measure, tag, points in _measured(board.runs[run], kind, paths):
            groups.setdefault(measure, []).append(({"run": run, "tag": tag, "measure": measure}, *points))
    return {"series": [one for found in groups.values() for one in _series(board, found)]}


def _measured(run: RunData, kind: str, paths: Sequence[str]) -> Iterator[tuple[str, str, tuple[Steps, Floats, Floats]]]:
    """Yield measure, tag and points; the pieces of a tensor are added up."""
    tensors = [f"{kind}/{path}" if path else kind for path in paths]
    norm_tags = [tags.norm(one) for one in tensors]
    if all(tag in run.scalars for tag in norm_tags):
        yield "norm", norm_tags[0], _together(run, norm_tags, squares=True)
    ratio = tags.update_ratio(paths[0]) if paths[0] else tags.UPDATE_RATIO
    if kind in _OF_PARAMETERS and len(paths) == 1 and ratio in run.scalars:
        yield "update_ratio", ratio, points_of(run, ratio)
    counts = [tags.nonfinite(one) for one in tensors if tags.nonfinite(one) in run.scalars]
    if counts:
        yield "nonfinite", counts[0], _together(run, counts, squares=False)


def _together(run: RunData, names: Sequence[str], *, squares: bool) -> tuple[Steps, Floats, Floats]:
    """Return the points of several scalars at the steps that all have: their sum, or the root of the sum of squares."""
    parts = [points_of(run, name) for name in names]
    if len(parts) == 1:
        return parts[0]
    step = _common(step for step, _, _ in parts)
    values = np.stack([value[np.isin(steps, step)] for steps, _, value in parts])
    first_steps, wall, _ = parts[0]
    total = np.sqrt(np.square(values).sum(axis=0)) if squares else values.sum(axis=0)
    return step, wall[np.isin(first_steps, step)], total


def _common(steps: Iterable[Steps]) -> Steps:
    first, *others = steps
    for one in others:
        first = np.intersect1d(first, one, assume_unique=True)
    return first
