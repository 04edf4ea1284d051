"""Where tensors part element by element: only where that means something.

Two trainings of equal weights are equal element by element at their first step but for rounding. Afterwards they come apart, each
element for itself, while their distributions stay alike. So elements count at the first step of which both runs tell parameters,
and only if most of these are the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from multiboard import tags
from multiboard.compare.divergence import divergences
from multiboard.compare.exact_distances import EPSILON, coarser

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from multiboard.compare.divergence import Divergence
    from multiboard.compare.exact import Compared
    from multiboard.compare.findings import Finding, Rules

_ROUNDING: Final = 16.0
"""Units in the last place of the largest tensor of a kind that say nothing: some gradients are 0 but for rounding."""


def with_exact(
    findings: Sequence[Finding], compared: Sequence[Compared], rules: Rules, step: int | None
) -> tuple[Divergence, ...]:
    """Return where two runs part, in the order of cause; what was found element by element counts where it comes earlier.

    Parameters that are not the same at the first step come before all: nothing that was compared can have changed them.

    Args:
        findings: of the distributions, norms and scalars.
        compared: tensors that both runs kept.
        rules: of the comparison.
        step: at which elements count; None if they do not.
    """
    exact = [] if step is None else list(_findings(findings, compared, rules, step))
    first: dict[tuple[str, str], Divergence] = {}
    for one in divergences([*findings, *exact]):
        first.setdefault((one.kind, one.name), one)
    return tuple(sorted(first.values(), key=lambda one: not (one.kind == tags.PARAMS and one.step == step)))


def _findings(findings: Sequence[Finding], compared: Sequence[Compared], rules: Rules, step: int) -> Iterator[Finding]:
    by_name = {(one.kind, one.name): one for one in findings}
    largest: dict[str, float] = {}
    for one in compared:
        norms = [norms[0] for row, norms in zip(one.rows, one.norms, strict=True) if row.step == step]
        largest[one.match.kind] = max([largest.get(one.match.kind, 0.0), *norms])
    for one in compared:
        finding = by_name.get((one.match.kind, one.match.name))
        if finding is not None:
            yield from _finding(finding, one, rules, step, largest[one.match.kind])


def _finding(finding: Finding, compared: Compared, rules: Rules, step: int, largest: float) -> Iterator[Finding]:
    for row, norms in zip(compared.rows, compared.norms, strict=True):
        if row.step == step:
            at = np.array([step], np.int64)
            epsilon = max(rules.noise.epsilon, EPSILON.get(coarser(*compared.dtypes), 0.0))
            rounding = _ROUNDING * epsilon * (largest / norms[0] if norms[0] else 0.0)
            apart = np.array([max(row.relative_l2 - rounding, 0.0)])
            noise, limit = rules.bounds(finding.kind, finding.name, at)
            a, b = (np.array([norm]) for norm in norms)
            yield finding._replace(step=at, a=a, b=b, distance=apart, noise=noise, limit=limit, exact=True)
