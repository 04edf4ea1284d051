"""The layer table that the event files of a directory hold, without reading the rest of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from multiboard import tags
from multiboard.errors import ArgumentError
from multiboard.files import is_event_file
from multiboard.layer_rows import LayerRows

if TYPE_CHECKING:
    from pathlib import Path

_NAME: Final = tags.RUN_INFO.encode()


def stored_layers(directory: Path) -> LayerRows | None:
    """Return the layer table that was written last, None if there is none or it cannot be read.

    Files are searched from the newest on for the bytes of the tag; only one that has them is read.
    """
    try:
        files = sorted(filter(is_event_file, directory.iterdir()), reverse=True)
        for file in files:
            data = file.read_bytes()
            if _NAME in data:
                return _last(data)
    except OSError:
        pass
    return None


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
