"""Profiles on disk and how they are built: the XSpace file that XProf reads.

Times of events are picoseconds from the start of their line, and lines count nanoseconds from the start of the profile, whose
absolute time is a stat of the plane "Task Environment": with absolute times, picoseconds overflow 64 bits and XProf drops events.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from google.protobuf.message import DecodeError

from multiboard.errors import ProfileReadError
from multiboard.profile.messages import XEvent, XEventMetadata, XLine, XPlane, XSpace, XStat, XStatMetadata

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "HOST_PLANE",
    "TASK_PLANE",
    "LineBuilder",
    "PlaneBuilder",
    "SpaceBuilder",
    "Value",
    "XEvent",
    "XEventMetadata",
    "XLine",
    "XPlane",
    "XSpace",
    "XStat",
    "XStatMetadata",
    "count_events",
    "find_plane",
    "read_space",
    "stats_of",
    "valid_text",
    "value_of",
    "write_space",
]

Value: TypeAlias = "int | float | str | bytes"

HOST_PLANE: Final = "/host:CPU"
TASK_PLANE: Final = "Task Environment"
"""The plane of facts of the whole profile, e.g. profile_start_time and profile_stop_time in ns since 1970."""
_UNSIGNED: Final = 1 << 63


class SpaceBuilder:
    """A profile that is being put together.

    Args:
        space: a profile to go on with; a new one by default.

    Attributes:
        space: the message.
    """

    def __init__(self, space: XSpace | None = None) -> None:
        self.space = XSpace() if space is None else space
        self._planes: dict[str, PlaneBuilder] = {}

    def plane(self, name: str) -> PlaneBuilder:
        """Return the builder of a plane, which is added if there is none of this name."""
        if name not in self._planes:
            plane = find_plane(self.space, name)
            if plane is None:
                plane = self.space.planes.add(id=len(self.space.planes), name=name)
            self._planes[name] = PlaneBuilder(plane)
        return self._planes[name]


class PlaneBuilder:
    """A plane that is being filled; names and strings in it are kept once.

    Args:
        plane: may have content already, e.g. of a profiler whose events are to be completed.

    Attributes:
        message: the plane.
    """

    def __init__(self, plane: XPlane) -> None:
        self.message = plane
        self._events = {(one.name, one.display_name): number for number, one in plane.event_metadata.items()}
        self._stats = {one.name: number for number, one in plane.stat_metadata.items()}
        self._next_event = max(plane.event_metadata, default=0) + 1
        self._next_stat = max(plane.stat_metadata, default=0) + 1

    def line(self, number: int, name: str, timestamp_ns: int = 0) -> LineBuilder:
        """Add a line.

        Args:
            number: its id, by which XProf tells lines apart.
            name: as shown.
            timestamp_ns: its start, from the start of the profile.
        """
        return LineBuilder(self, self.message.lines.add(id=number, name=valid_text(name), timestamp_ns=timestamp_ns))

    def stat(self, name: str, value: Value) -> None:
        """Add a stat of the plane itself."""
        self.add_stat(self.message.stats, name, value)

    def add_stat(self, stats: Any, name: str, value: Value) -> None:
        """Append a stat.

        Args:
            stats: the `stats` of an event, an event metadata or a plane of this plane.
            name: of the stat.
            value: strings are interned; an int above 63 bits becomes an unsigned one.
        """
        kind = type(value)
        if kind is str:
            stats.add(metadata_id=self.stat_id(name), ref_value=self.stat_id(value))  # type: ignore[arg-type]
        elif kind is float:
            stats.add(metadata_id=self.stat_id(name), double_value=value)
        elif kind is bytes:
            stats.add(metadata_id=self.stat_id(name), bytes_value=value)
        elif value < _UNSIGNED:  # type: ignore[operator]
            stats.add(metadata_id=self.stat_id(name), int64_value=value)
        else:
            stats.add(metadata_id=self.stat_id(name), uint64_value=value)

    def stat_id(self, name: str) -> int:
        """Return the id of a stat metadata, i.e. of the name of a stat or of an interned string."""
        number = self._stats.get(name)
        if number is None:
            number = self._stats[name] = self._next_stat
            self._next_stat += 1
            metadata = self.message.stat_metadata[number]
            metadata.id, metadata.name = number, valid_text(name)
        return number

    def event_id(self, name: str, display_name: str = "") -> int:
        """Return the id of an event metadata."""
        number = self._events.get((name, display_name))
        if number is None:
            number = self._events[name, display_name] = self._next_event
            self._next_event += 1
            metadata = self.message.event_metadata[number]
            metadata.id, metadata.name, metadata.display_name = number, valid_text(name), valid_text(display_name)
        return number


class LineBuilder:
    """A line that is being filled.

    Attributes:
        message: the line.
    """

    def __init__(self, plane: PlaneBuilder, line: XLine) -> None:
        self.message = line
        self._plane = plane
        self._add = line.events.add

    def event(
        self, name: str, offset_ps: int, duration_ps: int, stats: Mapping[str, Value] | None = None, display_name: str = ""
    ) -> XEvent:
        """Add an event.

        Args:
            name: of the event; `display_name` is shown in its place, if given.
            offset_ps: its start, from the start of the line.
            duration_ps: its length.
            stats: by name; see `PlaneBuilder.add_stat`.
            display_name: see `name`.

        Returns:
            The message, which can be changed further.
        """
        plane = self._plane
        event = self._add(metadata_id=plane.event_id(name, display_name), offset_ps=offset_ps, duration_ps=duration_ps)
        if stats:
            added = event.stats
            for stat, value in stats.items():
                plane.add_stat(added, stat, value)
        return event  # type: ignore[no-any-return]


def valid_text(name: str) -> str:
    """Return a name as protobuf takes it: half a surrogate pair, e.g. of a path that is not UTF-8, becomes a question mark."""
    return name if name.isascii() else name.encode("utf-8", errors="replace").decode()


def count_events(space: XSpace) -> int:
    """Return how many events a profile has."""
    return sum(len(line.events) for plane in space.planes for line in plane.lines)


def find_plane(space: XSpace, name: str) -> XPlane | None:
    """Return the plane of a name, or None."""
    return next((plane for plane in space.planes if plane.name == name), None)


def value_of(stat: XStat, plane: XPlane) -> Value | None:
    """Return the value of a stat, a string also where it is interned; None for a stat without one."""
    kind = stat.WhichOneof("value")
    if kind == "ref_value":
        return plane.stat_metadata[stat.ref_value].name if stat.ref_value in plane.stat_metadata else ""
    return None if kind is None else getattr(stat, kind)


def stats_of(event: XEvent | XEventMetadata | XPlane, plane: XPlane) -> dict[str, Value | None]:
    """Return the own stats of an event, an event metadata or a plane, by name."""
    names = plane.stat_metadata
    return {names[stat.metadata_id].name: value_of(stat, plane) for stat in event.stats if stat.metadata_id in names}


def read_space(path: str | os.PathLike[str]) -> XSpace:
    """Read an `.xplane.pb` file.

    Raises:
        OSError: the file cannot be opened.
        ProfileReadError: it holds something else.
    """
    space = XSpace()
    content = Path(path).read_bytes()
    try:
        space.ParseFromString(content)
    except DecodeError as error:
        raise ProfileReadError(os.fspath(path), "it is not an XSpace message, or it is cut off") from error
    return space


def write_space(space: XSpace, path: str | os.PathLike[str]) -> int:
    """Write a profile; the file appears when it is whole.

    Args:
        space: the profile.
        path: the file, whose name should end with `.xplane.pb`; its directory exists.

    Returns:
        Its size in bytes.

    Raises:
        OSError: it cannot be written; nothing is left behind.
    """
    content = space.SerializeToString(deterministic=True)
    temporary = Path(f"{os.fspath(path)}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(content)
        temporary.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    return len(content)
