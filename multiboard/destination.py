"""Where a run writes: its directory, a directory that is uploaded, or nowhere, because another rank writes."""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from multiboard.event_writer import FileOptions, FileSettings, note_written
from multiboard.sink import EventSink

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import TypeAlias

    from multiboard.protocols import Sink
    from multiboard.remote import RemoteOptions
    from multiboard.reports import Reports

    OpenSink: TypeAlias = Callable[[str, Reports], Sink]


class Destination(NamedTuple):
    """Where a run writes.

    Attributes:
        log_dir: a local directory.
        open_sink: opens the place for the values of this directory, or of one below it, which is a child run.
        url: where the directory is uploaded to, without credentials; None if it stays.
        writes: False if all values are forgotten.
    """

    log_dir: str
    open_sink: OpenSink
    url: str | None = None
    writes: bool = True


def destination(
    log_dir: str | os.PathLike[str],
    settings: FileSettings,
    *,
    per_rank: bool | None,
    remote: RemoteOptions | Mapping[str, Any] | None,
    open_sink: OpenSink | None,
) -> Destination:
    """Return where a run writes; see `Run` for the arguments.

    Raises:
        ArgumentError: one of them is not one of the possible ones.
        MissingFrameworkError: a package for the URL is missing.
    """
    from multiboard import ranks
    from multiboard.urls import is_url

    place, silent = ranks.place(os.fspath(log_dir), per_rank)
    if silent:
        return _silent(place, settings.resume, remote)
    if open_sink is None and is_url(place):
        from multiboard.remote import open_destination

        return Destination(*open_destination(place, settings, remote))
    return Destination(place, open_sink or partial(open_event_files, settings=settings))


def _silent(place: str, resume: bool | str, remote: RemoteOptions | Mapping[str, Any] | None) -> Destination:
    """Return what a rank has that does not write; of a run on a URL what is no event, e.g. a profile, stays on its machine."""
    from multiboard.nowhere import Silent
    from multiboard.urls import is_url, shown

    if not is_url(place):
        return Destination(place, partial(Silent, resume=resume), writes=False)
    import hashlib
    from pathlib import Path

    from multiboard.remote.options import remote_options

    left_here = Path(remote_options(remote).spool_root, "silent", hashlib.sha256(place.encode()).hexdigest()[:16])
    return Destination(str(left_here), partial(Silent, resume=resume, url=shown(place)), writes=False)


def open_event_files(log_dir: str | os.PathLike[str], reports: Reports, *, settings: FileSettings) -> EventSink:
    """Open a sink that starts at step 0, or goes on if this process has written into the directory before.

    A new process that opens an old directory starts over, and TensorBoard shows what it writes. The same process that opens
    it again (a second `fit`, a child run for each evaluation) adds to what is there.

    Args:
        log_dir: the run directory.
        reports: receives everything that could not be written.
        settings: of the files; `resume` True goes on behind the last step of the directory, 'add' adds to it, whatever the steps.
    """
    known = os.path.abspath(log_dir)
    resume_step = _next_step(log_dir) if settings.resume is True else None
    options = FileOptions(None if settings.adds(known) else 0, resume_step, settings.max_file_bytes)
    sink = EventSink(log_dir, reports, options, settings.max_media_bytes)
    note_written(known)
    return sink


def _next_step(log_dir: str | os.PathLike[str]) -> int:
    from pathlib import Path

    from multiboard.last_step import last_step

    last = last_step(Path(log_dir))
    return 0 if last is None else last + 1
