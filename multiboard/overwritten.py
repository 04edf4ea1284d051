"""Which points of a run a later resume wrote again, so that they stand in the way of a clean line.

TensorBoard's two loaders disagree here: the Python one obeys SessionLog START, the data server drops per tag what is at or
behind a later step. What is left out here, neither of them can draw as a zig-zag.
"""

from __future__ import annotations

import heapq
from bisect import bisect_left
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy.typing as npt

    from multiboard.history import Points, Start

_NEVER = np.iinfo(np.int64).max


def overwritten(points: Points, starts: Sequence[Start]) -> npt.NDArray[np.bool_]:
    """Return which points were written again later.

    Three things write again: a SessionLog START, for all tags, from its step on; a later file, for the tags in it, from the first
    step that each of them has there; and a step within one file that its tag already has, if the tag was at a larger one. A file
    that was still written to when the other one began is another writer's: nothing of it is left out because of that one.

    Args:
        points: of one run, in the order of files and records.
        starts: of the run.
    """
    out = points.step >= _first_again(points, starts)
    last_time = _last_times(points)
    order = np.argsort(points.tag, kind="stable")
    bounds = np.flatnonzero(np.diff(points.tag[order], prepend=-1))
    for rows in np.split(order, bounds[1:]):
        out[rows] |= _by_later_files(points.take(rows), last_time)
        rows = rows[~out[rows]]  # noqa: PLW2901  # those that are left
        out[rows] = list(_by_same_steps(points.file[rows].tolist(), points.step[rows].tolist()))
    return out


def _last_times(points: Points) -> npt.NDArray[np.float64]:
    """Return the wall time of the last point of each file."""
    last = np.full(int(points.file.max(initial=-1)) + 1, -np.inf)
    np.fmax.at(last, points.file, points.wall_time)
    return last


def _first_again(points: Points, starts: Sequence[Start]) -> npt.NDArray[np.int64]:
    """Return for each point the smallest step from which a START behind it begins again."""
    again = np.full(len(points.step), _NEVER)
    if not starts:
        return again
    file, record, step = (np.array([start[i] for start in starts], np.int64) for i in range(3))
    time = np.array([start.wall_time for start in starts])
    for number, last in enumerate(_last_times(points)):
        rows = np.flatnonzero(points.file == number)
        same = file == number
        smallest = np.append(np.minimum.accumulate(step[same][::-1])[::-1], _NEVER)
        again[rows] = smallest[np.searchsorted(record[same], points.record[rows])]
        later = step[(file > number) & (time > last)].min(initial=_NEVER)
        again[rows] = np.minimum(again[rows], later)
    return again


def _by_later_files(points: Points, last_time: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """Return which points of one tag a later file begins again."""
    out = np.zeros(len(points.step), bool)
    files, first = np.unique(points.file, return_index=True)
    for i, file in enumerate(files[:-1]):
        begins = first[i + 1 :]
        begins = begins[points.wall_time[begins] > last_time[file]]
        out[first[i] : first[i + 1]] = points.step[first[i] : first[i + 1]] >= points.step[begins].min(initial=_NEVER)
    return out


def _by_same_steps(files: list[int], steps: list[int]) -> Iterator[bool]:
    """Yield which points of one tag are behind a step that their file writes again, in the order of the points."""
    out = [False] * len(steps)
    line: list[int] = []  # rows whose steps rise
    line_steps: list[int] = []
    late: list[tuple[int, int]] = []  # heap of negative step and row, of points that came late
    late_steps: set[int] = set()
    for row, (file, step) in enumerate(zip(files, steps, strict=True)):
        if row and file != files[row - 1]:
            line, line_steps, late, late_steps = [], [], [], set()
        if line and step < line_steps[-1]:
            place = bisect_left(line_steps, step)
            again = steps[row - 1] != step and (line_steps[place] == step or step in late_steps)
            if not again:
                heapq.heappush(late, (-step, row))
                late_steps.add(step)
                continue
            for old in line[place:]:
                out[old] = True
            del line[place:], line_steps[place:]
            while late and -late[0][0] >= step:
                negative, old = heapq.heappop(late)
                late_steps.discard(-negative)
                out[old] = True
        line.append(row)
        line_steps.append(step)
    yield from out


def rising(points: Points) -> bool:
    """Tell whether no tag goes back."""
    order = np.argsort(points.tag, kind="stable")
    back = np.diff(points.step[order]) < 0
    same = np.diff(points.tag[order]) == 0
    return not bool((back & same).any())
