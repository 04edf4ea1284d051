"""What the first step of runs with equal weights shows of the noise: nothing has been trained, so that only rounding differs.

A real mistake shows at that step, too. So it is the median over all tensors that counts, and only as far as rounding may explain
it: what is larger is no noise, and leaves the model as it is. The first tensor that is farther apart is told.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from multiboard import tags

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from multiboard.compare.findings import Finding
    from multiboard.compare.noise import RoundingModel

_KINDS: Final = (tags.ACTIVATIONS, tags.GRADS)
_FEWEST: Final = 4
"""Tensors of which a median is taken at least."""
_MOST: Final = 4.0
"""Times the model that rounding may be."""
_BEYOND: Final = 64.0
"""Units in the last place that rounding does not make at the first step."""
_SMALL: Final = 1e-3
"""Tensors whose norm is a smaller part of the largest one of their kind are left out: some gradients are 0 but for rounding."""


class Start(NamedTuple):
    """What the first step of two runs with equal weights shows.

    Attributes:
        step: the first one that both runs have.
        tensors: activations and gradients that were looked at.
        median: of the relative differences of their norms.
        kind: of the first tensor in the order of cause that is farther apart than rounding makes; '' if none is.
        name: of that tensor.
        apart: its relative difference; 0 if there is none.
    """

    step: int
    tensors: int
    median: float
    kind: str = ""
    name: str = ""
    apart: float = 0.0

    def text(self, run: str, *, alone: bool) -> str:
        """Return it as a sentence on a run.

        Args:
            run: its name.
            alone: whether nothing else that is told of the run names the tensor that is farther apart.
        """
        if alone and self.kind:
            return f"{run}: {self.kind} {self.name} is {self.apart:.1g} apart at step {self.step}, more than rounding makes"
        return f"{run}: norms are {self.median:.1g} apart at step {self.step} (median of {self.tensors}, equal weights)"


def start_of(findings: Sequence[Finding], step: int, model: RoundingModel) -> Start | None:
    """Return what the first step shows; None if it shows too few tensors.

    Args:
        findings: of one pair of runs of equal weights.
        step: the first one.
        model: of rounding.
    """
    norms = [pair for kind in _KINDS for pair in _norms(findings, kind, step)]
    if len(norms) < _FEWEST:
        return None
    median = float(np.median([abs(a - b) / a for a, b in norms]))
    first = next(_farther(findings, step, _BEYOND * model.epsilon), ("", "", 0.0))
    return Start(step, len(norms), median, *first)


def scaled(model: RoundingModel, start: Start) -> RoundingModel:
    """Return the model with rounding errors as large as the first step shows them, as far as they are rounding errors."""
    ratio = start.median / float(model.floor(tags.GRADS, "", np.array([0]))[0])
    return model.scaled_by(max(ratio, 1.0)) if ratio <= _MOST else model


def _norms(findings: Sequence[Finding], kind: str, step: int) -> Iterator[tuple[float, float]]:
    """Yield the norms of the tensors of a kind that are not small."""
    found = [(one, _place(one, step)) for one in findings if one.kind == kind and one.measures is not None]
    pairs = [(float(one.a[at]), float(one.b[at])) for one, at in found if at is not None]
    largest = max((a for a, _ in pairs if np.isfinite(a)), default=0.0)
    yield from ((a, b) for a, b in pairs if np.isfinite(a) and np.isfinite(b) and a > _SMALL * largest)


def _farther(findings: Sequence[Finding], step: int, least: float) -> Iterator[tuple[str, str, float]]:
    """Yield the tensors that are farther apart, in the order of cause."""
    for kind in _KINDS:
        ordered = sorted((one for one in findings if one.kind == kind and one.measures is not None), key=lambda one: one.order)
        for one in reversed(ordered) if kind == tags.GRADS else ordered:
            at = _place(one, step)
            if at is not None and one.distance[at] > least:
                yield kind, one.name, float(one.distance[at])


def _place(finding: Finding, step: int) -> int | None:
    at = int(np.searchsorted(finding.step, step))
    return at if at < len(finding.step) and finding.step[at] == step else None
