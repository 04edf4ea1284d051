"""Points of two runs on equal steps."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt


class Joined(NamedTuple):
    """Steps that two columns have in common.

    Attributes:
        step: int64 `[n]`, ascending.
        a: where they are in the first column.
        b: where they are in the second one.
        only_a: number of steps that only the first one has.
        only_b: number of steps that only the second one has.
    """

    step: npt.NDArray[np.int64]
    a: npt.NDArray[np.intp]
    b: npt.NDArray[np.intp]
    only_a: int
    only_b: int


def join(a: npt.NDArray[np.int64], b: npt.NDArray[np.int64]) -> Joined:
    """Join two columns by step. Of a step that occurs several times, as in a resumed run, the last point counts.

    Args:
        a: steps in the order of the files.
        b: the same of another run.

    >>> join(np.array([0, 1, 2, 1, 2]), np.array([1, 2, 3])).a.tolist()
    [3, 4]
    """
    (steps_a, last_a), (steps_b, last_b) = latest(a), latest(b)
    if np.array_equal(steps_a, steps_b):
        return Joined(steps_a, last_a, last_b, 0, 0)
    step, in_a, in_b = np.intersect1d(steps_a, steps_b, assume_unique=True, return_indices=True)
    return Joined(step, last_a[in_a], last_b[in_b], len(steps_a) - len(step), len(steps_b) - len(step))


def latest(step: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.intp]]:
    """Return the steps ascending, each once, and where each occurs last."""
    if (step[1:] > step[:-1]).all():
        return step, np.arange(len(step))
    steps, last = np.unique(step[::-1], return_index=True)
    return steps, len(step) - 1 - last
