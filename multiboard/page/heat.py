"""Maps of layers and steps: how far each tensor of a run is from the baseline's at each step, by one measure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from multiboard.compare.distances import log2_ratio
from multiboard.errors import ArgumentError
from multiboard.page.limits import spread

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import numpy.typing as npt

    from multiboard.compare.divergence import Divergence
    from multiboard.compare.findings import Finding
    from multiboard.compare.tensor_differences import Measures
    from multiboard.page.parts import Board, Part

    Floats = npt.NDArray[np.float64]

_FEWEST: Final = 8
"""Columns that a map has, however many rows there are."""
_ALWAYS: Final = frozenset({"distance", "nonfinite"})


class Map(NamedTuple):
    """A map of one kind of one run.

    Attributes:
        rows: tensors in the order of the forward pass.
        step: int64 `[m]`, at which any of them was compared; some of them, if that makes too many cells.
        steps: how many these are.
    """

    rows: tuple[Finding, ...]
    step: npt.NDArray[np.int64]
    steps: int

    def described(self) -> dict[str, Any]:
        """Return what the rows are."""
        rows = [
            {"name": one.name, "layer": one.layer, "other": one.other, "level": one.level, "order": one.order}
            for one in self.rows
        ]
        return {"rows": rows, "columns": len(self.step)}

    def values(self, of: Callable[[Finding], Floats]) -> npt.NDArray[np.float32]:
        """Return a number per row and step, `[n * m]`; NaN where nothing was compared."""
        result = np.full((len(self.rows), len(self.step)), np.nan, np.float32)
        with np.errstate(over="ignore"):
            for row, one in zip(result, self.rows, strict=True):
                at = np.minimum(np.searchsorted(one.step, self.step), len(one.step) - 1)
                known = one.step[at] == self.step
                row[known] = of(one)[at[known]]
        return result.reshape(-1)

    def measured(self, measure: str) -> bool:
        """Tell whether a measure is known of any row."""
        of = MEASURES[measure]
        return measure in _ALWAYS or any(not np.isnan(of(one)).all() for one in self.rows)


def maps(findings: Iterable[Finding], cells: int | None = None, parted: Iterable[Divergence] = ()) -> dict[tuple[str, str], Map]:
    """Return the maps of what was compared of tensors, by run and kind.

    Args:
        findings: of tensors.
        cells: that a map has at most; None for all.
        parted: whose steps stay.
    """
    keep: dict[tuple[str, str], set[int]] = {}
    for divergence in parted:
        keep.setdefault((divergence.run, divergence.kind), set()).update([divergence.step, divergence.beyond])
    groups: dict[tuple[str, str], list[Finding]] = {}
    for one in findings:
        if len(one.step):
            groups.setdefault((one.run, one.kind), []).append(one)
    return {key: _map(group, cells, keep.get(key, set())) for key, group in groups.items()}


def _map(group: list[Finding], cells: int | None, keep: set[int]) -> Map:
    step = np.unique(np.concatenate([one.step for one in group]))
    at = np.arange(len(step))
    if cells is not None:
        at = spread(len(step), max(_FEWEST, cells // len(group)), np.flatnonzero(np.isin(step, sorted(keep))).tolist())
    return Map(tuple(sorted(group, key=lambda one: one.order)), step[at], len(step))


def heat(board: Board, kind: str, measure: str, run: str) -> Part:
    """Return one measure of all tensors of a kind at all steps.

    Args:
        board: with the runs.
        kind: what is compared, e.g. 'grads'.
        measure: 'distance', 'emd', 'octaves', 'norm_ratio', 'update_ratio' or 'nonfinite', as in `LayerRow`; the last one is how
            many more values are NaN or infinite than in the baseline.
        run: another run than the baseline.

    Raises:
        ArgumentError: one of them is none, or nothing of this kind was compared.
    """
    board.run(run, other=True)
    if measure not in MEASURES:
        raise ArgumentError("measure", measure, f"the measures are {', '.join(MEASURES)}")
    found = board.maps.get((run, kind))
    if found is None:
        known = [of for name, of in board.maps if name == run]
        raise ArgumentError("kind", kind, f"compared were {', '.join(known) or 'no tensors'}")
    part = {"rows": len(found.rows), "step": found.step, "value": found.values(MEASURES[measure])}
    if measure == "distance":
        part["limit"] = _limits(board, kind, run)
    return part


def _limits(board: Board, kind: str, run: str) -> npt.NDArray[np.float32]:
    """Return the limits of all cells; where runs part, the one that told so, which is less for the layer in which that begins."""
    found = board.maps[run, kind]
    limit = found.values(lambda one: one.limit).reshape(len(found.rows), -1)
    row = {one.name: number for number, one in enumerate(found.rows)}
    for one in board.comparison.parted if board.comparison else ():
        if (one.run, one.kind) == (run, kind) and not one.exact and one.name in row:
            cell = row[one.name], found.step == one.beyond
            limit[cell] = np.fmin(limit[cell], np.float32(one.limit))
    return limit.reshape(-1)


def _measures(one: Finding) -> Measures:
    if one.measures is None:
        raise TypeError
    return one.measures


def _emd(one: Finding) -> Floats:
    found = _measures(one)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(found.emd == 0, 0.0, found.emd / found.scale)


def _ratio(pair: Floats) -> Floats:
    return np.where(np.isnan(pair).all(axis=0), np.nan, log2_ratio(pair[0], pair[1]))


def _nonfinite(one: Finding) -> Floats:
    counts = _measures(one).nonfinite
    return np.asarray(counts[1] - counts[0])


MEASURES: Final[dict[str, Callable[[Finding], Floats]]] = {
    "distance": lambda one: one.distance,
    "emd": _emd,
    "octaves": lambda one: _measures(one).octaves(),
    "norm_ratio": lambda one: _ratio(_measures(one).norm),
    "update_ratio": lambda one: _ratio(_measures(one).ratio),
    "nonfinite": _nonfinite,
}
"""What a map can show."""
