"""Reading the JSON that torch.profiler exports, also where it is cut off or has a spot that is not JSON.

The format is that of the Trace Event Format of Chrome, with the fields that libkineto's output_json.cpp writes.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from multiboard.errors import ProfileReadError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

EVENTS: Final = "traceEvents"
WARNINGS: Final = "multiboard warnings"
"""Under this name, `read_trace` adds what it could not read."""
_GZIP: Final = b"\x1f\x8b"
_CHUNK: Final = 1 << 20
_MOST_RANKS: Final = 1 << 31
_EVENTS_BEGIN: Final = re.compile(r'"traceEvents"\s*:\s*\[')
_EVENT_BEGINS: Final = re.compile(r'\{\s*"(?:ph|name|cat)"\s*:')
_BETWEEN: Final = re.compile(r"[\s,]*")
_DECODER: Final = json.JSONDecoder(strict=False)  # names of kernels and files may hold control characters


def read_trace(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read a trace of torch.profiler.

    Args:
        path: a `.json` or `.json.gz` file; gzip is told by its content.

    Returns:
        The trace, with its events under "traceEvents". A file that is cut off gives the events up to there.

    Raises:
        OSError: the file cannot be opened.
        ProfileReadError: it is no such trace, or has no event.
    """
    name = os.fspath(path)
    text = _unpacked(Path(path).read_bytes()).decode("utf-8", errors="replace")
    try:
        return checked_trace(_DECODER.decode(text), name)
    except (ValueError, RecursionError):  # also of a number of thousands of digits
        warning = "The trace is cut off, or is not JSON in some place: what could be read is shown."
        return checked_trace(_rescued(text, name), name) | {WARNINGS: [warning]}


def checked_trace(trace: object, name: str) -> dict[str, Any]:
    """Return a trace as a dict, from a dict or from a list of events.

    Raises:
        ProfileReadError: it has no events.
    """
    if isinstance(trace, list):
        trace = {EVENTS: trace}
    if not isinstance(trace, dict) or not isinstance(trace.get(EVENTS), list):
        raise ProfileReadError(name, "it has no list 'traceEvents'")
    if not trace[EVENTS]:
        raise ProfileReadError(name, "its list of events is empty")
    return trace


def rank_of(trace: Mapping[str, Any]) -> int | None:
    """Return the rank that a trace says it is of; None for a training of one process."""
    info = trace.get("distributedInfo")
    rank = info.get("rank") if isinstance(info, dict) else None
    return rank if isinstance(rank, int) and not isinstance(rank, bool) and 0 <= rank < _MOST_RANKS else None


def _unpacked(content: bytes) -> bytes:
    if not content.startswith(_GZIP):
        return content
    unpacked, decompressor = bytearray(), zlib.decompressobj(wbits=31)
    with contextlib.suppress(zlib.error):  # damaged in the middle: what came before is good
        for start in range(0, len(content), _CHUNK):
            chunk = content[start : start + _CHUNK]
            while chunk:  # parallel tools write several members, one behind the other
                decompressor = zlib.decompressobj(wbits=31) if decompressor.eof else decompressor
                unpacked += decompressor.decompress(chunk)
                chunk = decompressor.unused_data
    return bytes(unpacked)


def _rescued(text: str, name: str) -> dict[str, Any]:
    """Return what can be read of a damaged trace: every event that is whole, and the fields in front of the events."""
    begin = _EVENTS_BEGIN.search(text)
    if begin is None:
        raise ProfileReadError(name, "it is not JSON with a list 'traceEvents', or it is cut off before that")
    trace: dict[str, Any]
    try:
        trace = _DECODER.decode(f'{text[: begin.start()]}"{EVENTS}": []}}')
    except ValueError:
        trace = {}
    return trace | {EVENTS: list(_whole_events(text, begin.end()))}


def _whole_events(text: str, position: int) -> Iterator[Any]:
    while True:
        position = _BETWEEN.match(text, position).end()  # type: ignore[union-attr]
        if text.startswith("]", position):
            return
        try:
            event, position = _DECODER.raw_decode(text, position)
        except (ValueError, RecursionError):
            following = _EVENT_BEGINS.search(text, position + 1)
            if following is None:
                return
            position = following.start()
        else:
            yield event
