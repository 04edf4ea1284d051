"""Histograms that were binned elsewhere: the bins as they are, without ours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from multiboard import wire
from multiboard.arrays import fetch_array, take_array
from multiboard.encode import histogram_tensor
from multiboard.errors import ValueShapeError
from multiboard.kinds.checks import shape_before_fetch
from multiboard.values import Summary

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from multiboard.values import Foreign


@dataclass(frozen=True, slots=True)
class Bins:
    """Finished bins.

    Attributes:
        parts: left edges, right edges and counts, `[k]` each.
        report: receives cause and message of what is left out.
    """

    tag: str
    parts: tuple[Foreign, Foreign, Foreign]
    step: int
    wall_time: float
    description: str
    report: Callable[[str, str], None]

    def expand(self) -> Iterator[Summary]:
        """Return the bins that hold something, ascending; impossible ones are left out and said."""
        rows = np.column_stack([fetch_array(part).astype(np.float64) for part in self.parts])
        possible = np.isfinite(rows).all(axis=1) & (rows[:, 0] <= rows[:, 1]) & (rows[:, 2] >= 0)
        if not possible.all():
            number = int(len(rows) - possible.sum())
            self.report(
                f"histogram {self.tag} bins",
                f"tag {self.tag!r} got {number} of {len(rows)} bins at step {self.step} that are not finite, negative or "
                "backward; they are left out.",
            )
        rows = rows[possible & (rows[:, 2] > 0)]
        rows = rows[np.lexsort((rows[:, 1], rows[:, 0]))]
        yield Summary(
            self.tag, "histograms", wire.TENSOR, histogram_tensor(rows), self.step, self.wall_time, description=self.description
        )


def take(
    tag: str,
    bins: tuple[Foreign, Foreign, Foreign],
    step: int,
    wall_time: float,
    description: str,
    report: Callable[[str, str], None],
) -> Bins:
    """Return the bins of one call.

    Raises:
        ValueShapeError: the three arrays are not of one length.
    """
    left, right, counts = (take_array(tag, part) for part in bins)
    shapes = [shape_before_fetch(*pair) for pair in zip(bins, (left, right, counts), strict=True)]
    for shape in shapes:
        if len(shape) != 1 or shape != shapes[0]:
            raise ValueShapeError(tag, shape, "left, right and counts are three arrays [k] of one length.")
    return Bins(tag, (left, right, counts), step, wall_time, description, report)
