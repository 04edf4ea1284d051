"""How far one tensor of a layer is apart in two runs, step by step, from all that the runs say of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from multiboard import tags
from multiboard.bucket_rows import picked
from multiboard.compare.distances import histogram_distances, octave_distances
from multiboard.compare.joining import Joined, join, latest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy.typing as npt

    from multiboard.reader import Column, RunData

    Floats = npt.NDArray[np.float64]
    Steps = npt.NDArray[np.int64]

_COUNTS: Final = 2.0
"""Values that may cross the edge of a bucket unnoticed: one value at an edge does so by rounding."""
_WEIGHTS: Final = 2.0
"""Units in the last place of a parameter that its update may be off: one run tells what was added, another what was to be."""
_ROUNDING: Final = 16.0
"""Units in the last place of the largest tensor of a group that say nothing: some gradients are 0 but for rounding."""


class Readings(NamedTuple):
    """What a run says of a tensor; its pieces, if it is stored in several, are added up.

    Attributes:
        histogram: by step: bucket rows.
        norm: by step.
        ratio: norm of the update over norm of the parameter, by step.
        nonfinite: NaN and infinite values, by step; steps without any are left out.
    """

    histogram: tuple[Steps, Sequence[Floats]]
    norm: tuple[Steps, Floats]
    ratio: tuple[Steps, Floats]
    nonfinite: tuple[Steps, Floats]

    @property
    def empty(self) -> bool:
        """Whether the run says nothing of the tensor."""
        return not (len(self.histogram[0]) or len(self.norm[0]) or len(self.ratio[0]))


def readings(run: RunData, kind: str, paths: Sequence[str]) -> Readings:
    """Return what a run says of a tensor.

    Args:
        run: with histograms, norms or update ratios.
        kind: the group, e.g. 'grads'; 'histograms' for tags without a group.
        paths: of its pieces, without the group.
    """
    names = [path if kind == "histograms" else f"{kind}/{path}" for path in paths]
    ratios = [tags.update_ratio(path) for path in paths] if kind == tags.UPDATES and len(paths) == 1 else []
    return Readings(
        _histograms(run.histograms, names),
        _numbers(run.scalars, [tags.norm(name) for name in names], lambda norms: np.sqrt(np.square(norms).sum(axis=0))),
        _numbers(run.scalars, ratios, lambda values: values[0]),
        _any_of(run.scalars, [tags.nonfinite(name) for name in names]),
    )


def _histograms(columns: Mapping[str, Column], names: Sequence[str]) -> tuple[Steps, Sequence[Floats]]:
    found = [columns[name] for name in names if name in columns]
    if not found or len(found) < len(names):
        return np.zeros(0, np.int64), []
    step, last = latest(found[0].step)
    captures = picked(found[0].value, last)
    for column in found[1:]:
        joined = join(step, column.step)
        step = joined.step
        captures = [_added(captures[i], column.value[j]) for i, j in zip(joined.a, joined.b, strict=True)]
    return step, captures


def _added(a: Floats, b: Floats) -> Floats:
    rows = np.concatenate([a, b])
    edges, place = np.unique(rows[:, :2], axis=0, return_inverse=True)
    return np.column_stack([edges, np.bincount(place.reshape(-1), rows[:, 2], len(edges))])


def _numbers(columns: Mapping[str, Column], names: Sequence[str], together: Callable[[Floats], Floats]) -> tuple[Steps, Floats]:
    found = [columns[name] for name in names if name in columns]
    if not found or len(found) < len(names):
        return np.zeros(0, np.int64), np.zeros(0)
    step, last = latest(found[0].step)
    values = [found[0].value[last]]
    for column in found[1:]:
        joined = join(step, column.step)
        step = joined.step
        values = [value[joined.a] for value in values] + [column.value[joined.b]]
    return step, values[0] if len(values) == 1 else together(np.stack(values))


def _any_of(columns: Mapping[str, Column], names: Sequence[str]) -> tuple[Steps, Floats]:
    found = [columns[name] for name in names if name in columns]
    if not found:
        return np.zeros(0, np.int64), np.zeros(0)
    step = np.unique(np.concatenate([column.step for column in found]))
    total = np.zeros(len(step))
    for column in found:
        steps, last = latest(column.step)
        total[np.searchsorted(step, steps)] += column.value[last]
    return step, total


class Measures(NamedTuple):
    """What was measured of one tensor in two runs; float64 `[n]`, NaN at steps where a run does not say it.

    Attributes:
        step: that both runs have, int64 `[n]`.
        emd: earth mover's distance.
        scale: mean |x| of the baseline.
        resolution: what one value is worth that crosses an edge.
        norm: of the baseline and of the other run, `[2, n]`.
        ratio: of updates to parameters, `[2, n]`.
        nonfinite: counts, `[2, n]`; never NaN.
        captured: steps at which both runs have histograms.
        captures: these histograms.
        alone: steps that only one of both runs has, `(baseline, other)`.
    """

    step: Steps
    emd: Floats
    scale: Floats
    resolution: Floats
    norm: Floats
    ratio: Floats
    nonfinite: Floats
    captured: Steps
    captures: tuple[Sequence[Floats], Sequence[Floats]]
    alone: tuple[int, int]

    def octaves(self) -> Floats:
        """Return the earth mover's distances of log2 |x|, `[n]`."""
        return _spread(self.step, self.captured, octave_distances(*self.captures))


