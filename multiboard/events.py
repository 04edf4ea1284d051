"""The outer layers of an Event message: wall time, step, and where its values and their parts lie.

Event and Summary are those of event.proto and summary.proto in tensorflow/tensorboard.
"""

from __future__ import annotations

import struct
from typing import Final, NamedTuple

from multiboard.fields import fields, int64

_VARINT, _FIXED64, _BYTES = 0, 1, 2
_WALL_TIME, _STEP, _VERSION = (1, _FIXED64), (2, _VARINT), (3, _BYTES)
_GRAPH, _SUMMARY, _SESSION_LOG = (4, _BYTES), (5, _BYTES), (7, _BYTES)
_STATUS, _START = (1, _VARINT), 1
_TAG, _TENSOR, _METADATA = (1, _BYTES), (8, _BYTES), (9, _BYTES)
_DOUBLE: Final = struct.Struct("<d")


class Event(NamedTuple):
    """An event whose values are still bytes.

    Attributes:
        wall_time: seconds since the epoch.
        step: as written.
        values: begin and end of each Summary.Value in the payload.
        graph: whether there is a GraphDef.
        session_start: whether it is a SessionLog START.
        more: whether it holds anything but values, file version and session log: a graph, run metadata.
    """

    wall_time: float
    step: int
    values: list[tuple[int, int]]
    graph: bool
    session_start: bool
    more: bool


def read_event(payload: bytes) -> Event:
    """Return the outer layer of a serialised Event.

    Raises:
        ValueError: the bytes are no Event.
    """
    wall_time, step, graph, session_start, more = 0.0, 0, False, False, False
    values: list[tuple[int, int]] = []
    for number, wire, begin, end in fields(payload, 0, len(payload)):
        field = (number, wire)
        if field == _WALL_TIME:
            (wall_time,) = _DOUBLE.unpack_from(payload, begin)
        elif field == _STEP:
            step = int64(payload, begin, end)
        elif field == _SUMMARY:
            values += [(b, e) for n, w, b, e in fields(payload, begin, end) if (n, w) == (1, _BYTES)]
        elif field == _SESSION_LOG:
            status = [int64(payload, b, e) for n, w, b, e in fields(payload, begin, end) if (n, w) == _STATUS]
            session_start = status[-1:] == [_START]
        elif field != _VERSION:
            more = True
            graph = graph or (field == _GRAPH and end > begin)
    return Event(wall_time, step, values, graph, session_start, more)


class Value(NamedTuple):
    """A Summary.Value whose content is still bytes.

    Attributes:
        tag: its name.
        metadata: begin and end of its SummaryMetadata in the payload, (0, 0) without one.
        tensor: whether it is of the tensor form.
    """

    tag: str
    metadata: tuple[int, int]
    tensor: bool

    @property
    def bare(self) -> bool:
        """Whether only an earlier event can tell the plugin."""
        return self.tensor and self.metadata == (0, 0)


def read_value(payload: bytes, begin: int, end: int) -> Value:
    """Return the outer layer of a Summary.Value that lies in a payload.

    Raises:
        ValueError: the bytes are no Summary.Value.
    """
    tag, metadata, tensor = "", (0, 0), False
    for number, wire, start, stop in fields(payload, begin, end):
        if (number, wire) == _TAG:
            tag = str(payload[start:stop], "utf-8")
        elif (number, wire) == _METADATA:
            metadata = (start, stop)
        elif (number, wire) == _TENSOR:
            tensor = True
    return Value(tag, metadata, tensor)
