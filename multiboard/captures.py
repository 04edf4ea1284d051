"""A fetched capture to plain values: one histogram per tensor, and the scalars that go with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from multiboard import tags
from multiboard.values import Histogram, Scalars

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from multiboard.buckets import Statistics
    from multiboard.values import Capture, MeasuredBatch


def expand(capture: Capture) -> Iterator[Histogram | Scalars]:
    """Fetch a capture and yield the histogram of each tensor, then all norms and non-finite counts as one event.

    Waits for the device; called in the writer thread.
    """
    measured = _statistics(capture.batch.fetch())
    by_tag = dict(zip(capture.tags, measured, strict=True))
    for tag, statistics in by_tag.items():
        yield Histogram(tag, statistics, capture.step, capture.wall_time, capture.descriptions.get(tag, ""))
    numbers = _numbers(by_tag)
    yield Scalars(tuple(numbers), tuple(numbers.values()), capture.step, capture.wall_time)


def scalar_tags(histogram_tags: tuple[str, ...]) -> list[str]:
    """Return the scalar tags that a capture may write for these histograms."""
    groups = {tag.split("/", 1)[0] for tag in histogram_tags}
    return [name(tag) for tag in (*histogram_tags, *groups) for name in (tags.norm, tags.nonfinite)]


def _statistics(batch: MeasuredBatch) -> list[Statistics]:
    from multiboard.buckets import MOMENTS, SPECIALS, Statistics

    counts = np.asarray(batch.counts, np.int64)
    specials = np.asarray(batch.specials, np.int64).reshape(-1, SPECIALS)
    moments = np.asarray(batch.moments, np.float64).reshape(-1, MOMENTS)
    return [Statistics(*row) for row in zip(counts, specials, moments, strict=True)]


def _numbers(by_tag: Mapping[str, Statistics]) -> dict[str, float]:
    numbers = {tags.norm(tag): statistics.norm for tag, statistics in by_tag.items()}
    for group in dict.fromkeys(tag.split("/", 1)[0] for tag in by_tag):
        members = [s for tag, s in by_tag.items() if tag.startswith(group + "/")]
        numbers[tags.norm(group)] = float(np.sqrt(sum(m.norm**2 for m in members)))
        numbers[tags.nonfinite(group)] = float(sum(m.nonfinite for m in members))
    numbers |= {tags.nonfinite(tag): float(s.nonfinite) for tag, s in by_tag.items() if s.nonfinite}
    return numbers
