"""How far runs are from a reference that computes more exactly, as one in float64 does: which of two is wrong, or both alike.

Two runs that agree need not be right. If both are far from the reference and close to each other they make the same mistake,
which a comparison of the two alone would call parity.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from multiboard.compare.divergence import first_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    import numpy.typing as npt

    from multiboard.compare.exact import Compared
    from multiboard.compare.findings import Finding

    Floats = npt.NDArray[np.float64]

SAME_WRONG: Final = "same wrong"
BASELINE: Final = "baseline wrong"
OTHER: Final = "other wrong"
BOTH: Final = "both wrong"
_CLOSE: Final = 0.25
"""What part of the smaller error two runs may be apart that make the same mistake."""
_WIDTH: Final = max(map(len, (SAME_WRONG, BASELINE, OTHER, BOTH)))


class OracleRow(NamedTuple):
    """One tensor or scalar at one step in two runs and in the reference.

    Attributes:
        run: the other run.
        kind: what it is compared as.
        name: in the baseline.
        step: that all three have.
        error_a: relative difference of the baseline from the reference.
        error_b: that of the other run.
        apart: relative difference of both runs.
        limit: the largest difference from the reference that is none.
        verdict: '' if both are close to it, 'same wrong' if both are far from it and close to each other, otherwise 'baseline
            wrong', 'other wrong' or 'both wrong'.
    """

    run: str
    kind: str
    name: str
    step: int
    error_a: float
    error_b: float
    apart: float
    limit: float
    verdict: str


class Errors(NamedTuple):
    """One tensor or scalar in two runs and in the reference; arrays are `[n]`.

    Attributes:
        run: the other run.
        kind: what it is compared as.
        name: in the baseline.
        step: int64.
        error_a: see `OracleRow`.
        error_b: likewise.
        apart: likewise.
        limit: likewise.
    """

    run: str
    kind: str
    name: str
    step: npt.NDArray[np.int64]
    error_a: Floats
    error_b: Floats
    apart: Floats
    limit: Floats

    @property
    def verdict(self) -> npt.NDArray[np.str_]:
        """Of each step, see `OracleRow`."""
        far_a, far_b = self.error_a > self.limit, self.error_b > self.limit
        smaller = np.minimum(self.error_a, self.error_b)
        alike = (self.apart <= self.limit) | (self.apart <= _CLOSE * np.where(np.isfinite(smaller), smaller, 0.0))
        both = np.where(alike, SAME_WRONG, BOTH)
        found = np.where(far_a & far_b, both, np.where(far_a, BASELINE, np.where(far_b, OTHER, "")))
        return found.astype(f"<U{_WIDTH}")

    def row(self, at: int) -> OracleRow:
        """Return the step at a place."""
        error_a, error_b, apart, limit = (float(series[at]) for series in (self.error_a, self.error_b, self.apart, self.limit))
        step, verdict = int(self.step[at]), str(self.verdict[at])
        return OracleRow(self.run, self.kind, self.name, step, error_a, error_b, apart, limit, verdict)


class Against(NamedTuple):
    """What was compared of a pair of runs: series, and tensors that were kept element by element.

    Attributes:
        findings: by kind and name.
        kept: tensors whose elements count, by kind and name; at the first step.
    """

    findings: Mapping[tuple[str, str], Finding]
    kept: Mapping[tuple[str, str], Compared]


def against(findings: Iterable[Finding], kept: Iterable[Compared]) -> Against:
    """Return what was compared of a pair of runs by kind and name in the first of them."""
    return Against({(one.kind, one.name): one for one in findings}, {(one.match.kind, one.match.name): one for one in kept})


def errors(reference_a: Against, reference_b: Against, pair: Against) -> Iterator[Errors]:
    """Yield the errors of two runs.

    Args:
        reference_a: the baseline compared with the reference.
        reference_b: the other run compared with the reference.
        pair: the other run compared with the baseline.
    """
    of_a = {(one.kind, one.pieces[1] or one.other): one for one in reference_a.findings.values()}
    for one in pair.findings.values():
        from_a = of_a.get((one.kind, one.pieces[0] or one.name))
        from_b = None if from_a is None else reference_b.findings.get((one.kind, from_a.name))
        if from_a is None or from_b is None or (from_b.pieces[1] or from_b.other) != (one.pieces[1] or one.other):
            continue
        step = np.intersect1d(np.intersect1d(from_a.step, from_b.step), one.step)
        if len(step):
            places = [np.searchsorted(series.step, step) for series in (from_a, from_b, one)]
            apart = [series.distance[at].copy() for series, at in zip((from_a, from_b, one), places, strict=True)]
            keys = ((one.kind, from_a.name), (one.kind, from_a.name), (one.kind, one.name))
            _use_elements(step, apart, [of.kept.get(key) for of, key in zip((reference_a, reference_b, pair), keys, strict=True)])
            error_a, error_b, between = apart
            yield Errors(one.run, one.kind, one.name, step, error_a, error_b, between, from_a.limit[places[0]])


def _use_elements(step: npt.NDArray[np.int64], apart: Sequence[Floats], kept: Sequence[Compared | None]) -> None:
    """Put the distances of elements in the place of those of distributions, at the steps of which all three runs kept them."""
    rows: list[dict[int, float]] = [{} if one is None else {row.step: row.relative_l2 for row in one.rows} for one in kept]
    for at, number in enumerate(step.tolist()):
        if all(number in found for found in rows):
            for series, found in zip(apart, rows, strict=True):
                series[at] = found[number]


def same_wrong(found: Iterable[Errors]) -> list[OracleRow]:
    """Return where two runs make the same mistake, the first step of each tensor or scalar; one step alone may be a spike."""
    rows = []
    for one in found:
        same = one.verdict == SAME_WRONG
        at = first_of(same, np.zeros(len(same), bool), 2)
        if at is not None:
            rows.append(one.row(at))
    return sorted(rows, key=lambda row: row.step)


def summary(found: Sequence[Errors], names: tuple[str, str, str]) -> Iterator[str]:
    """Yield sentences on the errors of a pair of runs.

    Args:
        found: of one pair of runs.
        names: of the reference, the baseline and the other run.
    """
    reference, first, second = names
    counts = {verdict: sum(bool((one.verdict == verdict).any()) for one in found) for verdict in (BASELINE, OTHER, BOTH)}
    same = same_wrong(found)
    if not found:
        yield f"nothing of {first} and {second} could be compared with {reference}"
        return
    alone = f"{first} alone is off in {counts[BASELINE]}, {second} alone in {counts[OTHER]}, both otherwise in {counts[BOTH]}"
    yield f"against {reference}: of {len(found)} tensors and scalars {alone}, both alike in {len(same)}"
    for row in same[:_SHOWN]:
        yield (
            f"same wrong: {row.kind} {row.name} at step {row.step}: {first} is {row.error_a:.3g} from {reference}, {second} "
            f"{row.error_b:.3g}, and they are {row.apart:.2g} apart"
        )


_SHOWN: Final = 6
