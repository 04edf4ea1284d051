"""What was collected, turned into what is sent: rows of statistics, and scalars.

Values that cannot leave the place where they are tagged (an iteration of a loop, a branch, a shard) are summed up there, in a
form that can be added up: see `Summary`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from multiboard.arrays import transfers_allowed
from multiboard_jax import statistics
from multiboard_jax.statistics import Measured
from multiboard_jax.tagging import HISTOGRAM, SCALAR, Label, Mean
from multiboard_jax.varying import NOWHERE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from multiboard_jax.distributed import Placement
    from multiboard_jax.varying import Axes


class Tagged(NamedTuple):
    """One collected value.

    Attributes:
        value: an array; of values that were summed up where they are: `Measured` with one row, or of scalars `Mean`.
        label: what its tag says.
        axes: inside a `shard_map`: the axes over which the value varies.
    """

    value: Any
    label: Label
    axes: Axes = NOWHERE


class Summary(NamedTuple):
    """What was collected of several tags, in a form that can be added up.

    Attributes:
        measured: one row for each tag that is a histogram.
        means: of all tags that are scalars, `[S]`.
    """

    measured: Measured
    means: Mean


class PendingMean:
    """A mean on a device, for the writer thread. It is None if there was no value, e.g. in a branch that was not taken."""

    def __init__(self, mean: Mean) -> None:
        self._parts: list[Any] = list(mean)
        with transfers_allowed():
            for part in self._parts:
                part.copy_to_host_async()

    def is_ready(self) -> bool:
        """Return whether `fetch` would not wait."""
        return all(bool(part.is_ready()) for part in self._parts)

    def fetch(self) -> float | None:
        """Return the mean."""
        with transfers_allowed():
            total, number = (np.asarray(part, np.float64) for part in self._parts)
        return float(total / number) if number else None


def rows(found: Mapping[str, Tagged], placement: Placement | None) -> Measured:
    """Return one row of statistics per tag; the arrays among the values are measured together.

    Args:
        found: no scalars.
        placement: where the arguments of the step live.
    """
    return _rows(list(found.values()), placement)


def scalars(found: Mapping[str, Tagged]) -> tuple[jax.Array | Mean, ...]:
    """Return the scalars to send: of one value the value itself, of several their mean, as `Mean`."""
    return tuple(_scalar(tagged.value) for tagged in found.values())


def pending(scalar: Any) -> Any:
    """Return what the run takes for a scalar of `scalars` that has been computed: the array, or for a `Mean` a `PendingMean`."""
    return PendingMean(scalar) if isinstance(scalar, Mean) else scalar


def is_scalar(tagged: Tagged) -> bool:
    """Return whether a value goes out as a scalar, and not as a row."""
    if isinstance(tagged.value, (Measured, Mean)):
        return isinstance(tagged.value, Mean)
    return tagged.label.kind == SCALAR or (tagged.label.kind != HISTOGRAM and tagged.value.ndim == 0)


def empty(labels: Sequence[Label]) -> Summary:
    """Return the summary of no value at all of some tags."""
    count = sum(label.kind == SCALAR for label in labels)
    return Summary(statistics.nothing(len(labels) - count), Mean(jnp.zeros(count, float), jnp.zeros(count, jnp.int32)))


def summary(found: Sequence[Tagged | Label], placement: Placement | None) -> Summary:
    """Sum up values.

    Args:
        found: labels stand for tags without a value here.
        placement: where the arguments of the step live.
    """
    nothing, no_mean = statistics.nothing(1), Mean(jnp.zeros((), float), jnp.zeros((), jnp.int32))
    tagged = [one if isinstance(one, Tagged) else Tagged(no_mean if one.kind == SCALAR else nothing, one) for one in found]
    means = [_mean(one.value) for one in tagged if one.label.kind == SCALAR]
    totals, counts = jnp.zeros(0, float), jnp.zeros(0, jnp.int32)
    if means:
        totals, counts = jnp.stack([mean.total for mean in means]), jnp.stack([mean.number for mean in means])
    return Summary(_rows([one for one in tagged if one.label.kind != SCALAR], placement), Mean(totals, counts))


def merge(ours: Summary, theirs: Summary) -> Summary:
    """Add two summaries of the same tags."""
    return Summary(statistics.merge(ours.measured, theirs.measured), Mean(*map(jnp.add, ours.means, theirs.means)))


def taken_apart(summed: Summary, tagged: Sequence[Tagged]) -> list[Tagged]:
    """Return the tags of a summary with their own part of it as value."""
    result, row, scalar = [], 0, 0
    for one in tagged:
        if one.label.kind == SCALAR:
            result.append(one._replace(value=Mean(*(part[scalar] for part in summed.means))))
            scalar += 1
        else:
            result.append(one._replace(value=Measured(*(part[row : row + 1] for part in summed.measured))))
            row += 1
    return result


def _rows(found: Sequence[Tagged], placement: Placement | None) -> Measured:
    ready = [i for i, tagged in enumerate(found) if isinstance(tagged.value, Measured)]
    arrays = [i for i, tagged in enumerate(found) if not isinstance(tagged.value, Measured)]
    measured = statistics.measure([found[i].value for i in arrays], placement)
    if not ready:
        return measured
    order = np.argsort(arrays + ready)
    parts = [measured, *(found[i].value for i in ready)] if arrays else [found[i].value for i in ready]
    return Measured(*(jnp.concatenate(columns)[order] for columns in zip(*parts, strict=True)))


def _scalar(value: Any) -> jax.Array | Mean:
    return _mean(value) if isinstance(value, Mean) or value.ndim else jnp.abs(value) if jnp.iscomplexobj(value) else value


def _mean(value: Any) -> Mean:
    if isinstance(value, Mean):
        return value
    magnitude = jnp.abs(value) if jnp.iscomplexobj(value) else value
    return Mean(jnp.sum(magnitude.astype(float)), jnp.asarray(value.size, jnp.int32))
