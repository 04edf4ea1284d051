"""What one file in the place of several holds: their records in the order in which they are read, without those that go."""

from __future__ import annotations

import mmap
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from multiboard.encode import file_version, session_start
from multiboard.events import read_event
from multiboard.excerpts import excerpt
from multiboard.fields import fields
from multiboard.files import WHOLE
from multiboard.history import History
from multiboard.merged_files import merged_files, note
from multiboard.records import OVERHEAD, frame, payload_at
from multiboard.retention.policy import kept

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from multiboard.retention.policy import Limits

_CHUNK = 1 << 24
"""Bytes that are copied at once."""
_SMALL = 1 << 20
"""Bytes up to which a file is read and not mapped: each that is mapped stays open, and a process may have 1,024 or even 256."""
_VERSION = (3, 2)


class _Change(NamedTuple):
    """A record that is not copied as it is.

    Attributes:
        offset: of the record in its file.
        tags: of its values that stay; none of them if it goes.
    """

    offset: int
    tags: frozenset[str | None]


class Merger:
    """Merges the event files of a run. SessionLog START stays where it counts.

    TensorBoard's Python loader passes over the first START that it sees in a run and obeys the others. The new file begins with
    one that stands for the first of the old files, from the smallest step on, so that it also purges what was read from them if
    they are still there; if they have none, it begins with two. The first one tells which files these are.

    Args:
        files: in the order in which they are read.
        limits: by which media and histograms are thinned out.

    Attributes:
        damaged: the name of a file that cannot be read to its end, '' if all can.
        thinned: how many points go.
        in_place: nothing would change.
    """

    def __init__(self, files: Sequence[Path], limits: Limits) -> None:
        self._contents = [_content(path) for path in files]
        self._merged = {path.name: len(data) for path, data in zip(files, self._contents, strict=True)}
        for path in files:
            if path.name.endswith(WHOLE):  # what it stands for may still come back, e.g. from a copy
                self._merged = merged_files(path) | self._merged
        self._history = History()
        damage = [self._history.add_file(data) for data in self._contents]
        self.damaged = next(
            (path.name for path, places in zip(files, damage, strict=True) if not all(place.torn for place in places)), ""
        )
        self._ends = [places[0].offset if places else len(data) for places, data in zip(damage, self._contents, strict=True)]
        self._points = self._history.points()
        self._stays = kept(self._points, self._history, self._contents, limits)
        self.thinned = int((~self._stays).sum())
        self.in_place = len(files) == 1 and not self.thinned and not any(damage)

    def pieces(self) -> Iterator[bytes | memoryview]:
        """Yield the bytes of the new file."""
        yield from self._beginning()
        for number, data in enumerate(self._contents):
            view, last = memoryview(data), 0
            for change in self._changes(number):
                yield from _chunks(view, last, change.offset)
                payload = payload_at(data, change.offset) or b""
                if change.tags:
                    yield frame(excerpt(payload, set(change.tags), {}))
                last = change.offset + OVERHEAD + len(payload)
            yield from _chunks(view, last, self._ends[number])

    def size(self) -> int:
        """Return how many bytes these are."""
        return sum(map(len, self.pieces()))

    def is_in(self, path: Path) -> bool:
        """Tell whether a file holds, undamaged, all points that stay, in their order."""
        history = History()
        damage = history.add_file(_content(path))
        found, expected = history.points(), self._points.take(self._stays)
        here, there = list(history.tags), list(self._history.tags)
        return (
            not damage
            and len(found.step) == len(expected.step)
            and bool((found.step == expected.step).all())
            and np.array_equal(found.wall_time, expected.wall_time, equal_nan=True)
            and all(here[a] == there[b] for a, b in set(zip(found.tag.tolist(), expected.tag.tolist(), strict=True)))
        )

    def _beginning(self) -> Iterator[bytes]:
        time = float(self._points.wall_time.min(initial=np.inf))
        starts = self._history.starts
        time = min([time, *(start.wall_time for start in starts)])
        time = time if np.isfinite(time) else 0.0
        step = min([int(self._points.step.min(initial=0)), *(start.step for start in starts)])
        yield frame(file_version(time))
        yield frame(session_start(time, step, note(self._merged)))
        if not starts:
            yield frame(session_start(time, step))

    def _changes(self, number: int) -> Iterator[_Change]:
        """Yield the records of one file that are not copied as they are, by offset."""
        changes = {offset: _Change(offset, frozenset()) for offset in self._replaced(number)}
        names = list(self._history.tags)
        mine = self._points.file == number
        touched = np.unique(self._points.record[mine & ~self._stays])
        rows = np.flatnonzero(mine & np.isin(self._points.record, touched))
        staying: dict[int, set[str | None]] = {int(offset): set() for offset in touched}
        for row in rows[self._stays[rows]].tolist():
            staying[int(self._points.record[row])].add(names[self._points.tag[row]])
        changes |= {offset: _Change(offset, frozenset(tags)) for offset, tags in staying.items()}
        yield from (changes[offset] for offset in sorted(changes))

    def _replaced(self, number: int) -> Iterator[int]:
        """Yield the offsets of the records of a file for which the beginning of the new one stands."""
        data = self._contents[number]
        if self._ends[number] and (payload := payload_at(data, 0)) and _only_version(payload):
            yield 0
        for start in self._history.starts[:1]:
            if start.file == number and not read_event(payload_at(data, start.record) or b"").values:
                yield start.record


def _only_version(payload: bytes) -> bool:
    """Tell whether an event says nothing but the version of the file."""
    found = {(number, wire) for number, wire, _, _ in fields(payload, 0, len(payload))}
    return _VERSION in found and found <= {_VERSION, (1, 1), (2, 0)}


def _content(path: Path) -> bytes:
    """Return the content of a file; of a large one only what is looked at comes into memory."""
    with path.open("rb") as file:
        if path.stat().st_size <= _SMALL:
            return file.read()
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)  # type: ignore[return-value]  # read like bytes


def _chunks(view: memoryview, begin: int, end: int) -> Iterator[memoryview]:
    for offset in range(begin, end, _CHUNK):
        yield view[offset : min(end, offset + _CHUNK)]
