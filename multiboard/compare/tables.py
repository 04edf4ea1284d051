"""Tables of a comparison at full resolution: kept by column, made into rows when they are asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

import numpy as np

from multiboard.compare.distances import log2_ratio
from multiboard.compare.exact import ExactRow
from multiboard.compare.oracle import OracleRow

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

    from multiboard.compare.exact import Compared
    from multiboard.compare.findings import Finding
    from multiboard.compare.oracle import Errors

RowT = TypeVar("RowT")


class ScalarRow(NamedTuple):
    """One scalar at one step in two runs.

    Attributes:
        run: the other run.
        tag: in both runs.
        kind: what it is compared as: 'loss', 'metrics', 'schedule', or a group whose norm it is.
        step: that both runs have.
        a: value in the baseline.
        b: value in the other run.
        distance: |a - b| over the larger of |a| and |b|.
        limit: the largest distance that is none, the tolerance or the noise.
        beyond: whether the distance is larger.
    """

    run: str
    tag: str
    kind: str
    step: int
    a: float
    b: float
    distance: float
    limit: float
    beyond: bool


class LayerRow(NamedTuple):
    """One tensor of a layer at one step in two runs; NaN is what a run does not say.

    Attributes:
        run: the other run.
        kind: 'params', 'grads', 'updates', 'activations', …
        layer: path in the baseline, '' for a histogram of no layer.
        name: of the tensor without its group, in the baseline.
        other: the same in the other run.
        level: how sure it is that the layers belong together.
        step: that both runs have.
        emd: earth mover's distance of the histograms over mean |x| of the baseline.
        octaves: the same of log2 |x|.
        norm_ratio: log2 of the norm in the other run over that of the baseline.
        update_ratio: log2 of the update ratio in the other run over that of the baseline.
        nonfinite_a: NaN and infinite values in the baseline.
        nonfinite_b: NaN and infinite values in the other run.
        distance: relative difference without what the histogram cannot resolve and without rounding errors of the group.
        limit: the largest distance that is none, the tolerance or the noise.
        beyond: whether the distance is larger.
    """

    run: str
    kind: str
    layer: str
    name: str
    other: str
    level: str
    step: int
    emd: float
    octaves: float
    norm_ratio: float
    update_ratio: float
    nonfinite_a: int
    nonfinite_b: int
    distance: float
    limit: float
    beyond: bool


class Table(Sequence[RowT], Generic[RowT]):
    """Rows that are made when they are asked for.

    Args:
        row: what a row is made of, a named tuple.
        blocks: columns by name; a value without dimension stands for a whole column. Each has a column 'step'.
    """

    def __init__(self, row: Any, blocks: Sequence[Mapping[str, Any]]) -> None:
        self._row, self._blocks = row, blocks
        self._ends = np.cumsum([len(block["step"]) for block in blocks], dtype=np.int64)

    def __len__(self) -> int:
        return int(self._ends[-1]) if len(self._ends) else 0

    def __iter__(self) -> Iterator[RowT]:
        for block in self._blocks:
            count = len(block["step"])
            columns = [block[name].tolist() if isinstance(block[name], np.ndarray) else [block[name]] * count
                       for name in self._row._fields]  # fmt: skip
            yield from map(self._row._make, zip(*columns, strict=True))

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[at] for at in range(*index.indices(len(self)))]
        at = range(len(self))[index]
        number = int(np.searchsorted(self._ends, at, side="right"))
        block = self._blocks[number]
        inside = at - (int(self._ends[number - 1]) if number else 0)
        values = (block[name] for name in self._row._fields)
        return self._row._make(value[inside].item() if isinstance(value, np.ndarray) else value for value in values)

    def columns(self) -> dict[str, Any]:
        """Return all columns: arrays of numbers, and of objects for texts."""
        return {name: self._column(name) for name in self._row._fields}

    def _column(self, name: str) -> Any:
        if not self._blocks:
            return np.zeros(0)
        lengths = [len(block["step"]) for block in self._blocks]
        if isinstance(self._blocks[0][name], np.ndarray):
            return np.concatenate([block[name] for block in self._blocks])
        return np.repeat(np.array([block[name] for block in self._blocks], object), lengths)

    def to_pandas(self) -> pd.DataFrame:
        """Return all rows as a data frame. Needs pandas."""
        import pandas as pd

        return pd.DataFrame(self.columns(), columns=list(self._row._fields))

    def to_polars(self) -> pl.DataFrame:
        """Return all rows as a data frame. Needs polars."""
        import polars as pl

        return pl.DataFrame({name: values.tolist() for name, values in self.columns().items()}, strict=False)


def scalar_table(findings: Sequence[Finding]) -> Table[ScalarRow]:
    """Return the table of all scalars."""
    return Table(ScalarRow, [_scalar_block(finding) for finding in findings if finding.measures is None])


def tensor_table(findings: Sequence[Finding]) -> Table[LayerRow]:
    """Return the table of all tensors."""
    return Table(LayerRow, [_layer_block(finding) for finding in findings if finding.measures is not None])


def exact_table(kept: Sequence[Compared]) -> Table[ExactRow]:
    """Return the table of all tensors that were compared element by element."""
    return Table(ExactRow, [_exact_block(one.rows) for one in kept])


def oracle_table(errors: Sequence[Errors]) -> Table[OracleRow]:
    """Return the table of the errors of two runs against the reference."""
    return Table(OracleRow, [one._asdict() | {"verdict": one.verdict} for one in errors])


def _exact_block(rows: Sequence[ExactRow]) -> dict[str, Any]:
    same = rows[0]._asdict()
    numbers = {name: np.array([getattr(row, name) for row in rows]) for name, value in same.items() if not isinstance(value, str)}
    return same | numbers


def _scalar_block(finding: Finding) -> dict[str, Any]:
    return {
        "run": finding.run, "tag": finding.name, "kind": finding.kind, "step": finding.step, "a": finding.a, "b": finding.b,
        "distance": finding.distance, "limit": finding.limit, "beyond": finding.distance > finding.limit,
    }  # fmt: skip


def _layer_block(finding: Finding) -> dict[str, Any]:
    found = finding.measures
    if found is None:
        raise TypeError
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        emd = np.where(found.emd == 0, 0.0, found.emd / found.scale)
    unknown = [np.isnan(pair).all(axis=0) for pair in (found.norm, found.ratio)]
    ratios = [np.where(none, np.nan, log2_ratio(*pair)) for none, pair in zip(unknown, (found.norm, found.ratio), strict=True)]
    nonfinite = np.clip(found.nonfinite, 0, 2.0**62).astype(np.int64)
    return {
        "run": finding.run, "kind": finding.kind, "layer": finding.layer, "name": finding.name, "other": finding.other,
        "level": finding.level, "step": finding.step, "emd": emd, "octaves": found.octaves(),
        "norm_ratio": ratios[0], "update_ratio": ratios[1], "nonfinite_a": nonfinite[0], "nonfinite_b": nonfinite[1],
        "distance": finding.distance, "limit": finding.limit, "beyond": finding.distance > finding.limit,
    }  # fmt: skip
