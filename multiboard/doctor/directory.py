"""A log directory: whether it can be written, what disk it is on, and what is wrong with the runs in it."""

from __future__ import annotations

import shlex
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from multiboard.doctor.findings import Finding, State
from multiboard.measures import shown_bytes

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator

    from multiboard.overview import RunSummary

_AREA: Final = "log dir"
_LITTLE, _FULL = 5e9, 2e8
"""Free bytes below which a disk is said to be nearly full, and full."""
_HUGE: Final = 1e9
"""Bytes of the event files of a run from which on they are said to be large."""
_MANY: Final = 50
"""Event files of a run from which on merging them is worth it."""
_READ: Final = 2e9
"""Bytes of event files that are read at most to look for damage."""
_MOUNTS: Final = Path("/proc/mounts")
_NETWORK: Final = ("nfs", "cifs", "smb", "fuse", "lustre", "beegfs", "gpfs", "ceph", "9p", "afs", "glusterfs", "davfs")
_LOCAL: Final = ("fuseblk", "fuse.overlayfs", "fuse.fuse-overlayfs")
_MEMORY: Final = ("tmpfs", "ramfs")


def examine(log_dir: str | os.PathLike[str]) -> Iterator[Finding]:
    """Yield what is found.

    Args:
        log_dir: of a run or above runs; if it does not exist, the nearest directory above it is looked at.
    """
    path = Path(log_dir).absolute()
    there = next(parent for parent in (path, *path.parents) if _exists(parent))
    if not there.is_dir():
        yield Finding(_AREA, "directory", State.WRONG, f"{there} is a file", "choose another directory")
        return
    yield _written(path, there)
    yield _space(there)
    yield _file_system(there)
    if path.is_dir():
        try:
            yield from _runs(path)
        except OSError as error:
            text = f"{error.filename or path} cannot be read: {error.strerror or error}"
            yield Finding(_AREA, "runs", State.WRONG, text, "make all of it readable for this user")


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # it may not be looked at, or no file can have such a name
        return False


def _written(path: Path, there: Path) -> Finding:
    try:
        with tempfile.TemporaryFile(dir=there, prefix=".multiboard-doctor-") as file:
            file.write(b"1")
    except OSError as error:
        remedy = "choose a directory that this user can create files in"
        return Finding(_AREA, "writing", State.WRONG, f"{there} cannot be written: {error.strerror}", remedy)
    return Finding(_AREA, "writing", State.GOOD, f"{path} can be written" if path == there else f"{path} can be created")


def _space(there: Path) -> Finding:
    free = shutil.disk_usage(there).free
    text = f"{shown_bytes(free)} free"
    if free >= _LITTLE:
        return Finding(_AREA, "space", State.GOOD, text)
    remedy = "free some; `multiboard prune` makes runs smaller"
    return Finding(_AREA, "space", State.WRONG if free < _FULL else State.CARE, text, remedy)


def _file_system(there: Path) -> Finding:
    kind = _kind_of(there)
    if kind.startswith(_NETWORK) and kind not in _LOCAL:
        text = f"{kind}, over a network: two writers of one directory may not see each other"
        return Finding(_AREA, "file system", State.CARE, text, "give every process a directory of its own, e.g. per_rank=True")
    if kind in _MEMORY:
        return Finding(_AREA, "file system", State.CARE, f"{kind}: in memory, gone with the next start of the computer", "")
    return Finding(_AREA, "file system", State.GOOD, kind or "unknown")


def _kind_of(path: Path) -> str:
    """Return the kind of the file system that a directory is on, as /proc/mounts has it (proc_mounts(5))."""
    best, kind = "", ""
    try:
        lines = _MOUNTS.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    for line in lines:
        _, point, name = line.split(" ")[:3]
        point = point.replace("\\040", " ")
        if len(point) >= len(best) and path.resolve().is_relative_to(point):
            best, kind = point, name
    return kind


def _runs(path: Path) -> Iterator[Finding]:
    from multiboard.errors import ReadError
    from multiboard.files import event_files
    from multiboard.live_files import several_live_files
    from multiboard.overview import overview
    from multiboard.reader import run_directories

    try:
        directories = run_directories(path)
    except ReadError:
        yield Finding(_AREA, "runs", State.GOOD, "none yet")
        return
    size = sum(file.stat().st_size for directory in directories.values() for file in event_files(directory))
    if several_live_files(path):
        text = "two or more event files of one run are being written: TensorBoard shows the newest one only"
        yield Finding(_AREA, "live files", State.CARE, text, "multiboard serve passes --reload_multifile=true")
    if size > _READ:
        text = f"{len(directories)} runs, {shown_bytes(size)} of events, not looked at for damage"
        yield Finding(_AREA, "runs", State.CARE, text, "multiboard inspect looks; multiboard prune makes them smaller")
        return
    yield Finding(_AREA, "runs", State.GOOD, f"{len(directories)} runs, {shown_bytes(size)} of events")
    for name, run in overview(path).items():
        yield from _run(path / name, run)


def _run(path: Path, run: RunSummary) -> Iterator[Finding]:
    named = shlex.quote(str(path))
    damaged = [place for places in run.damage.values() for place in places if not (run.live and place.torn)]
    if damaged:
        text = f"{len(damaged)} place{'s' if len(damaged) > 1 else ''} of its files cannot be read: {damaged[0].reason}"
        yield Finding(_AREA, path.name, State.CARE, text, f"multiboard repair {named}")
    if run.size > _HUGE:
        text = f"its event files have {shown_bytes(run.size)}, and TensorBoard reads all of them"
        yield Finding(_AREA, path.name, State.CARE, text, f"multiboard prune {named} --media 20 --histograms 200")
    if len(run.files) > _MANY:
        yield Finding(_AREA, path.name, State.CARE, f"it has {len(run.files)} event files", f"multiboard compact {named}")
