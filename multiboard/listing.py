"""Points as rows, block by block: the long form of scalars, histograms and texts, and scalars with a column per tag.

A listing holds no rows itself: blocks are made from the columns of the runs when they are asked for, so that a writer of a file
needs memory for one block. How a file is written is not known here.
"""

from __future__ import annotations

from importlib import import_module
from itertools import chain
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol, TypeAlias

import numpy as np

from multiboard.errors import ArgumentError, MissingFrameworkError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import numpy.typing as npt
    import pandas as pd

Cells: TypeAlias = "str | Sequence[str] | npt.NDArray[Any]"
"""One column of a block: a text that is the same in every row, n texts, or n numbers; masked numbers are empty cells."""
_ROWS: Final = 1 << 16
"""Cells of a block, about."""


class Points(Protocol):
    """All points of one tag, as in `multiboard.reader.Column`."""

    @property
    def step(self) -> npt.NDArray[np.int64]:
        """Int64 `[n]`."""

    @property
    def wall_time(self) -> npt.NDArray[np.float64]:
        """Float64 `[n]`, seconds since the epoch."""

    @property
    def value(self) -> Any:
        """N values."""


class Block(NamedTuple):
    """Some rows of a listing.

    Attributes:
        size: number of rows.
        cells: by name of the column; a column that is absent has only empty cells here.
    """

    size: int
    cells: dict[str, Cells]


class Listing:
    """Points as rows.

    Args:
        columns: dtype by name: int64, float64 or object, which are texts.
        blocks: makes the rows anew at every call.

    Attributes:
        columns: the same.
    """

    def __init__(self, columns: Mapping[str, Any], blocks: Callable[[], Iterator[Block]]) -> None:
        self.columns = dict(columns)
        self.blocks = blocks

    def to_pandas(self) -> pd.DataFrame:
        """Return all rows as a data frame; empty cells are NaN, also those of texts. Needs pandas."""
        try:
            import pandas as pd
        except ImportError as error:
            raise MissingFrameworkError("to_pandas", "pandas", "pandas") from error
        empty = pd.DataFrame({name: pd.Series(dtype=str if dtype is object else dtype) for name, dtype in self.columns.items()})
        parts = [
            pd.DataFrame({name: _whole(cells, np.nan) for name, cells in block.cells.items()}, index=range(block.size))
            for block in self.blocks()
        ]
        return pd.concat(parts, ignore_index=True).reindex(columns=list(self.columns)) if parts else empty

    def to_polars(self) -> Any:
        """Return all rows as a `polars.DataFrame`; empty cells are null. Needs polars."""
        try:
            pl = import_module("polars")
        except ImportError as error:
            raise MissingFrameworkError("to_polars", "polars", "polars") from error
        types = {name: _polars_type(pl, dtype) for name, dtype in self.columns.items()}
        parts = [
            pl.DataFrame({name: _series(pl, block.cells.get(name), block.size, dtype) for name, dtype in types.items()})
            for block in self.blocks()
        ]
        return pl.concat(parts) if parts else pl.DataFrame(schema=types)


def _whole(cells: Cells, empty: float | None) -> Any:
    """Return cells with float64 for float32, and something for those that are empty."""
    if not isinstance(cells, np.ndarray):
        return cells
    wide = cells.astype(np.float64) if cells.dtype.kind == "f" else cells
    return wide.filled(empty) if isinstance(wide, np.ma.MaskedArray) else wide


def _polars_type(pl: Any, dtype: Any) -> Any:
    return {np.int64: pl.Int64, np.float64: pl.Float64}.get(dtype, pl.String)


def _series(pl: Any, cells: Cells | None, size: int, dtype: Any) -> Any:
    if cells is None or isinstance(cells, str):
        return pl.repeat(cells, size, dtype=dtype, eager=True)
    if isinstance(cells, np.ma.MaskedArray):
        return pl.Series(cells.astype(np.float64).tolist(), dtype=dtype)
    return pl.Series(_whole(cells, None), dtype=dtype)


_POINT: Final = {"run": object, "tag": object, "step": np.int64, "wall_time": np.float64}
COLUMNS: Final = {
    "scalars": {**_POINT, "value": np.float64},
    "histograms": {**_POINT, "left": np.float64, "right": np.float64, "count": np.float64},
    "texts": {**_POINT, "text": object},
}
"""Dtypes of the columns by kind."""


def long_form(runs: Mapping[str, Any], kind: str = "scalars") -> Listing:
    """Return a listing with a row per scalar, text, or bucket of a histogram.

    Args:
        runs: `RunData` by name.
        kind: 'scalars', 'histograms', 'texts', or 'all' for these three with a column `kind`.

    Raises:
        ArgumentError: it is another kind.
    """
    if kind == "all":
        columns = {"kind": object} | {name: dtype for one in COLUMNS.values() for name, dtype in one.items()}
        return Listing(columns, lambda: chain.from_iterable(_named(one, _blocks(runs, one)) for one in COLUMNS))
    if kind not in COLUMNS:
        raise ArgumentError("kind", kind, f"pass one of {', '.join(map(repr, COLUMNS))} or 'all'")
    return Listing(COLUMNS[kind], lambda: _blocks(runs, kind))


