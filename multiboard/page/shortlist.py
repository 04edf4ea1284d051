"""Which tensors a page gets that cannot ask for more: those that part first, then those that come closest to parting."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from multiboard.compare.tensor_matches import contents

if TYPE_CHECKING:
    from collections.abc import Iterable

    from multiboard.compare.divergence import Divergence
    from multiboard.compare.findings import Finding
    from multiboard.reader import RunData

_PARTED, _COMPARED = 0, 1
_ALONE: Final = (2, 0.0)
"""The rank of a tensor that was not compared."""


def tensors_of(run: RunData) -> dict[str, list[str]]:
    """Return the tensors that a run has something of, by kind."""
    found: dict[str, list[str]] = {}
    for path, kinds in contents(run).items():
        for kind in kinds:
            found.setdefault(kind, []).append(path)
    return found


def shortlist(
    held: dict[str, list[str]], findings: Iterable[Finding], parted: Iterable[Divergence], most: int | None
) -> dict[str, list[str]]:
    """Return some of the tensors of a run, by kind, in its own order.

    Args:
        held: all of them, by kind.
        findings: what was compared of them.
        parted: where they part, the first one first.
        most: of one kind; None for all.
    """
    if most is None or all(len(names) <= most for names in held.values()):
        return held
    rank: dict[tuple[str, str], tuple[int, float]] = {}
    for one in findings:
        if len(one.step):
            rank[one.kind, one.name] = min((_COMPARED, _excess(one)), rank.get((one.kind, one.name), _ALONE))
    for at, divergence in enumerate(parted):
        key = divergence.kind, divergence.name
        rank[key] = min((_PARTED, divergence.step if at else -np.inf), rank.get(key, _ALONE))
    chosen = {}
    for kind, names in held.items():
        best = set(sorted(names, key=lambda name, kind=kind: rank.get((kind, name), _ALONE))[:most])  # type: ignore[misc]
        chosen[kind] = [name for name in names if name in best]
    return chosen


def _excess(one: Finding) -> float:
    """Return minus the largest difference in units of its limit."""
    return -float(np.max(one.distance / np.maximum(one.limit, 1e-300)))
