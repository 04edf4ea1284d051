"""Summaries of profiles as JSON."""

from __future__ import annotations

import json
from typing import Any, Final

from multiboard.profile.summary import LiveRow, MemoryRow, OpRow, StepRow, Summary

_ROWS: Final[dict[str, Any]] = {"steps": StepRow, "ops": OpRow, "memory": MemoryRow, "live": LiveRow}


def to_json(summary: Summary) -> str:
    """Return a summary as JSON: an object of its attributes, the rows as objects of theirs."""
    fields = summary._asdict()
    return json.dumps({**fields, **{name: [row._asdict() for row in fields[name]] for name in _ROWS}})


def from_json(text: str) -> Summary:
    """Return the summary that `to_json` made a text of.

    Raises:
        ValueError: the text is none.
    """
    try:
        fields = json.loads(text)
        rows = {name: tuple(row(**one) for one in fields[name]) for name, row in _ROWS.items()}
        return Summary(**{**fields, **rows, "notes": tuple(fields["notes"])})
    except (TypeError, KeyError) as error:
        raise ValueError(f"this is no summary of a profile: {error}") from error
