"""A fetched capture to plain values: one histogram per tensor, and the scalars that go with it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from multiboard import tags
from multiboard.buckets import MOMENTS, NAN, SPECIALS, SQUARES, Statistics
from multiboard.update_ratios import update_ratios
from multiboard.values import Histogram, Scalars

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import numpy.typing as npt

    from multiboard.values import Capture, MeasuredBatch

    _Ints = npt.NDArray[np.int64]
    _Floats = npt.NDArray[np.float64]


def expand(capture: Capture) -> Iterator[Histogram | Scalars]:
    """Fetch a capture and yield the histogram of each tensor, then all norms and non-finite counts as one event.

    Waits for the device; called in the writer thread.
    """
    counts, specials, moments = _arrays(capture.batch.fetch())
    if not len(counts) == len(specials) == len(moments) == len(capture.tags):
        raise ValueError(f"{len(counts)} distributions with {len(moments)} moments for {len(capture.tags)} tags")
    rows = dict(zip(capture.tags, range(len(counts)), strict=True))
    if capture.if_any:
        sizes = (counts.sum(1) + specials.sum(1)).tolist()
        rows = {tag: row for tag, row in rows.items() if sizes[row]}
    for tag, row in rows.items() if capture.histograms else ():
        statistics = Statistics(counts[row], specials[row], moments[row])
        yield Histogram(tag, statistics, capture.step, capture.wall_time, capture.descriptions.get(tag, ""))
    numbers = (_norms(rows, specials, moments) if capture.norms else {}) | (
        _nonfinite(rows, specials) if capture.nonfinite else {}
    )
    if numbers:
        yield Scalars(tuple(numbers), tuple(numbers.values()), capture.step, capture.wall_time)


def _arrays(batch: MeasuredBatch) -> tuple[_Ints, _Ints, _Floats]:
    """Return bucket counts, special counts and moments, one row per tensor; of norms alone there are no buckets."""
    counts = np.asarray(batch.counts, np.int64)
    specials = np.asarray(batch.specials, np.int64).reshape(-1, SPECIALS)
    return np.atleast_2d(counts)[: len(specials)], specials, np.asarray(batch.moments, np.float64).reshape(-1, MOMENTS)


def _norms(rows: Mapping[str, int], specials: _Ints, moments: _Floats) -> dict[str, float]:
    """Return the norms of tensors, which are `Statistics.norm`, and of their groups, with the ratios of updates."""
    of_rows = np.sqrt(moments[:, SQUARES])
    of_rows[specials[:, NAN:].any(1)] = np.inf
    of_rows[specials[:, NAN] > 0] = np.nan
    every = of_rows.tolist()
    norms = {tag: every[row] for tag, row in rows.items()}
    totals = {group: math.sqrt(total) for group, total in _totals({tag: norm * norm for tag, norm in norms.items()}).items()}
    return {tags.norm(tag): norm for tag, norm in (norms | totals).items()} | update_ratios(norms)


def _nonfinite(rows: Mapping[str, int], specials: _Ints) -> dict[str, float]:
    """Return the number of values that are not finite: of each group, and of the tensors that have such."""
    every = specials[:, NAN:].sum(1, dtype=np.float64).tolist()
    counts = {tag: every[row] for tag, row in rows.items()}
    found = {tag: count for tag, count in counts.items() if count}
    return {tags.nonfinite(tag): count for tag, count in (_totals(counts) | found).items()}


def _totals(numbers: Mapping[str, float]) -> dict[str, float]:
    """Return the sums of numbers of tensors by group."""
    totals: dict[str, float] = {}
    for tag, number in numbers.items():
        group, _, _ = tag.partition("/")
        totals[group] = totals.get(group, 0.0) + number
    return totals