def _named(kind: str, blocks: Iterator[Block]) -> Iterator[Block]:
    for block in blocks:
        yield Block(block.size, {"kind": kind, **block.cells})


def _blocks(runs: Mapping[str, Any], kind: str) -> Iterator[Block]:
    rows = {"scalars": _scalars, "histograms": _histograms, "texts": _texts}[kind]
    for name, run in runs.items():
        for tag, points in getattr(run, kind).items():
            for size, cells in rows(points):
                yield Block(size, {"run": name, "tag": tag, **cells})


def _parts(count: int, rows: int = _ROWS) -> Iterator[slice]:
    return (slice(begin, min(begin + rows, count)) for begin in range(0, count, rows))


def _scalars(points: Points) -> Iterator[Block]:
    value = narrowed(points.value)
    for part in _parts(len(value)):
        cells: dict[str, Cells] = {"step": points.step[part], "wall_time": points.wall_time[part], "value": value[part]}
        yield Block(part.stop - part.start, cells)


def _texts(points: Points) -> Iterator[Block]:
    for part in _parts(len(points.value)):
        cells: dict[str, Cells] = {"step": points.step[part], "wall_time": points.wall_time[part], "text": points.value[part]}
        yield Block(part.stop - part.start, cells)


def _histograms(points: Points) -> Iterator[Block]:
    lengths = np.array([len(rows) for rows in points.value], np.int64)
    for part in _parts(len(lengths), max(1, _ROWS // max(1, int(lengths.max(initial=1))))):
        buckets = np.concatenate([np.asarray(rows, np.float64).reshape(-1, 3) for rows in points.value[part]])
        step, time = (np.repeat(numbers[part], lengths[part]) for numbers in (points.step, points.wall_time))
        left, right, count = buckets.T
        if len(buckets):
            yield Block(len(buckets), {"step": step, "wall_time": time, "left": left, "right": right, "count": count})


def narrowed(value: npt.NDArray[np.float64]) -> npt.NDArray[Any]:
    """Return numbers as float32 if that changes none of them, as they are otherwise."""
    with np.errstate(over="ignore", invalid="ignore"):  # what is too large for float32 differs, and that is the question
        narrow = value.astype(np.float32)
    return narrow if np.array_equal(narrow, value, equal_nan=True) else value


def wide_form(runs: Mapping[str, Any]) -> Listing:
    """Return a listing of the scalars with a row per run and step and a column per tag, steps ascending.

    The later one of two points of a tag at one step counts, in the order of the files. A tag called 'run' or 'step' gets a column
    with an underscore behind its name.

    Args:
        runs: `RunData` by name.
    """
    names: dict[str, str] = {}
    taken = {"run", "step"}.union(*(run.scalars for run in runs.values()))
    for tag in chain.from_iterable(run.scalars for run in runs.values()):
        if tag not in names:
            names[tag] = _free(tag, taken) if tag in {"run", "step"} else tag
    columns = {"run": object, "step": np.int64, **dict.fromkeys(names.values(), np.float64)}
    return Listing(columns, lambda: chain.from_iterable(_wide(name, run.scalars, names) for name, run in runs.items()))


def _free(tag: str, taken: set[str]) -> str:
    while tag in taken:
        tag += "_"
    return tag


def _wide(run: str, scalars: Mapping[str, Points], names: Mapping[str, str]) -> Iterator[Block]:
    columns = {names[tag]: _by_step(points) for tag, points in scalars.items() if len(points.step)}
    if not columns:
        return
    steps = np.unique(np.concatenate([step for step, _ in columns.values()]))
    for part in _parts(len(steps), max(1, _ROWS // len(columns))):
        cells: dict[str, Cells] = {name: _at(steps[part], *column) for name, column in columns.items()}
        yield Block(part.stop - part.start, {"run": run, "step": steps[part], **cells})


def _by_step(points: Points) -> tuple[npt.NDArray[np.int64], npt.NDArray[Any]]:
    """Return the steps, ascending and each once, and the last value at each."""
    step, last = np.unique(points.step[::-1], return_index=True)
    return step, narrowed(points.value)[::-1][last]


def _at(steps: npt.NDArray[np.int64], known: npt.NDArray[np.int64], value: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return the values at some steps, masked where there is none."""
    place = np.minimum(np.searchsorted(known, steps), len(known) - 1)
    return np.ma.masked_array(value[place], known[place] != steps)
