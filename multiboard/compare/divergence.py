"""Where two runs part: the first step and layer, in the order of cause."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from multiboard.compare.tolerances import KINDS

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy.typing as npt

    from multiboard.compare.findings import Finding

IN_A_ROW: Final = 2
"""Points beyond the limit one after another that are a divergence: one alone may be a spike."""
_TRACED: Final = 0.1
"""What part of the limit a difference is followed back to, to where it begins."""
SHOWN: Final = 6
"""The first, and the next five."""
_CAUSE: Final = {kind: number for number, kind in enumerate(KINDS)}
_BACKWARDS: Final = frozenset({"grads"})


class Divergence(NamedTuple):
    """Where something of two runs parts.

    Attributes:
        run: the other run.
        kind: what is compared, e.g. 'grads'.
        name: of the tensor without its group, or the tag of the scalar, as the baseline calls it.
        layer: of the tensor, '' for scalars.
        step: where the difference begins that goes beyond the limit.
        since: the last compared step before it; None if it is the first one.
        beyond: the first step beyond the limit.
        distance: relative difference there; Inf if NaN or infinite values are in one run only.
        limit: the largest relative difference that is none.
        a: value in the baseline there: of the scalar, or the norm; NaN if it is not known.
        b: value in the other run.
        exact: whether the elements differ, which distributions and norms need not show.
    """

    run: str
    kind: str
    name: str
    layer: str
    step: int
    since: int | None
    beyond: int
    distance: float
    limit: float
    a: float
    b: float
    exact: bool = False


def divergences(findings: Iterable[Finding], in_a_row: int = IN_A_ROW) -> tuple[Divergence, ...]:
    """Return where each of the tensors and scalars parts, the cause before what follows from it.

    Ordered by step; at one step learning rates, then activations in call order, losses and metrics, gradients from the last layer
    to the first, updates, parameters; what is of a whole group behind its layers.

    Args:
        findings: of one pair of runs.
        in_a_row: points beyond the limit that it takes.
    """
    found = [(divergence, finding) for finding in findings if (divergence := _divergence(finding, in_a_row))]
    found.sort(key=lambda pair: _cause(*pair))
    return tuple(divergence for divergence, _ in found)


def _cause(divergence: Divergence, finding: Finding) -> tuple[int, int, bool, int, str]:
    order = -finding.order if finding.kind in _BACKWARDS else finding.order
    return divergence.step, _CAUSE[finding.kind], finding.measures is None, order, finding.name


def _divergence(finding: Finding, in_a_row: int) -> Divergence | None:
    beyond = finding.distance > finding.limit
    at = first_of(beyond, np.isinf(finding.distance), in_a_row)
    if at is None:
        return None
    traced = finding.distance > np.maximum(finding.noise, _TRACED * finding.limit)
    untraced = np.flatnonzero(~traced[:at])
    begin = int(untraced[-1]) + 1 if len(untraced) else 0
    at = begin + int(np.argmax(beyond[begin:]))
    since = int(finding.step[begin - 1]) if begin else None
    apart, limit = float(finding.distance[at]), float(finding.limit[at])
    values = float(finding.a[at]), float(finding.b[at])
    steps = int(finding.step[begin]), since, int(finding.step[at])
    return Divergence(finding.run, finding.kind, finding.name, finding.layer, *steps, apart, limit, *values, finding.exact)


def first_of(beyond: npt.NDArray[np.bool_], certain: npt.NDArray[np.bool_], in_a_row: int) -> int | None:
    """Return where a divergence begins, None if there is none.

    Points beyond the limit up to the last one are a divergence however few they are: nothing shows that they were a spike.

    Args:
        beyond: bool `[n]`, whether a point is beyond the limit.
        certain: bool `[n]`, whether one such point is enough.
        in_a_row: points that it takes otherwise.

    >>> first_of(np.array([0, 1, 0, 1, 1, 0], bool), np.zeros(6, bool), 2)
    3
    """
    edges = np.flatnonzero(np.diff(np.concatenate([[False], beyond, [False]])))
    for begin, end in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
        if end - begin >= in_a_row or end == len(beyond) or certain[begin:end].any():
            return int(begin)
    return None
