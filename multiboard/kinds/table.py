"""Tables as markdown text: the same look in TensorBoard's Text tab and on GitHub."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from multiboard.arrays import fetch_array, framework_of, take_array
from multiboard.errors import ValueKindError, ValueShapeError

_ON_A_DEVICE: Final = frozenset({"torch", "jax", "tensorflow", "keras"})
Rows = tuple[list[str], list[list[Any]]]
_RULE: Final = "a table is a list of dicts, a list of rows, a dict of columns, or a data frame."


def markdown(tag: str, rows: Any, columns: Sequence[str] | None = None) -> str:
    r"""Return rows as a markdown table.

    Args:
        tag: named in errors.
        rows: a list of dicts, a list of rows, a dict of columns, or a data frame (pandas, polars).
        columns: which columns, in order; for a list of rows their names. None takes all, in the order they first occur; rows
            without names are numbered.

    >>> print(markdown("t", [{"layer": "a|b", "loss": 0.5}, {"layer": "c"}]))
    | layer | loss |
    | --- | --- |
    | a\|b | 0.5 |
    | c |  |

    Raises:
        ValueKindError: the rows are none of these.
        ValueShapeError: rows or columns of different lengths, or no column.
    """
    names, cells = _rows(tag, rows, None if columns is None else list(columns))
    if not names:
        raise ValueShapeError(tag, (len(cells), 0), "a table needs at least one column; pass columns=.")
    for row in cells:
        if len(row) != len(names):
            raise ValueShapeError(tag, (len(row),), f"every row of this table has {len(names)} cells.")
    return "\n".join(_line(map(_cell, row)) for row in (names, ["---"] * len(names), *cells))


def _rows(tag: str, rows: Any, columns: list[str] | None) -> Rows:
    if isinstance(rows, Mapping):
        return _from_columns(tag, rows, columns)
    if hasattr(rows, "columns") and hasattr(rows, "itertuples"):
        return _from_frame([str(name) for name in rows.columns], rows.itertuples(index=False, name=None), columns)
    if hasattr(rows, "columns") and hasattr(rows, "iter_rows"):
        return _from_frame(list(rows.columns), rows.iter_rows(), columns)
    if not isinstance(rows, Iterable) or isinstance(rows, (str, bytes)):
        raise ValueKindError(tag, rows, _RULE)
    listed = list(rows)
    if listed and all(isinstance(row, Mapping) for row in listed):
        names = columns or list(dict.fromkeys(key for row in listed for key in row))
        return [str(name) for name in names], [[row.get(name, "") for name in names] for row in listed]
    if not all(isinstance(row, Iterable) and not isinstance(row, (str, bytes, Mapping)) for row in listed):
        raise ValueKindError(tag, rows, _RULE)
    cells = [list(row) for row in listed]
    return columns or [str(i) for i in range(max(map(len, cells), default=0))], cells


def _from_columns(tag: str, table: Mapping[Any, Any], columns: list[str] | None) -> Rows:
    names = columns or list(table)
    parts = [_column(tag, table, name) for name in names]
    for part in parts:
        if len(part) != len(parts[0]):
            raise ValueShapeError(tag, (len(part),), f"every column of this table has {len(parts[0])} cells.")
    return [str(name) for name in names], [list(row) for row in zip(*parts, strict=True)]


def _column(tag: str, table: Mapping[Any, Any], name: Any) -> list[Any]:
    part = table.get(name)
    if not isinstance(part, Iterable) or isinstance(part, (str, bytes)):
        raise ValueKindError(tag, part, f"column {name!r} of a table is a list of cells.")
    return list(part)


def _from_frame(names: list[str], rows: Iterable[tuple[Any, ...]], columns: list[str] | None) -> Rows:
    cells = [list(row) for row in rows]
    if columns is None:
        return names, cells
    index = {name: i for i, name in enumerate(names)}
    return columns, [[row[index[name]] if name in index else "" for name in columns] for row in cells]


def _cell(value: Any) -> str:
    number = fetch_array(take_array("", value)) if framework_of(type(value)) in _ON_A_DEVICE else value
    return str(number).replace("|", "\\|").replace("\r\n", "\n").replace("\r", "\n").replace("\n", "<br>")


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
