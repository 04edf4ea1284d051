"""The layer table that the event files of a directory hold, without reading the rest of them."""

from __future__ import annotations

from collections import deque
from typing import IO, TYPE_CHECKING, Any, Final

from multiboard import tags
from multiboard.errors import ArgumentError
from multiboard.files import event_files
from multiboard.layer_rows import LayerRows
from multiboard.records import OVERHEAD, record_length

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_NAME: Final = tags.RUN_INFO.encode()
_PART_BYTES: Final = 2**20
"""Of a file that is in memory at once: files of long runs hold gigabytes."""
_BEFORE: Final = 64
"""Bytes that a record may have before the tag of its value: its header, the time, the step, and the lengths."""
_LONGEST: Final = 2**26
_TABLES: Final = 8
"""That a file may hold; only the last ones are read."""


def stored_layers(directory: Path) -> LayerRows | None:
    """Return the layer table that was written last, None if there is none or it cannot be read.

    Files are searched from the newest on for the bytes of the tag, a part at a time; only records that have them are read.
    """
    try:
        files = event_files(directory)[::-1]
        for file in files:
            found = _last(_records(file))
            if found is not None:
                return found
    except OSError:
        pass
    return None


def _records(file: Path) -> bytes:
    """Return the records of a file that hold a table, one after the other."""
    with file.open("rb") as source:
        return b"".join([_record(source, place) for place in deque(_places(source), _TABLES)])


def _places(source: IO[bytes]) -> Iterator[int]:
    """Yield where the tag stands in a file."""
    begin, data = 0, b""
    while part := source.read(_PART_BYTES):
        data += part
        place = data.find(_NAME)
        while place >= 0:
            yield begin + place
            place = data.find(_NAME, place + 1)
        rest = data[-len(_NAME) + 1 :]
        begin, data = begin + len(data) - len(rest), rest


def _record(source: IO[bytes], place: int) -> bytes:
    """Return the record around the tag at a place, without anything if there is none."""
    begin = max(0, place - _BEFORE)
    source.seek(begin)
    data = source.read(place - begin)
    for offset in reversed(range(len(data) - OVERHEAD)):
        length = record_length(data, offset)
        if length is not None and place - begin - offset < length <= _LONGEST:
            source.seek(begin + offset)
            return source.read(length + OVERHEAD)
    return b""


def _last(data: bytes) -> LayerRows | None:
    from multiboard.contents import Contents

    contents = Contents()
    contents.add_file(data)
    for _, tag, points, _ in contents.columns():
        if tag == tags.RUN_INFO and len(points.value):
            return table_of(points.value[-1])
    return None


def table_of(value: Any) -> LayerRows | None:
    """Return the table in a value that was read, None if it is another text."""
    try:
        return LayerRows.from_json(text_of(value))
    except (ArgumentError, UnicodeDecodeError):
        return None


def text_of(value: Any) -> str:
    """Return the text of a string tensor without dimensions."""
    while hasattr(value, "item"):
        value = value.item()
    return value.decode() if isinstance(value, bytes) else str(value)
