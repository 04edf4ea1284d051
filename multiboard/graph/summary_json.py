"""Summaries as JSON, for other programs and for comparing runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from multiboard.errors import ArgumentError
from multiboard.graph.ir import TensorSpec
from multiboard.graph.summary import Summary, SummaryRow, Totals, WeightRow

if TYPE_CHECKING:
    from collections.abc import Mapping

_VERSION: Final = 1


def dump(summary: Summary, path: str | Path | None = None) -> str:
    """Return a summary as JSON.

    Args:
        summary: any.
        path: of a file that gets it, too.
    """
    text = json.dumps(
        {
            "version": _VERSION,
            "framework": summary.framework,
            "step": summary.step,
            "notes": summary.notes,
            "totals": summary.totals._asdict(),
            "rows": [_row(row) for row in summary.rows],
        }
    )
    if path is not None:
        Path(path).write_text(text, encoding="utf-8")
    return text


def load(text: str) -> Summary:
    """Return the summary of a text that `dump` made.

    Raises:
        ArgumentError: it is another text.
    """
    try:
        told = json.loads(text)
        rows = tuple(_take_row(row) for row in told["rows"])
        return Summary(told["framework"], told["step"], tuple(told["notes"]), rows, Totals(**told["totals"]))
    except (ValueError, TypeError, KeyError) as error:
        raise ArgumentError("text", text, "pass the JSON that Summary.to_json() returns") from error


def _row(row: SummaryRow) -> dict[str, Any]:
    return row._asdict() | {
        "outputs": [spec._asdict() for spec in row.outputs],
        "weights": [weight._asdict() for weight in row.weights],
    }


def _take_row(told: Mapping[str, Any]) -> SummaryRow:
    outputs = tuple(TensorSpec(_shape(spec["shape"]), spec["dtype"]) for spec in told["outputs"])
    weights = tuple(WeightRow(**{**weight, "shape": _shape(weight["shape"])}) for weight in told["weights"])
    return SummaryRow(**{**told, "outputs": outputs, "weights": weights})


def _shape(sizes: list[int | None] | None) -> tuple[int | None, ...] | None:
    return None if sizes is None else tuple(sizes)
