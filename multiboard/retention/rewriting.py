"""One event file in the place of all of a run.

At no time does a reader see points twice or not at all, wherever the process is killed. The new file appears whole, by a
rename, with a name behind those of the files that it replaces and before that of any later file; only then are those deleted.
While both are there, `multiboard.read` leaves out the files that the new one says it stands for. TensorBoard's Python loader
purges all that it has read when it comes to the SessionLog START with which the file begins, and the data server drops the points
of a tag when the same steps come again. The next rewriting deletes what a killed one has left.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from multiboard.files import WHOLE, event_files, is_event_file
from multiboard.retention.lives import IDLE, held, in_use
from multiboard.retention.merger import Merger
from multiboard.retention.policy import NO_LIMITS

if TYPE_CHECKING:
    from pathlib import Path

    from multiboard.retention.lives import FileId
    from multiboard.retention.policy import Limits

_PART: Final = ".multiboard-", ".part"
"""Beginning and end of the name of a file that is not whole yet; TensorBoard does not take it for an event file."""


@dataclass(frozen=True, slots=True)
class Rewrite:
    """What became of the event files of one run, or would.

    Attributes:
        path: the run directory.
        files: how many there were.
        before: their bytes, those of left-overs included.
        after: the bytes of what is there now; those from before if it was left alone.
        thinned: how many points went.
        left_alone: why nothing was done, '' if it was or if there was nothing to do.
        changed: whether anything was done, or would be.
    """

    path: Path
    files: int
    before: int
    after: int
    thinned: int = 0
    left_alone: str = ""
    changed: bool = False

    @property
    def freed(self) -> int:
        """Bytes that are free now."""
        return self.before - self.after


def rewrite(
    directory: Path,
    limits: Limits = NO_LIMITS,
    *,
    idle: float = IDLE,
    opened: frozenset[FileId] = frozenset(),
    act: bool = True,
) -> Rewrite:
    """Bring all that a run holds into one event file, and delete the files that it was in.

    Scalars, tensors, graphs and hyper-parameters stay, at every step. A run that somebody may write is left alone, and so is one
    with damage, for what is in its damaged places would be lost. The end of a record that a killed writer has left is cut off.

    Args:
        directory: of the run.
        limits: by which media and histograms are thinned out.
        idle: seconds for which none of its files may have been written.
        opened: files that are open for writing elsewhere, see `lives.opened_for_writing`.
        act: False tells what would be done.

    Raises:
        OSError: the directory cannot be read or written; what the run holds is all there.
    """
    with held(directory) as free:
        there = sorted(filter(is_event_file, directory.iterdir()))
        before = sum(file.stat().st_size for file in there)
        alone = in_use(there, idle, opened) if free else "another command is at work on it"
        if alone:
            return Rewrite(directory, len(there), before, before, left_alone=alone)
        return _rewrite(directory, there, limits, act=act)


def _rewrite(directory: Path, there: list[Path], limits: Limits, *, act: bool) -> Rewrite:
    """Rewrite a run that nobody writes; `there` are all of its event files, left-overs included."""
    states = {file: _state(file) for file in there}
    before = sum(size for size, *_ in states.values())
    files = event_files(directory)
    merger = Merger(files, limits)
    if merger.damaged:
        remedy = "`multiboard repair` writes a clean copy"
        return Rewrite(directory, len(there), before, before, left_alone=f"{merger.damaged} is damaged; {remedy}")
    if act:
        _delete([*(file for file in there if file not in files), *directory.glob(f"{_PART[0]}*{_PART[1]}")], directory)
    if merger.in_place:
        after = sum(states[file][0] for file in files)
        return Rewrite(directory, len(there), before, after, changed=after != before)
    if not act:
        return Rewrite(directory, len(there), before, merger.size(), merger.thinned, changed=True)
    target = files[0] if len(files) == 1 else files[-1].with_name(files[-1].name + WHOLE)
    alone = _replace(merger, target, {file: states[file] for file in files})
    after = before if alone else target.stat().st_size
    return Rewrite(directory, len(there), before, after, 0 if alone else merger.thinned, alone, not alone)


def _replace(merger: Merger, target: Path, states: dict[Path, tuple[int, int, int]]) -> str:
    """Write the new file and delete those that it replaces; return why that was given up, '' if it was not.

    Args:
        merger: knows what goes into the file.
        target: its name.
        states: of the files that it replaces, as they were before they were read.
    """
    directory = target.parent
    part = directory / f"{_PART[0]}{secrets.token_hex(4)}{_PART[1]}"
    try:
        with part.open("xb") as file:
            for piece in merger.pieces():
                file.write(piece)
            file.flush()
            os.fsync(file.fileno())
        if not merger.is_in(part):
            return "what was written could not be read back"
        newest = max(states, key=lambda path: path.stat().st_mtime_ns)
        _make_like(part, newest.stat())
        if event_files(directory) != list(states) or any(_state(path) != state for path, state in states.items()):
            return "somebody has begun to write it"
        part.replace(target)
        _sync(directory)
    finally:
        part.unlink(missing_ok=True)
    for path, state in states.items():
        if path != target and _is_as_before(path, state):
            path.unlink(missing_ok=True)
    _sync(directory)
    return next((f"{path.name} has just grown and stays" for path in states if path != target and path.exists()), "")


def _make_like(part: Path, found: os.stat_result) -> None:
    """Give a file the owner, the permissions and the times of another one."""
    with contextlib.suppress(OSError):  # only root may give files away
        os.chown(part, found.st_uid, found.st_gid)
    part.chmod(found.st_mode & 0o777)
    os.utime(part, ns=(found.st_atime_ns, found.st_mtime_ns))


def _is_as_before(path: Path, state: tuple[int, int, int]) -> bool:
    try:
        return _state(path) == state
    except FileNotFoundError:
        return False


def _state(path: Path) -> tuple[int, int, int]:
    """Return size, time of the last write and number of a file: who writes it changes one of them."""
    found = path.stat()
    return found.st_size, found.st_mtime_ns, found.st_ino


def _delete(files: list[Path], directory: Path) -> None:
    for path in files:
        path.unlink(missing_ok=True)
    if files:
        _sync(directory)


def _sync(directory: Path) -> None:
    """Make renames and deletions in a directory outlive a loss of power, where the file system can."""
    with contextlib.suppress(OSError):
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
