"""A fetched capture to plain values: one histogram per tensor, and the scalars that go with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from multiboard import tags
from multiboard.update_ratios import update_ratios
from multiboard.values import Histogram, Scalars

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from multiboard.buckets import Statistics
    from multiboard.values import Capture, MeasuredBatch


def expand(capture: Capture) -> Iterator[Histogram | Scalars]:
    """Fetch a capture and yield the histogram of each tensor, then all norms and non-finite counts as one event.

    Waits for the device; called in the writer thread.
    """
    measured = dict(zip(capture.tags, _statistics(capture.batch.fetch()), strict=True))
    by_tag = {tag: found for tag, found in measured.items() if not capture.if_any or found.finite or found.nonfinite}
    for tag, statistics in by_tag.items() if capture.histograms else ():
        yield Histogram(tag, statistics, capture.step, capture.wall_time, capture.descriptions.get(tag, ""))
    numbers = (_norms(by_tag) if capture.norms else {}) | (_nonfinite(by_tag) if capture.nonfinite else {})
    if numbers:
        yield Scalars(tuple(numbers), tuple(numbers.values()), capture.step, capture.wall_time)


def scalar_tags(histogram_tags: tuple[str, ...]) -> list[str]:
    """Return the scalar tags that a capture may write for these histograms."""
    ratios = [tags.update_ratio(path) for group, path in map(_parts, histogram_tags) if group == tags.UPDATES]
    groups = {_parts(tag)[0] for tag in histogram_tags}
    ratios += [tags.UPDATE_RATIO] if ratios else []
    return [name(tag) for tag in (*histogram_tags, *groups) for name in (tags.norm, tags.nonfinite)] + ratios


def _statistics(batch: MeasuredBatch) -> list[Statistics]:
    from multiboard.buckets import MOMENTS, SPECIALS, Statistics

    counts = np.asarray(batch.counts, np.int64)
    specials = np.asarray(batch.specials, np.int64).reshape(-1, SPECIALS)
    moments = np.asarray(batch.moments, np.float64).reshape(-1, MOMENTS)
    return [Statistics(*row) for row in zip(counts, specials, moments, strict=True)]


def _norms(by_tag: Mapping[str, Statistics]) -> dict[str, float]:
    norms = {tag: statistics.norm for tag, statistics in by_tag.items()}
    totals = dict.fromkeys((_parts(tag)[0] for tag in norms), 0.0)
    for tag, norm in norms.items():
        totals[_parts(tag)[0]] += norm**2
    totals = {group: float(np.sqrt(total)) for group, total in totals.items()}
    return {tags.norm(tag): norm for tag, norm in (norms | totals).items()} | update_ratios(norms)


def _nonfinite(by_tag: Mapping[str, Statistics]) -> dict[str, float]:
    totals = dict.fromkeys((_parts(tag)[0] for tag in by_tag), 0.0)
    for tag, statistics in by_tag.items():
        totals[_parts(tag)[0]] += statistics.nonfinite
    found = {tag: float(statistics.nonfinite) for tag, statistics in by_tag.items() if statistics.nonfinite}
    return {tags.nonfinite(tag): count for tag, count in (totals | found).items()}


def _parts(tag: str) -> tuple[str, str]:
    group, _, path = tag.partition("/")
    return group, path
