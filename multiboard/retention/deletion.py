"""Whole runs that go: their event files, profiles and projector files. What else lies in their directories stays."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from multiboard.beside_events import projector_files
from multiboard.files import is_event_file
from multiboard.profile.sessions import SPACE, profiles_of
from multiboard.records import record_length
from multiboard.retention.lives import IDLE, held, in_use

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from multiboard.retention.lives import FileId

_PROJECTED: Final = ("tensors.tsv", "metadata.tsv", "sprite.png")
"""Files of a tensor below `projector` in a run."""
_NAMED: Final = (".tsv", ".bytes", ".png", ".pbtxt")
"""Ends of the files that the config of the projector names and that go; it may name a checkpoint."""
_HEADER: Final = 12


@dataclass(frozen=True, slots=True)
class Deletion:
    """A run that went, or would.

    Attributes:
        path: its directory.
        written: when its event files were written last, in seconds since the epoch.
        size: bytes of what goes.
        others: how many files of other kinds stay in its directory.
        left_alone: why it was not deleted, '' if it was.
    """

    path: Path
    written: float
    size: int
    others: int
    left_alone: str = ""

    @property
    def freed(self) -> int:
        """Bytes that are free now."""
        return 0 if self.left_alone else self.size

    @property
    def changed(self) -> bool:
        """Whether it went, or would."""
        return not self.left_alone


def chosen(directories: Sequence[Path], keep_last: int | None, older_than: float | None) -> list[Path]:
    """Return the runs that both rules give up, the oldest first.

    Args:
        directories: of runs.
        keep_last: how many stay of those that were written last; None is no rule.
        older_than: seconds for which nobody has written a run; None is no rule.
    """
    if keep_last is None and older_than is None:
        return []
    written = {directory: _last_written(directory) for directory in directories}
    oldest_first = sorted(directories, key=lambda directory: written[directory])
    if keep_last is not None:
        oldest_first = oldest_first[: max(0, len(oldest_first) - keep_last)]
    end = time.time() - (older_than or 0)
    return [directory for directory in oldest_first if written[directory] <= end]


def _last_written(directory: Path) -> float:
    """Return when an event file of a run was written last, in seconds since the epoch."""
    return max((file.stat().st_mtime for file in directory.iterdir() if is_event_file(file)), default=0.0)


def delete(directory: Path, *, idle: float = IDLE, opened: frozenset[FileId] = frozenset(), act: bool = True) -> Deletion:
    """Delete what TensorBoard shows of a run, and its directory if that is empty then.

    Runs below it stay. A run that somebody may write is left alone.

    Args:
        directory: of the run.
        idle: seconds for which none of its event files may have been written.
        opened: files that are open for writing elsewhere, see `lives.opened_for_writing`.
        act: False tells what would go.

    Raises:
        OSError: something cannot be deleted.
    """
    with held(directory) as free:
        files = sorted(filter(is_event_file, directory.iterdir()))
        alone = in_use(files, idle, opened) if free else "another command is at work on it"
        ours = [*_sessions(directory), *_projector_files(directory), *filter(_holds_events, files)]
        size = sum(file.stat().st_size for path in ours for file in _files(path))
        others = sum(file.is_file() and file not in ours for file in directory.iterdir())
        found = Deletion(directory, _last_written(directory), size, others, alone)
        if act and not alone:
            _remove(ours)  # the event files last: as long as one is there, the run can be found again
    if act and not alone:
        above = {parent for path in ours for parent in path.parents if parent.is_relative_to(directory)}
        for empty in sorted(above, key=lambda path: len(path.parts), reverse=True):
            with contextlib.suppress(OSError):  # something else is in it
                empty.rmdir()
    return found


def _remove(paths: Sequence[Path]) -> None:
    for path in paths:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def _sessions(directory: Path) -> Iterator[Path]:
    """Yield the directories of the profiles of a run; nothing behind a link, for that belongs to somebody else."""
    profiles = profiles_of(directory)
    if profiles.is_dir() and os.path.realpath(profiles) == os.fspath(profiles_of(os.path.realpath(directory))):
        for session in sorted(profiles.iterdir()):
            if session.is_dir() and not session.is_symlink() and any(session.glob(f"*{SPACE}")):
                yield session


def _projector_files(directory: Path) -> list[Path]:
    """Return the files of a run that the projector shows; what else lies in a directory of that name may be a program."""
    named = [directory / name for name in projector_files(directory) if name.endswith(_NAMED)]
    below = [path for path in (directory / "projector").rglob("*") if path.name in _PROJECTED] if named else []
    inside = os.path.realpath(directory)
    found = {path for path in (*named, *below) if path.is_file() and os.path.realpath(path).startswith(f"{inside}{os.sep}")}
    return sorted(found)


def _holds_events(path: Path) -> bool:
    """Tell whether a file begins with a record, or is empty; an archive of event files may be named like one."""
    with path.open("rb") as file:
        header = file.read(_HEADER)
    return not header or (len(header) == _HEADER and record_length(header, 0) is not None)


def _files(path: Path) -> Iterator[Path]:
    return (file for file in path.rglob("*") if file.is_file()) if path.is_dir() else iter([path])