def measures(a: Readings, b: Readings) -> Measures:
    """Compare what two runs say of a tensor at the steps that both have."""
    of_histograms, of_norms, of_ratios = (join(a[i][0], b[i][0]) for i in range(3))
    step = np.unique(np.concatenate([of_histograms.step, of_norms.step, of_ratios.step]))
    captures = picked(a.histogram[1], of_histograms.a), picked(b.histogram[1], of_histograms.b)
    emd, scale, resolution = (_spread(step, of_histograms.step, values) for values in histogram_distances(*captures))
    return Measures(
        step, emd, scale, resolution,
        _both(step, of_norms, a.norm[1], b.norm[1]),
        _both(step, of_ratios, a.ratio[1], b.ratio[1]),
        np.stack([np.nan_to_num(_spread(step, *one.nonfinite)) for one in (a, b)]),
        of_histograms.step,
        captures,
        max((of_histograms, of_norms, of_ratios), key=lambda joined: joined.only_a + joined.only_b)[3:],
    )  # fmt: skip


def _both(step: Steps, joined: Joined, a: Floats, b: Floats) -> Floats:
    return np.stack([_spread(step, joined.step, a[joined.a]), _spread(step, joined.step, b[joined.b])])


def _spread(step: Steps, steps: Steps, values: Floats) -> Floats:
    """Return values at all steps, NaN where there is none."""
    if np.array_equal(steps, step):
        return values
    result = np.full(len(step), np.nan)
    if not len(steps):
        return result
    known = np.isin(steps, step)
    result[np.searchsorted(step, steps[known])] = values[known]
    return result


def distance(found: Measures, largest_scale: Floats, largest_norm: Floats, epsilon: float) -> Floats:
    """Return one relative difference per step: the larger one of the histograms' and of the norms'.

    What a histogram cannot resolve, and rounding errors of the whole group, are taken off, and of updates those of the parameters
    that they are added to. Inf where one run has more NaN and infinite values than the other.

    Args:
        found: of one tensor.
        largest_scale: of all tensors of the group at the same steps.
        largest_norm: the same of the norms.
        epsilon: unit roundoff.
    """
    rounding = _ROUNDING * epsilon
    by_histogram = _part(found.emd - _COUNTS * found.resolution - rounding * largest_scale, found.scale)
    by_norm = _part(_apart(*found.norm) - rounding * largest_norm, found.norm[0])
    known = np.where(np.isfinite(found.ratio[0]), found.ratio[0], 0.0)  # else what is apart would be Inf - Inf
    by_ratio = _part(_apart(*found.ratio) - rounding * known, found.ratio[0])
    result = np.fmax(by_histogram, np.where(np.isfinite(found.norm[0]), by_norm, np.fmax(by_norm, by_ratio)))
    result = beyond_weights(result, np.fmax(*found.ratio), epsilon)
    return np.where(found.nonfinite[0] == found.nonfinite[1], np.nan_to_num(result, nan=0.0, posinf=np.inf), np.inf)


def beyond_weights(apart: Floats, ratio: Floats, epsilon: float) -> Floats:
    """Take off a relative difference what the rounding of parameters makes of their updates.

    Args:
        apart: of updates.
        ratio: of their norm to that of the parameters; nothing is taken off where it is NaN.
        epsilon: unit roundoff.
    """
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        lost = _WEIGHTS * epsilon / ratio
        return np.where(np.isnan(ratio), apart, np.where(lost >= 1.0, 0.0, np.maximum(apart - lost, 0.0)))


def _apart(a: Floats, b: Floats) -> Floats:
    """Return |a - b|: 0 if neither is finite, Inf if one of them is."""
    with np.errstate(invalid="ignore"):
        both = np.isfinite(a) & np.isfinite(b)
        return np.where(both, np.abs(a - b), np.where(np.isfinite(a) | np.isfinite(b), np.inf, 0.0))


def _part(apart: Floats, whole: Floats) -> Floats:
    """Return a difference over the baseline: NaN stays, nothing is 0, and anything beside a baseline of 0 is infinite."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        return np.where(apart <= 0, 0.0, np.where(np.isinf(apart), np.inf, apart / whole))
