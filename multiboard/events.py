"""The outermost layer of an Event message: wall time, step, and where its graph and its values lie.

Event and Summary are those of event.proto and summary.proto in tensorflow/tensorboard.
"""

from __future__ import annotations

import struct
from typing import Final, NamedTuple

from multiboard.fields import fields, int64

_VARINT, _FIXED64, _BYTES = 0, 1, 2
_WALL_TIME, _STEP, _GRAPH, _SUMMARY, _SESSION_LOG = (1, _FIXED64), (2, _VARINT), (4, _BYTES), (5, _BYTES), (7, _BYTES)
_STATUS, _START = (1, _VARINT), 1
_DOUBLE: Final = struct.Struct("<d")


class Event(NamedTuple):
    """An event whose values are still bytes.

    Attributes:
        wall_time: seconds since the epoch.
        step: as written.
        values: begin and end of each Summary.Value in the payload.
        graph: begin and end of the GraphDef, if there is one.
        session_start: the event is a SessionLog START.
    """

    wall_time: float
    step: int
    values: list[tuple[int, int]]
    graph: tuple[int, int] | None
    session_start: bool


def read_event(payload: bytes) -> Event:
    """Return the outer layer of a serialised Event.

    Raises:
        ValueError: the bytes are no Event.
    """
    wall_time, step, graph, session_start = 0.0, 0, None, False
    values: list[tuple[int, int]] = []
    for number, wire, begin, end in fields(payload, 0, len(payload)):
        field = (number, wire)
        if field == _WALL_TIME:
            (wall_time,) = _DOUBLE.unpack_from(payload, begin)
        elif field == _STEP:
            step = int64(payload, begin, end)
        elif field == _SUMMARY:
            values += [(b, e) for n, w, b, e in fields(payload, begin, end) if (n, w) == (1, _BYTES)]
        elif field == _GRAPH:
            graph = (begin, end) if end > begin else None
        elif field == _SESSION_LOG:
            status = [int64(payload, b, e) for n, w, b, e in fields(payload, begin, end) if (n, w) == _STATUS]
            session_start = status[-1:] == [_START]
    return Event(wall_time, step, values, graph, session_start)
