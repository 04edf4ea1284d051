"""The messages of a profile, wire-compatible with tsl/profiler/protobuf/xplane.proto, in a descriptor pool of their own.

A space has planes (the host, a device), a plane has lines (a thread, a stream), and a line has events. Names are kept once per
plane: an event points at its event metadata and a stat at its stat metadata. A stat whose value is a string may also point at
another stat metadata, of that name (`ref_value`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from multiboard.proto.schema import message_classes

_SCHEMA: Final = {
    "XSpace": "1 planes XPlane*, 2 errors string*, 3 warnings string*, 4 hostnames string*",
    "XPlane": "1 id int64, 2 name string, 3 lines XLine*, 4 event_metadata XEventMetadata{}, "
    "5 stat_metadata XStatMetadata{}, 6 stats XStat*",
    "XLine": "1 id int64, 2 name string, 3 timestamp_ns int64, 4 events XEvent*, 9 duration_ps int64, 10 display_id int64, "
    "11 display_name string",
    "XEvent": "1 metadata_id int64, 2 offset_ps int64|data, 3 duration_ps int64, 4 stats XStat*, 5 num_occurrences int64|data",
    "XStat": "1 metadata_id int64, 2 double_value double|value, 3 uint64_value uint64|value, 4 int64_value int64|value, "
    "5 str_value string|value, 6 bytes_value bytes|value, 7 ref_value uint64|value",
    "XEventMetadata": "1 id int64, 2 name string, 3 metadata bytes, 4 display_name string, 5 stats XStat*, 6 child_id int64*",
    "XStatMetadata": "1 id int64, 2 name string, 3 description string",
}

if TYPE_CHECKING:
    from collections.abc import MutableMapping
    from typing import Any

    from google.protobuf.message import Message

    class XSpace(Message):
        """A profile."""

        def __init__(self, **fields: Any) -> None: ...

        planes: Any
        errors: Any
        warnings: Any
        hostnames: Any

    class XPlane(Message):
        """The events of the host or of one device, with the names that they use."""

        def __init__(self, **fields: Any) -> None: ...

        id: int
        name: str
        lines: Any
        event_metadata: MutableMapping[int, XEventMetadata]
        stat_metadata: MutableMapping[int, XStatMetadata]
        stats: Any

    class XLine(Message):
        """The events of one thread or stream; they nest by time."""

        def __init__(self, **fields: Any) -> None: ...

        id: int
        display_id: int
        name: str
        display_name: str
        timestamp_ns: int
        duration_ps: int
        events: Any

    class XEvent(Message):
        """Something that took time, or happened at a moment, relative to the start of its line."""

        def __init__(self, **fields: Any) -> None: ...

        metadata_id: int
        offset_ps: int
        num_occurrences: int
        duration_ps: int
        stats: Any

    class XStat(Message):
        """A named value."""

        def __init__(self, **fields: Any) -> None: ...

        metadata_id: int
        double_value: float
        uint64_value: int
        int64_value: int
        str_value: str
        bytes_value: bytes
        ref_value: int

    class XEventMetadata(Message):
        """What events of one name have in common."""

        def __init__(self, **fields: Any) -> None: ...

        id: int
        name: str
        display_name: str
        metadata: bytes
        stats: Any
        child_id: Any

    class XStatMetadata(Message):
        """The name of a stat, or a string that is the value of stats."""

        def __init__(self, **fields: Any) -> None: ...

        id: int
        name: str
        description: str

else:
    _CLASSES = message_classes("xplane", _SCHEMA)
    XSpace, XPlane, XLine, XEvent, XStat, XEventMetadata, XStatMetadata = _CLASSES.values()
