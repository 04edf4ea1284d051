"""Whether layers hold the same weights, as they do when one model's were ported to the other before the training.

Bucket counts do not change when a kernel is transposed or its heads are merged, so that no layout is needed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from multiboard import tags
from multiboard.compare.tensor_differences import readings

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    import numpy.typing as npt

    from multiboard.compare.layer_table import Layer
    from multiboard.compare.tensor_matches import Match
    from multiboard.reader import RunData

_VALUES: Final = 16
"""Elements that a tensor must have at least to tell layers apart."""
_BUCKETS: Final = 8
"""Buckets that they must lie in: zeros, ones and other constants are the same in every model."""
_ROUNDING: Final = 1e-5
"""Relative difference of norms that sums in float32 may have."""
_FUSED: Final = {"in_proj_weight": "kernel", "in_proj_bias": "bias"}
_MOST: Final = 0.5
_PARAMS: Final = f"{tags.PARAMS}/"


class Fingerprint(NamedTuple):
    """What is compared of a tensor.

    Attributes:
        buckets: edges and counts, as bytes.
        norm: NaN if it is not known.
    """

    buckets: bytes
    norm: float

    def is_of(self, other: Fingerprint) -> bool:
        """Return whether both are of the same values."""
        if self.buckets != other.buckets:
            return False
        return not abs(self.norm - other.norm) > _ROUNDING * max(self.norm, other.norm)  # also if one is NaN


class EqualWeights:
    """Tells whether layers of two runs hold the same weights at the first step of which both tell their parameters.

    Args:
        a: a run and its layers.
        b: another one.
    """

    def __init__(self, a: tuple[RunData, Sequence[Layer]], b: tuple[RunData, Sequence[Layer]]) -> None:
        self._step = first_step(a[0], b[0])
        self._sides = [(run, {layer.path: layer for layer in layers}) for run, layers in (a, b)]
        self._known: tuple[dict[tuple[str, ...], dict[str, Fingerprint]], ...] = ({}, {})

    def __call__(self, a: tuple[str, ...], b: tuple[str, ...]) -> bool:
        """Return whether two layers hold the same weights; each may be several ones that the other run has as one.

        Args:
            a: paths in the first run.
            b: paths in the second run.
        """
        if self._step is None:
            return False
        ours, theirs = self._of(0, a), self._of(1, b)
        common = False
        for role, one in ours.items():  # of many layers of one shape each is compared with each
            other = theirs.get(role)
            if other is not None:
                if not one.is_of(other):
                    return False
                common = True
        return common

    def candidates(self, a: Sequence[tuple[str, ...]], b: Sequence[tuple[str, ...]]) -> Iterator[tuple[int, int]]:
        """Yield which layers may hold the same weights, by their places: those with equal buckets of one tensor.

        Args:
            a: paths in the first run.
            b: paths in the second run.
        """
        if self._step is None:
            return
        holders: dict[tuple[str, bytes], list[int]] = {}
        for j, members in enumerate(b):
            for role, one in self._of(1, members).items():
                holders.setdefault((role, one.buckets), []).append(j)
        for i, members in enumerate(a):
            alike = [holders.get((role, one.buckets), ()) for role, one in self._of(0, members).items()]
            yield from ((i, j) for j in sorted({j for found in alike for j in found}))

    def _of(self, side: int, members: tuple[str, ...]) -> dict[str, Fingerprint]:
        known = self._known[side]
        if members not in known:
            run, layers = self._sides[side]
            known[members] = _fingerprints(run, [layers[path] for path in members if path in layers], self._step or 0)
        return known[members]


def first_step(a: RunData, b: RunData) -> int | None:
    """Return the first step at which both runs tell parameters; None if there is none."""
    ours, theirs = ([column.step for tag, column in run.histograms.items() if tag.startswith(_PARAMS)] for run in (a, b))
    if not ours or not theirs:
        return None
    common = np.intersect1d(np.concatenate(ours), np.concatenate(theirs))
    return int(common[0]) if len(common) else None


def ported(a: RunData, b: RunData, matches: Iterable[Match]) -> bool:
    """Return whether most parameters that tell anything are the same in two runs at their first common step.

    Args:
        a: a run.
        b: another one.
        matches: tensors that belong together.
    """
    step = first_step(a, b)
    if step is None:
        return False
    pairs = [(fingerprint(a, match.a, step), fingerprint(b, match.b, step)) for match in matches if match.kind == tags.PARAMS]
    equal = [ours.is_of(theirs) for ours, theirs in pairs if ours and theirs]
    return bool(equal) and sum(equal) >= _MOST * len(equal)


def fingerprint(run: RunData, paths: Sequence[str], step: int) -> Fingerprint | None:
    """Return what is compared of a parameter; None if it would be the same in many layers, or is not known.

    Args:
        run: with histograms.
        paths: of its pieces, without the group.
        step: of a capture.
    """
    found = readings(run, tags.PARAMS, paths)
    rows = _at(*found.histogram, step)
    if rows is None or rows[:, 2].sum() < _VALUES or (rows[:, 2] > 0).sum() < _BUCKETS:
        return None
    norm = _at(*found.norm, step)
    return Fingerprint(np.ascontiguousarray(rows[rows[:, 2] > 0]).tobytes(), np.nan if norm is None else float(norm))


def _at(steps: npt.NDArray[np.int64], values: Any, step: int) -> Any:
    at = int(np.searchsorted(steps, step))
    return values[at] if at < len(steps) and steps[at] == step else None


def _fingerprints(run: RunData, layers: Sequence[Layer], step: int) -> dict[str, Fingerprint]:
    """Return fingerprints by role; roles that not all of the layers have are left out."""
    paths: dict[str, list[str]] = {}
    for layer in layers:
        for role in layer.roles:
            paths.setdefault(_FUSED.get(role.name, role.name), []).append(role.tag)
    whole = {role: fingerprint(run, found, step) for role, found in paths.items() if len(found) == len(layers)}
    return _known(whole)


def _known(found: Mapping[str, Fingerprint | None]) -> dict[str, Fingerprint]:
    return {role: one for role, one in found.items() if one is not None}
