"""Where a difference begins that becomes too large only later, or only in what follows from it.

An epsilon or an approximation changes the outputs of a layer by a thousandth, which is within tolerance, and gradients by a
hundredth some steps later, which is not. If the weights of two runs are equal at their first step, only rounding tells apart what
layers return there, so that far less than the tolerance shows which layer is the first that differs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from multiboard import tags
from multiboard.compare.divergence import Divergence

if TYPE_CHECKING:
    from collections.abc import Sequence

    from multiboard.compare.findings import Finding

_ROUNDING: Final = 100.0
"""Times what rounding makes, that is no rounding."""


def with_origin(parted: Sequence[Divergence], begin: Divergence | None) -> tuple[Divergence, ...]:
    """Return where runs part, led by the layer where that begins.

    Runs that are within tolerance everywhere are left alone. Parameters that are not the same at the first compared step come
    before all: nothing that was compared can have changed them.

    Args:
        parted: where they part, the cause first.
        begin: what `origin` returns.
    """
    if parted and begin is not None:
        rest = [one for one in parted if (one.kind, one.name) != (begin.kind, begin.name)]
        same = next((one for one in parted if (one.kind, one.name, one.step) == (begin.kind, begin.name, begin.step)), begin)
        earlier = [one for one in rest if one.step < begin.step or (one.step == begin.step and one.kind == "schedule")]
        parted = [*earlier, same, *(one for one in rest if one not in earlier)]
    return tuple(sorted(parted, key=lambda one: not (one.kind == tags.PARAMS and one.since is None)))


def origin(findings: Sequence[Finding], first: int | None) -> Divergence | None:
    """Return the first layer that returns something else at the first step; None if there is none, or weights are not equal.

    Args:
        findings: of a pair of runs.
        first: the first step, if the weights are equal there; None otherwise.
    """
    if first is None:
        return None
    outputs = [one for one in findings if one.kind == tags.ACTIVATIONS and one.measures is not None]
    for finding in sorted(outputs, key=lambda one: one.order):
        at = np.flatnonzero(finding.step == first)
        if len(at) and finding.distance[at[0]] > sharp(finding, int(at[0])):
            return _begin(finding, int(at[0]))
    return None


def _begin(finding: Finding, at: int) -> Divergence:
    step, apart = int(finding.step[at]), float(finding.distance[at])
    values = float(finding.a[at]), float(finding.b[at])
    where = (finding.run, finding.kind, finding.name, finding.layer)
    return Divergence(*where, step, None, step, apart, sharp(finding, at), *values)


def sharp(finding: Finding, at: int) -> float:
    """Return the largest relative difference that rounding explains, and no more than is tolerated.

    Args:
        finding: of a tensor.
        at: index of a step.
    """
    return float(min(_ROUNDING * finding.noise[at], finding.limit[at]))
