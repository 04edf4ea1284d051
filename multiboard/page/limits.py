"""How much of long runs a page gets, and the sentences that say what it does not get."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from multiboard.page.media_tags import shown_media

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import numpy.typing as npt

    from multiboard.page.parts import Board
    from multiboard.reader import Column, RunData

    Steps = npt.NDArray[np.int64]
    Floats = npt.NDArray[np.float64]


class Limits(NamedTuple):
    """What a page gets at most.

    Attributes:
        points: of one curve.
        captures: histograms of one tensor in one run with all their bars.
        quantiles: histograms of one tensor in one run at all; None for all, those without bars as nine quantiles.
        media: steps of one tag of pictures, clips and texts; None for all.
        tensors: by kind, of which a file holds histograms and norms; None for all. What is asked for one by one is not bounded.
        cells: of a map of layers and steps; None for all.
        exact: rows of the tensors that a run kept element by element; None for all.
    """

    points: int = 4000
    captures: int = 200
    quantiles: int | None = None
    media: int | None = None
    tensors: int | None = None
    cells: int | None = None
    exact: int | None = 2000


IN_FILE = Limits(points=1000, captures=8, quantiles=100, media=8, tensors=60, cells=100_000, exact=500)
"""What a report gets unless something else is said."""


def kept_steps(series: Sequence[tuple[Steps, Floats]], most: int, keep: Iterable[int] = ()) -> Steps | None:
    """Return the steps of the points that stand for all of some curves, None if that is all of them.

    The steps are cut into pieces; of each the lowest and the highest value of each curve stays, and all curves have these steps,
    so that they can still be subtracted. The first and the last point of each stay.

    Args:
        series: steps, ascending, and values of each curve.
        most: points of a curve.
        keep: further steps.
    """
    if max((len(step) for step, _ in series), default=0) <= most:
        return None
    steps = np.unique(np.concatenate([step for step, _ in series]))
    pieces = max(1, most // (2 * len(series)))
    edges = steps[np.arange(1, pieces) * len(steps) // pieces]
    chosen = [np.asarray(list(keep), np.int64)]
    for step, value in series:
        if not len(step):
            continue
        piece = np.searchsorted(edges, step, side="right")
        order = np.lexsort((value, piece))
        at = np.flatnonzero(np.diff(piece[order], prepend=-1))
        chosen.append(step[order[at]])
        chosen.append(step[order[np.append(at[1:], len(order)) - 1]])
        chosen.append(step[[0, -1]])
    return np.unique(np.concatenate(chosen))


def spread(count: int, most: int | None, keep: Iterable[int] = ()) -> npt.NDArray[np.intp]:
    """Return which of some things stay: all, or the first, the last and those evenly between.

    Args:
        count: of all.
        most: that stay.
        keep: further ones, in place of others.

    >>> spread(9, 3).tolist(), spread(9, 3, keep=[5]).tolist(), spread(2, 3).tolist()
    ([0, 4, 8], [0, 5, 8], [0, 1])
    """
    if most is None or count <= most:
        return np.arange(count)
    even = dict.fromkeys(np.rint(np.linspace(0, count - 1, max(most, 1))).astype(int).tolist())
    fixed = {0, count - 1}
    for one in list(keep)[: max(most - 2, 0)]:
        fixed.add(one)
        loose = [known for known in even if known not in fixed]
        if one not in even and loose:
            del even[min(loose, key=lambda known, one=one: abs(known - one))]  # type: ignore[misc]
            even[one] = None
    return np.array(sorted(even), np.intp)


def thinned(board: Board) -> list[str]:
    """Return what a page does not get of some runs, in sentences."""
    return list(_thinned(list(board.runs.values()), board.limits)) + list(_left_out(board))


def _thinned(runs: Sequence[RunData], limits: Limits) -> Iterator[str]:
    long = sum(len(np.unique(column.step)) > limits.points for run in runs for column in run.scalars.values())
    if long:
        yield f"{_count(long, 'curve has', 'curves have')} more than {limits.points:,} points: the lowest and highest stay."
    for most, what in ((limits.quantiles, "shown"), (limits.captures, "shown with bars, the others by their quantiles")):
        dense = sum(most is not None and len(column) > most for run in runs for column in run.histograms.values())
        if dense:
            yield f"{_count(dense, 'tensor has', 'tensors have')} more than {most:,} histograms: {most:,} of each are {what}."
    most = limits.media
    many = 0 if most is None else sum(len(np.unique(column.step)) > most for column in _media(runs))
    if many:
        yield f"{_count(many, 'tag has', 'tags have')} media at more than {limits.media} steps: {limits.media} of each are shown."


def _left_out(board: Board) -> Iterator[str]:
    """Yield what a page does not get that cannot ask for more."""
    if board.limits.tensors is not None:
        held, kept = (sum(map(len, kinds.values())) for kinds in (board.held, board.shortlist))
        if kept < held:
            yield f"Histograms and norms are here of {kept:,} of {held:,} tensors: those that part first or most."
    if board.limits.cells is not None:
        thin = sum(len(one.step) < one.steps for one in board.maps.values())
        if thin:
            yield f"{_count(thin, 'map has', 'maps have')} more than {board.limits.cells:,} cells: some steps are left out."


def _count(number: int, one: str, several: str) -> str:
    return f"{number:,} {one if number == 1 else several}"


def _media(runs: Iterable[RunData]) -> Iterator[Column]:
    for run in runs:
        yield from (getattr(run, kind)[tag] for tag, kind in shown_media(run))
