"""Rows of a listing as CSV (RFC 4180, but lines end in a line feed) and as JSON lines (RFC 8259).

Numbers are the shortest decimals that are the same number: of float32 if all numbers of the column are float32, e.g. 0.1 and not
0.10000000149011612, of float64 otherwise. The others are NaN, inf and -inf in CSV: polars takes no other spelling for a number.
JSON has no such numbers; there they are the strings "NaN", "Infinity" and "-Infinity", as in protobuf's JSON mapping
(https://protobuf.dev/programming-guides/json).
"""

from __future__ import annotations

import json
import re
from itertools import repeat
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    import numpy.typing as npt

    from multiboard.listing import Block, Cells

_SPECIAL: Final = re.compile(r'[",\r\n]|^\s|\s$|^$')

_NOT_FINITE: Final = {"NaN": '"NaN"', "inf": '"Infinity"', "-inf": '"-Infinity"'}
"""JSON by decimal."""


def number_texts(values: npt.NDArray[Any]) -> list[str]:
    """Return the shortest exact decimals of int64, float32 or float64 numbers `[n]`.

    >>> number_texts(np.array([0.1, np.nan, -np.inf], np.float32)), number_texts(np.array([1e16, 3.0]))
    (['0.1', 'NaN', '-inf'], ['1e+16', '3.0'])
    """
    if values.dtype.kind != "f":
        return list(map(str, values.tolist()))
    texts = _float32_texts(values) if values.dtype == np.float32 else list(map(repr, values.tolist()))
    for i in np.flatnonzero(~np.isfinite(values)).tolist():
        texts[i] = "NaN" if np.isnan(values[i]) else "inf" if values[i] > 0 else "-inf"
    return texts


def _float32_texts(values: npt.NDArray[np.float32]) -> list[str]:
    """Return decimals that are the same float32 also for who reads them as float64 first and rounds then.

    The shortest decimal may lie so near to the middle of two float32 that its float64 is the middle: 7.038531e-26.
    """
    decimals = values.astype(np.str_)
    texts: list[str] = decimals.tolist()
    with np.errstate(over="ignore"):
        read = decimals.astype(np.float64).astype(np.float32)
    for i in np.flatnonzero((read != values) & ~np.isnan(values)).tolist():
        texts[i] = repr(float(values[i]))
    return texts


class Csv:
    """Encodes blocks as CSV.

    Args:
        names: of the columns.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._names = names

    def head(self) -> bytes:
        """Return the line with the names of the columns."""
        return _utf8([",".join(map(_quoted, self._names))], "surrogateescape")

    def encode(self, block: Block) -> bytes:
        """Return the lines of the rows; an empty cell is nothing between two commas, an empty text is `""`."""
        columns = [_column(block.cells.get(name), _quoted, str, "") for name in self._names]
        return _utf8(map(",".join, _rows(columns, block.size)), "surrogateescape")


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"' if _SPECIAL.search(text) else text


class JsonLines:
    """Encodes blocks as a JSON object per line.

    Args:
        names: of the columns.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._keys = {name: f"{_json(name)}: " for name in names}

    def head(self) -> bytes:
        """Return nothing: the names are in each line."""
        return b""

    def encode(self, block: Block) -> bytes:
        """Return the lines of the rows; an empty cell is left out."""
        columns = [self._cells(name, block.cells[name]) for name in self._keys if name in block.cells]
        lines = (f"{{{', '.join(filter(None, row))}}}" for row in _rows(columns, block.size))
        return _utf8(lines, "backslashreplace")  # half a character of a file name: \\udc80 is also JSON's way to write it

    def _cells(self, name: str, cells: Cells) -> Iterable[str | None]:
        key = self._keys[name]
        return _column(cells, lambda text: key + _json(text), lambda decimal: key + _json_number(decimal), None)


def _json(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _json_number(decimal: str) -> str:
    return _NOT_FINITE.get(decimal, decimal)


def _column(
    cells: Cells | None, text: Callable[[str], str], number: Callable[[str], str], empty: str | None
) -> Iterable[str | None]:
    """Return the texts of one column.

    Args:
        cells: of the column.
        text: encodes a text.
        number: encodes a number, given its decimal.
        empty: stands for an empty cell.
    """
    if cells is None:
        return repeat(empty)
    if isinstance(cells, str):
        return repeat(text(cells))
    if not isinstance(cells, np.ndarray):
        return map(text, cells)
    texts: list[str | None] = list(map(number, number_texts(np.ma.getdata(cells))))
    for i in np.flatnonzero(np.ma.getmaskarray(cells)).tolist():
        texts[i] = empty
    return texts


def _rows(columns: Sequence[Iterable[Any]], size: int) -> Iterable[tuple[Any, ...]]:
    return (row for row, _ in zip(zip(*columns, strict=False), range(size), strict=False))


def _utf8(lines: Iterable[str], errors: str) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode("utf-8", errors)


ENCODERS: Final[dict[str, type[Csv | JsonLines]]] = {"csv": Csv, "jsonl": JsonLines}
"""By name of the format."""
