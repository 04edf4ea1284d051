"""Events with some of their values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from multiboard import wire
from multiboard.events import read_value
from multiboard.fields import fields
from multiboard.history import WHOLE_RECORD

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_VERSION, _SUMMARY, _SESSION_LOG, _VALUE = (3, 2), (5, 2), (7, 2), (1, 2)
_KEPT: Final = {1, 2}
"""Wall time and step."""


def excerpt(payload: bytes, tags: set[str | None], metadata: Mapping[str | None, bytes]) -> bytes:
    """Return an event with some of its values.

    Args:
        payload: the whole event.
        tags: of the values that stay; `WHOLE_RECORD` for what it holds beside values.
        metadata: by tag the field that its value lacks.
    """
    parts, last = [], 0
    for number, kind, begin, end in fields(payload, 0, len(payload)):
        if (number, kind) == _SUMMARY:
            parts.append(wire.message(5, *_values(payload, begin, end, tags, metadata)))
        elif number in _KEPT or (WHOLE_RECORD in tags and (number, kind) not in {_VERSION, _SESSION_LOG}):
            parts.append(payload[last:end])
        last = end
    return b"".join(parts)


def _values(payload: bytes, begin: int, end: int, tags: set[str | None], metadata: Mapping[str | None, bytes]) -> Iterator[bytes]:
    for number, kind, start, stop in fields(payload, begin, end):
        if (number, kind) == _VALUE:
            tag = read_value(payload, start, stop).tag
            if tag in tags:
                yield wire.message(1, payload[start:stop], metadata.get(tag, b""))
