"""All points of a run in the order in which they were written: of which tag, in which record, at which step, and when.

Values are not decoded. Records that hold more than values (graphs, run metadata) count as a point of a tag of their own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from multiboard.columns import scalar_columns
from multiboard.events import read_event, read_value
from multiboard.records import Damage, payload_at, payloads, walk

if TYPE_CHECKING:
    import numpy.typing as npt

    from multiboard.events import Event

WHOLE_RECORD: Final = None
"""Stands for the tag of what a record holds beside values."""


class Points(NamedTuple):
    """Points as columns of equal length, in the order of files and records.

    Attributes:
        file: int64, which of the files.
        record: int64, offset of the record in it.
        tag: int64, number of the tag.
        step: int64.
        wall_time: float64, seconds since the epoch.
        bare: bool, a tensor whose record says nothing of its plugin.
    """

    file: npt.NDArray[np.int64]
    record: npt.NDArray[np.int64]
    tag: npt.NDArray[np.int64]
    step: npt.NDArray[np.int64]
    wall_time: npt.NDArray[np.float64]
    bare: npt.NDArray[np.bool_]

    def take(self, which: npt.NDArray[np.bool_] | npt.NDArray[np.int64]) -> Points:
        """Return some of the points."""
        columns: list[Any] = [column[which] for column in self]
        return Points(*columns)


class Start(NamedTuple):
    """A SessionLog START: from `step` on everything is written again.

    Attributes:
        file: which of the files.
        record: offset of the record in it.
        step: the first step that is written again.
        wall_time: seconds since the epoch.
    """

    file: int
    record: int
    step: int
    wall_time: float


class History:
    """What the files of one run hold, added in the order of their names.

    Attributes:
        tags: by number.
        starts: in the order of the files.
        metadata: the first SummaryMetadata field of each tag, as bytes of the file.
        readable: by file, how many records it holds that can be read.
    """

    def __init__(self) -> None:
        self.tags: dict[str | None, int] = {}
        self.starts: list[Start] = []
        self.metadata: dict[str | None, bytes] = {}
        self.readable: list[int] = []
        self._parts: list[Points] = []

    def add_file(self, data: bytes) -> list[Damage]:
        """Read one file.

        Returns:
            The places that could not be read, by offset.
        """
        damage: list[Damage] = []
        records = walk(data, damage)
        lost = len(damage)
        parts, rest = scalar_columns(data, records, damage)
        number = len(self.readable)
        for part in parts:
            n = len(part.record)
            if part.series.described:
                self._remember_metadata(data, int(part.record[0]), part.series.tag)
            bare = np.full(n, not part.series.plugin)
            tag = np.full(n, self._number(part.series.tag))
            self._parts.append(Points(np.full(n, number), part.record, tag, part.step, part.wall_time, bare))
        for offset, payload in payloads(data, rest, damage):
            self._add_record(payload, number, offset, damage)
        self.readable.append(len(records) - (len({place.offset for place in damage[lost:]})))
        return sorted(damage, key=lambda place: place.offset)

    def points(self) -> Points:
        """Return all points in the order of files and records."""
        if not self._parts:
            empty = np.empty(0, np.int64)
            return Points(empty, empty, empty, empty, np.empty(0), np.empty(0, bool))
        whole = Points(*(np.concatenate(columns) for columns in zip(*self._parts, strict=True)))
        return whole.take(np.lexsort((whole.record, whole.file)))

    def _number(self, tag: str | None) -> int:
        return self.tags.setdefault(tag, len(self.tags))

    def _remember_metadata(self, data: bytes, offset: int, tag: str) -> None:
        payload = payload_at(data, offset)
        if tag in self.metadata or payload is None:
            return
        for begin, end in read_event(payload).values:
            value = read_value(payload, begin, end)
            if value.tag == tag and value.tensor and not value.bare:
                self.metadata.setdefault(tag, payload[slice(*value.metadata)])

    def _add_record(self, payload: bytes, number: int, offset: int, damage: list[Damage]) -> None:
        """Add the points of one record."""
        try:
            event = read_event(payload)
            values = [read_value(payload, *place) for place in event.values]
        except ValueError as error:
            damage.append(Damage(offset, f"a record is no Event: {error}"))
            return
        if event.session_start:
            self.starts.append(Start(number, offset, event.step, event.wall_time))
        found: list[tuple[str | None, bool]] = [(value.tag, value.bare) for value in values]
        for value in values:
            if not value.bare and value.tensor:
                self.metadata.setdefault(value.tag, payload[slice(*value.metadata)])
        if event.more:
            found.append((WHOLE_RECORD, False))
        if found:
            self._parts.append(self._of_record(number, offset, event, found))

    def _of_record(self, number: int, offset: int, event: Event, found: list[tuple[str | None, bool]]) -> Points:
        n = len(found)
        tag = np.array([self._number(name) for name, _ in found], np.int64)
        bare = np.array([is_bare for _, is_bare in found], bool)
        return Points(
            np.full(n, number), np.full(n, offset), tag, np.full(n, event.step), np.full(n, event.wall_time, np.float64), bare
        )
