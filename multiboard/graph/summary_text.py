"""Summaries for people: markdown for the Text tab, a rich table for the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from multiboard.errors import MissingFrameworkError
from multiboard.graph import text

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.table import Table

    from multiboard.graph.summary import Summary, SummaryRow

_TIED: Final = 5


class _Column(NamedTuple):
    """A column of numbers: its heading, its cell in a row and in the row of the totals."""

    heading: str
    of: Callable[[Any], Any]
    text: Callable[[Any], str]
    always: bool = False


_NUMBERS: Final = (
    _Column("Params", lambda row: row.params, text.integer, always=True),
    _Column("Buffers", lambda row: row.buffers, text.integer),
    _Column("Bytes", lambda row: row.bytes, text.size, always=True),
    _Column("FLOPs", lambda row: row.flops, text.count, always=True),
    _Column("Backward FLOPs", lambda row: row.backward_flops, text.count),
    _Column("Allocated", lambda row: row.mem, text.size),
    _Column("Time", lambda row: row.us, text.time),
    _Column("Backward time", lambda row: row.backward_us, text.time),
)
"""Those that need not be there are left out when they are 0 in the totals."""


def markdown(summary: Summary, most: int) -> str:
    """Return a summary as a markdown table, with what needs words below it.

    Args:
        summary: any.
        most: rows; deeper layers are left out first.
    """
    shown = _shown(summary, most)
    columns = _columns(summary)
    heading = ["Layer", "Class", "Output", "dtype", *(column.heading for column in columns)]
    rows = [[_code(_label(row)), *_cells(row, columns)] for row in shown]
    rows.append(["**Total**", "", "", "", *(f"**{column.text(column.of(summary.totals))}**" for column in columns)])
    left_out = len(summary.rows) - len(shown)
    told = [f"{left_out} deeper or later layers are left out; their numbers are in those above."] if left_out else []
    told += _remarks(summary)
    told += summary.notes
    return "\n\n".join([text.table(heading, rows, len(columns)), *told])


def table(summary: Summary) -> Table:
    """Return a summary as a rich table; layers are indented below what holds them.

    Raises:
        MissingFrameworkError: rich is not installed.
    """
    try:
        from rich.box import SIMPLE_HEAD
        from rich.table import Column, Table
        from rich.text import Text
    except ImportError as error:
        raise MissingFrameworkError("Summary.table()", "rich", "cli") from error
    columns = _columns(summary)
    words = [
        Column("Layer", overflow="fold", min_width=12),
        Column("Class", min_width=8),
        Column("Output", overflow="fold", min_width=7),
        Column("dtype", no_wrap=True),
    ]
    drawn = Table(*words, box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), show_footer=True, footer_style="bold")
    drawn.columns[0].footer = "Total"
    for column in columns:
        drawn.add_column(column.heading.replace(" ", "\n"), column.text(column.of(summary.totals)), justify="right", no_wrap=True)
    for row in summary.rows:
        name = _label(row).rsplit("/", 1)[-1]
        drawn.add_row(*(Text(cell) for cell in ("  " * row.depth + name, *_cells(row, columns))))
    told = (*_remarks(summary), *summary.notes)
    drawn.caption = Text("\n".join(told)) if told else None
    return drawn


def _label(row: SummaryRow) -> str:
    return row.path or row.model or "(no layer)"


def _code(path: str) -> str:
    return f"`{path.replace('`', chr(39))}`"


def _columns(summary: Summary) -> list[_Column]:
    return [column for column in _NUMBERS if column.always or column.of(summary.totals)]


def _cells(row: SummaryRow, columns: list[_Column]) -> list[str]:
    calls = f" {text.TIMES}{row.calls}" if row.calls > 1 else ""
    shapes = " ".join(text.shape(spec.shape) for spec in row.outputs)
    dtypes = " ".join(dict.fromkeys(spec.dtype for spec in row.outputs if spec.dtype))
    return [f"{row.cls}{calls}", shapes, dtypes, *(column.text(column.of(row)) for column in columns)]


def _shown(summary: Summary, most: int) -> list[SummaryRow]:
    deepest = max((row.depth for row in summary.rows), default=0)
    shown = list(summary.rows)
    while len(shown) > most and deepest > 1:
        deepest -= 1
        shown = [row for row in summary.rows if row.depth <= deepest]
    return shown[:most]


def _remarks(summary: Summary) -> list[str]:
    totals = summary.totals
    tied = [f"{_label(row)} ({weight.path})" for row in summary.rows if row.model for weight in row.weights if weight.tied]
    told = []
    if tied:
        more = f" and {len(tied) - _TIED} more" if len(tied) > _TIED else ""
        told.append(f"Tied weights count where they were used first; used again in {', '.join(tied[:_TIED])}{more}.")
    if totals.optimizer_flops or totals.optimizer_us:
        time = f", {text.time(totals.optimizer_us)}" if totals.optimizer_us else ""
        told.append(f"The optimizer is not in the table: {text.count(totals.optimizer_flops)} FLOPs{time}.")
    if totals.state:
        told.append(
            f"State of no layer, e.g. of the optimizer: {text.integer(totals.state)} numbers, {text.size(totals.state_bytes)}."
        )
    return told
