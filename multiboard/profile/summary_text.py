"""Summaries of profiles for people: markdown for the Text tab, a rich table for the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from multiboard.errors import MissingFrameworkError
from multiboard.graph import text
from multiboard.profile.spans import DEVICE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.table import Table

    from multiboard.profile.summary import OpRow, Summary

_MOST: Final = 30
_OPERATIONS: Final = ("Layer", "Operation", "Self time", "Share", "Calls")


def texts(summary: Summary, session: str) -> dict[str, str]:
    """Return the tables of a summary by tag; see `Summary.texts`."""
    found = {"profile/top_ops": _top_ops(summary, session)}
    if summary.memory:
        heading = ["Allocator", "Peak", "Reserved", "Allocations", "Deallocations"]
        rows = [
            [_code(row.allocator), text.size(row.peak_bytes), text.size(row.reserved_bytes) if row.reserved_bytes else "",
             text.integer(row.allocations), text.integer(row.deallocations)]
            for row in summary.memory
        ]  # fmt: skip
        found["profile/memory"] = text.table(heading, rows, 4)
    if summary.live:
        rows = [[_code(row.site), row.device, text.size(row.bytes), text.integer(row.buffers)] for row in summary.live[:_MOST]]
        rows.append(["**Total**", "", *(f"**{cell}**" for cell in _live_total(summary))])
        found["profile/live_buffers"] = text.table(["Made in", "Device", "Bytes", "Buffers"], rows, 2)
    return found


def _live_total(summary: Summary) -> tuple[str, str]:
    return text.size(sum(row.bytes for row in summary.live)), text.integer(sum(row.buffers for row in summary.live))


def _top_ops(summary: Summary, session: str) -> str:
    told = [sentence(summary)]
    for place in dict.fromkeys(row.place for row in summary.ops):
        rows = [row for row in summary.ops if row.place == place]
        heading = [*_OPERATIONS[:2], f"Self time on the {place}", *_OPERATIONS[3:]]
        told.append(text.table(heading, [[_code(row.layer), _code(row.op), *_numbers(row)] for row in rows[:_MOST]], 3))
        if len(rows) > _MOST:
            rest = sum(row.self_us for row in rows[_MOST:])
            told.append(f"{len(rows) - _MOST} more operations take {text.time(rest)}.")
    told += summary.notes
    told.append(f"[Open the profile](?run={quote(session, safe='')}#profile)" if session else "[Profiles](#profile)")
    return "\n\n".join(told)


def sentence(summary: Summary) -> str:
    """Return the numbers of a summary in one sentence."""
    if not summary.steps:
        return "No steps."
    first, last = summary.steps[0].number, summary.steps[-1].number
    steps = f"Step {first}" if first == last else f"Steps {first} to {last}"
    return f"{steps} ({summary.captured} captured): {', '.join(_parts(summary))}."


def _parts(summary: Summary) -> Iterator[str]:
    yield f"{text.time(1000 * (summary.step_ms or 0.0))} per step (median)"
    if summary.device_step_ms is not None:
        yield f"{text.time(1000 * summary.device_step_ms)} on the devices"
    shares = {
        "waiting for input": summary.input_pct,
        "device busy": summary.device_busy_pct,
        "communication": summary.comm_pct,
        "host only": summary.host_only_pct,
    }
    yield from (f"{name} {share:.1f} %" for name, share in shares.items() if share is not None)
    if summary.mem_peak_bytes is not None:
        yield f"memory peak {text.size(summary.mem_peak_bytes)}"


def table(summary: Summary, most: int) -> Table:
    """Return a summary as a rich table; see `Summary.table`.

    Raises:
        MissingFrameworkError: rich is not installed.
    """
    try:
        from rich.box import SIMPLE_HEAD
        from rich.table import Table
        from rich.text import Text
    except ImportError as error:
        raise MissingFrameworkError("Summary.table()", "rich", "cli") from error
    drawn = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), title=Text(sentence(summary)), title_justify="left")
    places = {row.place for row in summary.ops}
    for name in _OPERATIONS:
        drawn.add_column(name, overflow="fold", justify="left" if name in _OPERATIONS[:2] else "right")
    if DEVICE in places:
        drawn.add_column("Place")
    for row in summary.ops[:most]:
        drawn.add_row(*map(Text, (row.layer, row.op, *_numbers(row), *([row.place] if DEVICE in places else []))))
    rest = len(summary.ops) - most
    told = [*summary.notes, *([f"{rest} more operations."] if rest > 0 else []), *_memory(summary)]
    drawn.caption = Text("\n".join(told)) if told else None
    drawn.caption_justify = "left"
    return drawn


def _memory(summary: Summary) -> Iterator[str]:
    for row in summary.memory:
        calls = f", {text.integer(row.allocations)} allocations" if row.allocations else ""
        yield f"{row.allocator}: peak {text.size(row.peak_bytes)}{calls}."
    if summary.live:
        size, count = _live_total(summary)
        yield f"Live buffers: {size} in {count}; most of it made in {summary.live[0].site}."


def _numbers(row: OpRow) -> tuple[str, str, str]:
    return text.time(row.self_us), f"{100 * row.share:.1f} %", text.integer(row.calls)


def _code(name: str) -> str:
    return f"`{name.replace('`', chr(39))}`" if name else ""
