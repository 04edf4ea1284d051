"""What was compared of two runs, one series per scalar and per tensor."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from multiboard import tags
from multiboard.compare.joining import join
from multiboard.compare.scalar_differences import relative_difference
from multiboard.compare.tensor_differences import Measures, beyond_weights, distance, measures, readings
from multiboard.compare.tolerances import scalar_kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    import numpy.typing as npt

    from multiboard.compare.noise import Noise
    from multiboard.compare.tensor_matches import Match
    from multiboard.reader import RunData

    Floats = npt.NDArray[np.float64]
    Steps = npt.NDArray[np.int64]


class Finding(NamedTuple):
    """One scalar or tensor in two runs.

    Attributes:
        run: the other run.
        kind: what it is compared as, e.g. 'grads'.
        name: of the tensor without its group, or the tag of the scalar, as the baseline calls it.
        layer: of the tensor, '' for scalars and for histograms of no layer.
        other: what the other run calls it.
        level: how sure it is that the layers belong together: 'certain', 'agreed' or 'guess'.
        order: of the layer in the forward pass.
        step: that both runs have, int64 `[n]`, ascending.
        a: values of the baseline: of the scalar, or norms; float64 `[n]`, NaN where they are not known.
        b: values of the other run.
        distance: relative difference; of a tensor without what its histogram cannot resolve and without rounding errors.
        noise: relative difference that noise alone may make.
        limit: from which on it is too large.
        measures: what was measured of the tensor; None for scalars.
        alone: steps that only one of both runs has, `(baseline, other)`.
        pieces: of the tensor in both runs, without the group; () for scalars.
        exact: whether it was compared element by element.
    """

    run: str
    kind: str
    name: str
    layer: str
    other: str
    level: str
    order: int
    step: Steps
    a: Floats
    b: Floats
    distance: Floats
    noise: Floats
    limit: Floats
    measures: Measures | None
    alone: tuple[int, int]
    pieces: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())
    exact: bool = False

    def with_bounds(self, noise: Floats, limit: Floats) -> Finding:
        """Return the same with other bounds."""
        return self._replace(noise=noise, limit=limit)


class Rules(NamedTuple):
    """What a comparison allows.

    Attributes:
        tolerances: by kind.
        noise: where differences begin to mean something.
        kinds: that are compared.
    """

    tolerances: Mapping[str, float]
    noise: Noise
    kinds: Sequence[str]

    def bounds(self, kind: str, name: str, step: Steps) -> tuple[Floats, Floats]:
        """Return the largest relative differences that noise makes, and that are tolerated, by step."""
        noise = self.noise.factor * self.noise.floor(kind, name, step)
        return noise, np.maximum(noise, self.tolerances[kind])


def scalar_findings(run: str, a: RunData, b: RunData, rules: Rules) -> Iterator[Finding]:
    """Compare the scalars that two runs have under the same tag."""
    for tag in a.scalars:
        kind = scalar_kind(tag)
        if tag not in b.scalars or kind not in rules.kinds or kind is None or not _is_of_the_same(tag, a, b):
            continue
        ours, theirs = a.scalars[tag], b.scalars[tag]
        joined = join(ours.step, theirs.step)
        values, others = ours.value[joined.a], theirs.value[joined.b]
        apart = relative_difference(values, others)
        if kind == tags.UPDATES:
            apart = beyond_weights(apart, _update_ratio(a, b, joined.step), rules.noise.epsilon)
        bounds = rules.bounds(kind, tag, joined.step)
        yield Finding(
            run,
            kind,
            tag,
            "",
            tag,
            "certain",
            0,
            joined.step,
            values,
            others,
            apart,
            *bounds,
            None,
            (joined.only_a, joined.only_b),
        )


def _is_of_the_same(tag: str, a: RunData, b: RunData) -> bool:
    """Return whether a norm over all activations is one over as many layers in both runs."""
    if tag != tags.norm(tags.ACTIVATIONS):
        return True
    counts = [sum(name.startswith(f"{tag}/") for name in run.scalars) for run in (a, b)]
    return counts[0] == counts[1]


def _update_ratio(a: RunData, b: RunData, step: Steps) -> Floats:
    """Return the larger ratio of all updates to all parameters in two runs, NaN where it is not known."""
    found = np.full((2, len(step)), np.nan)
    for row, run in zip(found, (a, b), strict=True):
        if tags.UPDATE_RATIO in run.scalars:
            column = run.scalars[tags.UPDATE_RATIO]
            joined = join(step, column.step)
            row[joined.a] = column.value[joined.b]
    ratio: Floats = np.fmax(*found)
    return ratio


def tensor_findings(run: str, a: RunData, b: RunData, matches: Iterable[Match], rules: Rules) -> list[Finding]:
    """Compare the tensors of two runs that belong together."""
    wanted = [match for match in matches if match.kind in rules.kinds]
    found = [(one, measures(readings(a, one.kind, one.a), readings(b, one.kind, one.b))) for one in wanted]
    findings: list[Finding] = []
    for kind in dict.fromkeys(match.kind for match in wanted):
        group = [(match, measured) for match, measured in found if match.kind == kind]
        largest = _Largest([measured for _, measured in group])
        findings += [_finding(run, match, measured, largest, rules) for match, measured in group]
    return findings


def _finding(run: str, match: Match, found: Measures, largest: _Largest, rules: Rules) -> Finding:
    apart = distance(found, *largest.at(found.step), rules.noise.epsilon)
    noise, limit = rules.bounds(match.kind, match.name, found.step)
    of_layer = (match.layer, match.other, match.level, match.order)
    norms = (found.norm[0], found.norm[1])
    return Finding(run, match.kind, match.name, *of_layer, found.step, *norms, apart, noise, limit, found, found.alone,
                   (match.a, match.b))  # fmt: skip


class _Largest:
    """The largest mean |x| and the largest norm among the tensors of a group, by step."""

    def __init__(self, group: Sequence[Measures]) -> None:
        self._step = np.unique(np.concatenate([one.step for one in group]))
        self._values = np.zeros((2, len(self._step)))
        for one in group:
            place = np.searchsorted(self._step, one.step)
            for row, values in zip(self._values, (one.scale, one.norm[0]), strict=True):
                row[place] = np.fmax(row[place], np.where(np.isfinite(values), values, 0.0))

    def at(self, step: Steps) -> tuple[Floats, Floats]:
        """Return both at some steps."""
        scale, norm = self._values[:, np.searchsorted(self._step, step)]
        return scale, norm
