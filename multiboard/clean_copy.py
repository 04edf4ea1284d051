"""Clean copies of runs whose files are damaged, or whose steps go back because a training was resumed.

The copy is one event file per run with every record that can be read, without the points that were written again later. The
originals are only read. What a run directory holds beside event files (projector, profiles, checkpoints) is not copied.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from multiboard import wire
from multiboard.encode import file_version, session_start
from multiboard.errors import ArgumentError, ReadError
from multiboard.excerpts import excerpt
from multiboard.files import event_files, is_event_file
from multiboard.history import History
from multiboard.overwritten import overwritten, rising
from multiboard.records import frame, payload_at

if TYPE_CHECKING:
    from collections.abc import Iterator

    from multiboard.history import Points
    from multiboard.records import Damage


@dataclass(frozen=True, slots=True)
class FileRepair:
    """What was found in one event file, and what of it is in the copy.

    Attributes:
        records: how many could be read.
        damage: the places that could not be read, by offset.
        kept: points in the copy; a value of a tag at a step is a point, and so is a graph.
        overwritten: points that were left out because they were written again later.
    """

    records: int
    damage: tuple[Damage, ...]
    kept: int
    overwritten: int


@dataclass(frozen=True, slots=True)
class RunRepair:
    """What became of one run.

    Attributes:
        files: by name.
        copy: the clean file, None if the run needed none.
        sorted: records were put into the order of their steps, because points came late.
    """

    files: dict[str, FileRepair]
    copy: Path | None
    sorted: bool


@dataclass(frozen=True, slots=True)
class RepairReport:
    """What `repair` did.

    Attributes:
        path: what was read.
        out: the directory of the copies.
        runs: by path relative to `path`; '.' is the directory itself.
    """

    path: Path
    out: Path
    runs: dict[str, RunRepair] = field(default_factory=dict)


def repair(path: str | os.PathLike[str], out: str | os.PathLike[str] | None = None) -> RepairReport:
    """Write a clean copy of every run below a path that is damaged or whose steps go back.

    Left out are broken frames, and points that a resume wrote again (see `multiboard.overwritten`), so that both loaders of
    TensorBoard draw lines that go forward. Runs in order are not copied. Nothing below `path` is changed.

    Args:
        path: a run directory, or a directory above runs.
        out: directory of the copies, under the same relative paths; `<path>-repaired` by default.

    Returns:
        What was found in each file, and what was kept.

    Raises:
        ReadError: there is no event file.
        ArgumentError: `out` holds event files where a copy belongs.
    """
    root = Path(path)
    target = Path(out) if out is not None else root.resolve().with_name(f"{root.resolve().name}-repaired")
    directories = sorted({file.parent for file in root.rglob("*") if is_event_file(file)})
    if not directories:
        raise ReadError(os.fspath(path))
    names = [directory.relative_to(root) for directory in directories]
    for name in names:
        if (target / name).is_dir() and any(map(is_event_file, (target / name).iterdir())):
            raise ArgumentError("out", os.fspath(target), f"{target / name} holds event files already; choose another directory")
    return RepairReport(root, target, {name.as_posix(): _repair_run(root / name, target / name) for name in names})


def _repair_run(directory: Path, target: Path) -> RunRepair:
    paths = event_files(directory)
    contents = [path.read_bytes() for path in paths]
    history = History()
    damage = [tuple(history.add_file(data)) for data in contents]
    points = history.points()
    left_out = overwritten(points, history.starts)
    kept = points.take(~left_out)
    in_order = rising(kept)
    files = {
        path.name: FileRepair(
            history.readable[i], damage[i], int((kept.file == i).sum()), int((points.file[left_out] == i).sum())
        )
        for i, path in enumerate(paths)
    }
    if in_order and not left_out.any() and not any(damage):
        return RunRepair(files, None, sorted=False)
    if not in_order:
        kept = kept.take(np.argsort(kept.step, kind="stable"))
    target.mkdir(parents=True, exist_ok=True)
    copy = target / paths[0].name
    with copy.open("xb") as file:
        file.writelines(_clean_records(contents, history, points, kept))
    return RunRepair(files, copy, sorted=not in_order)


def _clean_records(contents: list[bytes], history: History, points: Points, kept: Points) -> Iterator[bytes]:
    """Yield the framed records of the copy.

    Args:
        contents: of the files.
        history: of the run.
        points: all of them.
        kept: those that are copied, in the order of the copy.
    """
    time = float(points.wall_time[0]) if len(points.step) else 0.0
    yield frame(file_version(time)) + frame(session_start(time, 0))
    metadata = _missing_metadata(contents, history, kept)
    whole = _count_by_record(points)
    names = list(history.tags)
    for file, offset, rows in _by_record(kept):
        data = contents[file]
        lacking = {names[kept.tag[row]]: metadata[row] for row in rows if row in metadata}
        if len(rows) == whole[file, offset] and not lacking:
            end = offset + 16 + int.from_bytes(data[offset : offset + 8], "little")
            yield data[offset:end]
        else:
            yield frame(excerpt(payload_at(data, offset) or b"", {names[kept.tag[row]] for row in rows}, lacking))


def _by_record(points: Points) -> Iterator[tuple[int, int, range]]:
    """Yield file, offset and rows of each record."""
    changes = (np.diff(points.file, prepend=-1) != 0) | (np.diff(points.record, prepend=-1) != 0)
    begins = np.flatnonzero(changes).tolist()
    for begin, end in zip(begins, [*begins[1:], len(points.step)], strict=True):
        yield int(points.file[begin]), int(points.record[begin]), range(begin, end)


def _count_by_record(points: Points) -> dict[tuple[int, int], int]:
    return {(file, offset): len(rows) for file, offset, rows in _by_record(points)}


def _missing_metadata(contents: list[bytes], history: History, kept: Points) -> dict[int, bytes]:
    """Return by row the metadata field that the first point of a tag needs, because its own event has none."""
    tags, rows = np.unique(kept.tag, return_index=True)
    names = list(history.tags)
    missing: dict[int, bytes] = {}
    for tag, row in zip(tags.tolist(), rows.tolist(), strict=True):
        if kept.bare[row]:
            known = history.metadata.get(names[tag])
            payload = payload_at(contents[kept.file[row]], int(kept.record[row])) or b""
            missing[row] = wire.message(9, known) if known is not None else _guessed_metadata(payload, names[tag])
    return missing


def _guessed_metadata(payload: bytes, tag: str) -> bytes:
    """Return metadata for a tag that has none in the whole run: without it TensorBoard shows nothing."""
    from multiboard import proto
    from multiboard.decode import lone_plugin

    values = proto.Outline.FromString(payload).summary.value
    value = next(value for value in map(proto.Value.FromString, values) if value.tag == tag)
    plugin = lone_plugin(value)
    return wire.metadata(plugin, wire.SCALAR if plugin == "scalars" else wire.TENSOR)
