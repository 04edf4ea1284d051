"""What the event files of runs hold, counted without a look at the values: kinds, tags, points, steps, bytes and damage.

The counts are those of `multiboard.read`. Only a value that is broken inside an intact record is a point here and damage there.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from multiboard import proto
from multiboard.columns import scalar_columns
from multiboard.contents import KINDS, RUN_GRAPH, outlines
from multiboard.decode import legacy_plugin, lone_plugin
from multiboard.files import event_files, is_locked, read_again
from multiboard.reader import run_directories
from multiboard.records import OVERHEAD, Damage, walk
from multiboard.rows import Rows

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import numpy.typing as npt

    from multiboard.columns import Points

_FEWEST: Final = 16
"""Records of one length from which on to count them together is faster than one by one, values being left alone."""
_THREADS: Final = 4
"""Runs that are looked at together: while one is counted, others come from a disk that may be far away."""


@dataclass(slots=True)
class TagSummary:
    """What a run holds of one tag.

    Attributes:
        points: how many there are.
        first: the smallest step.
        last: the largest step.
        size: bytes of the records that hold them; a record of several values is shared by its tags.
    """

    points: int = 0
    first: int = 0
    last: int = 0
    size: int = 0

    def add(self, points: int, first: int, last: int, size: int) -> None:
        """Take in more points, from a step to another."""
        self.first = min(self.first, first) if self.points else first
        self.last = max(self.last, last) if self.points else last
        self.points += points
        self.size += size


@dataclass(frozen=True, slots=True)
class RunSummary:
    """What the event files of one directory hold.

    Attributes:
        path: the directory.
        files: bytes of each event file by name, in the order in which they are read.
        tags: by kind and tag; the kinds are the attributes of `multiboard.RunData`.
        written: when one of the files was written last, in seconds since the epoch.
        live: whether somebody writes one of the files at the moment.
        damage: by file name, the places that could not be read.
    """

    path: Path
    files: dict[str, int]
    tags: dict[tuple[str, str], TagSummary]
    written: float
    live: bool
    damage: dict[str, list[Damage]] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Bytes of all event files."""
        return sum(self.files.values())

    @property
    def steps(self) -> tuple[int, int] | None:
        """The smallest and the largest step of any tag, None without a point."""
        if not self.tags:
            return None
        return min(tag.first for tag in self.tags.values()), max(tag.last for tag in self.tags.values())

    def kinds(self) -> dict[str, int]:
        """Return how many tags there are of each kind."""
        found: dict[str, int] = {}
        for kind, _ in self.tags:
            found[kind] = found.get(kind, 0) + 1
        return found


def overview(path: str | os.PathLike[str], wanted: Callable[[str], bool] = lambda _: True) -> dict[str, RunSummary]:
    """Return what the event files in a directory and below hold, without the values.

    Args:
        path: a run directory, or a directory above runs.
        wanted: tells which runs are looked at, by name.

    Returns:
        The runs by path relative to `path`; a run directory itself is '.'.

    Raises:
        ReadError: there is no event file.
    """
    directories = {name: directory for name, directory in run_directories(path).items() if wanted(name)}
    with ThreadPoolExecutor(_THREADS) as threads:
        return dict(zip(directories, threads.map(_summary, directories.values()), strict=True))


def _summary(directory: Path) -> RunSummary:
    return read_again(lambda: _read(directory))


def _read(directory: Path) -> RunSummary:
    scan, files = _Scan(), event_files(directory)
    states = [file.stat() for file in files]
    damage = {file.name: scan.add_file(file.read_bytes()) for file in files}
    return RunSummary(
        directory,
        {file.name: state.st_size for file, state in zip(files, states, strict=True)},
        scan.tags,
        max((state.st_mtime for state in states), default=0.0),
        any(is_locked(os.fspath(file)) for file in files),
        {name: places for name, places in damage.items() if places},
    )


class _Scan:
    """Counts the points of the files that are added, with the rules of `multiboard.contents`."""

    def __init__(self) -> None:
        self.tags: dict[tuple[str, str], TagSummary] = {}
        self._plugins: dict[str, str] = {}

    def add_file(self, data: bytes) -> list[Damage]:
        """Count the points of one file.

        Returns:
            The places that could not be read, by offset.
        """
        damage: list[Damage] = []
        points, rest = scalar_columns(data, walk(data, damage), damage, _FEWEST)
        seen: dict[str, int] = {}
        for group in points:
            if group.series.described:
                self._describe(seen, group.series.tag, int(group.record[0]), group.series.plugin)
        single = self._single(data, rest, damage, seen)
        self._add_points(data, points)
        for offset, event, part in single:
            self._add_value(seen, offset, event, part, damage, alone=True)
        return sorted(damage, key=lambda place: place.offset)

    def _describe(self, seen: dict[str, int], tag: str, offset: int, plugin: str) -> None:
        """Remember the first plugin of a tag; `seen` is where this file says it."""
        if tag not in self._plugins or offset < seen.get(tag, -1):
            self._plugins[tag], seen[tag] = plugin, offset

    def _add_points(self, data: bytes, points: list[Points]) -> None:
        """Count the points that were taken many at once."""
        if not points:
            return
        records = np.concatenate([group.record for group in points])
        _, record, values = np.unique(records, return_inverse=True, return_counts=True)
        shares = (Rows(data, records).take(0, "<i8") + OVERHEAD) / values[record]
        begin = 0
        for group in points:
            end = begin + len(group.record)
            plugin = group.series.plugin or self._plugins.get(group.series.tag, "scalars")
            if plugin in KINDS:
                kind = "tensors" if plugin == "multiboard" else "scalars"
                first, last, size = int(group.step.min()), int(group.step.max()), round(shares[begin:end].sum())
                self._tag(kind, group.series.tag).add(end - begin, first, last, size)
            begin = end

    def _single(
        self, data: bytes, records: npt.NDArray[np.int64], damage: list[Damage], seen: dict[str, int]
    ) -> list[tuple[int, Any, bytes]]:
        """Count the values of records one by one; return those whose tag has no metadata so far."""
        undescribed: list[tuple[int, Any, bytes]] = []
        for offset, event in outlines(data, records, damage):
            if event.graph_def:
                self._tag("graphs", RUN_GRAPH).add(1, event.step, event.step, len(event.graph_def))
            undescribed += [
                (offset, event, part) for part in event.summary.value if self._add_value(seen, offset, event, part, damage)
            ]
        return undescribed

    def _add_value(
        self, seen: dict[str, int], offset: int, event: Any, part: bytes, damage: list[Damage], *, alone: bool = False
    ) -> bool:
        """Count one Summary.Value; return True if its tag has no metadata so far, unless it is to be taken alone."""
        try:
            value = proto.ValueOutline.FromString(part)
            plugin = value.metadata.plugin_data.plugin_name
            if plugin:
                self._describe(seen, value.tag, offset, plugin)
            elif not value.HasField("tensor"):
                plugin = legacy_plugin(value)
            else:
                plugin = self._plugins.get(value.tag, "")
                if not plugin and not alone:
                    return True
                plugin = plugin or lone_plugin(proto.Value.FromString(part))
            if plugin in KINDS:
                self._tag(KINDS[plugin], value.tag).add(1, event.step, event.step, len(part) + OVERHEAD)
        except Exception as error:  # noqa: BLE001  # one value that cannot be read does not cost the others
            damage.append(Damage(offset, f"a value of a record cannot be read: {error}"))
        return False

    def _tag(self, kind: str, tag: str) -> TagSummary:
        return self.tags.setdefault((kind, tag), TagSummary())
