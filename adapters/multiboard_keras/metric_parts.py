"""The metrics inside of a metric."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras

if TYPE_CHECKING:
    from collections.abc import Iterator


def inside(metric: Any) -> list[Any]:
    """Return the metrics in the attributes of another one; the container of compiled ones has them as `metrics`."""
    values = [*vars(metric).values(), getattr(metric, "metrics", [])]
    found = [item for value in values for item in (value if isinstance(value, list) else [value])]
    return [*{id(item): item for item in found if isinstance(item, keras.metrics.Metric)}.values()]


def parts(metric: Any) -> Iterator[Any]:
    """Yield a metric and, at any depth, those inside of it."""
    yield metric
    for part in inside(metric):
        yield from parts(part)
