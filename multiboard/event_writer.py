"""Events of one run into its live file, one file after the other: rotation, resuming, and a directory that was deleted."""

from __future__ import annotations

import os
import time
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

from multiboard.backlog import Backlog
from multiboard.encode import Encoder, session_start
from multiboard.files import EventFile
from multiboard.records import OVERHEAD, frame
from multiboard.redescribe import redescribe

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from multiboard.files import Space
    from multiboard.reports import Reports


_written: Final[set[str]] = set()
"""Directories and URLs of runs that this process has written; opened again, they go on."""


class FileSettings(NamedTuple):
    """How the event files of a run begin and end; see `multiboard.Run` for each."""

    resume: bool | str = False
    max_file_bytes: int | None = None
    max_media_bytes: Mapping[str, int] | None = None

    def adds(self, place: str) -> bool:
        """Tell whether a sink adds to what is in a place: it is asked for, or this process has written there before."""
        return self.resume == "add" or (place in _written and not self.resume)


def note_written(place: str) -> None:
    """Remember that this process writes in a place."""
    _written.add(place)


class FileOptions(NamedTuple):
    """How the files of a run begin and end.

    Attributes:
        first_step: the first file starts again at this step, and the Python reader of TensorBoard drops what earlier files hold
            from there on; None continues behind them.
        resume_step: continue behind earlier files, which end before this step: the file starts again at the first step that is
            written, if that is a smaller one. None does not resume.
        max_bytes: bytes from which on a file is closed and a new one begun; None has no limit.
        suffix: goes to the end of the file names.
        after: name of an event file that was in the directory, and behind which the new ones sort.
        space: what the records in the files are counted in; None is all of the disk.
        finished: called with the path and the bytes of every file that gets no more records, and may take it away.
    """

    first_step: int | None = 0
    resume_step: int | None = None
    max_bytes: int | None = None
    suffix: str = ""
    after: str = ""
    space: Space | None = None
    finished: Callable[[str, int], None] | None = None


class EventWriter:
    """Encodes and writes events of one run.

    Args:
        log_dir: the run directory.
        reports: receives what goes wrong.
        options: of the files.

    Attributes:
        encoder: of the live file.

    Raises:
        LogDirError: the directory cannot be written.
    """

    def __init__(self, log_dir: str, reports: Reports, options: FileOptions) -> None:
        self._log_dir, self._reports, self._options = log_dir, reports, options
        resumed = options.resume_step or None
        self._file = self._new_file(None if resumed else options.first_step, options.after)
        self._empty_size = self._file.size
        self._resume_step = resumed
        self._backlog = Backlog(self._file, reports)
        self.encoder = Encoder()
        self._seen, self._missing = True, False
        self._say_second_writer()

    def _new_file(self, first_step: int | None = None, after: str = "") -> EventFile:
        file = EventFile(self._log_dir, first_step, self._options.suffix, after=after)
        file.space = self._options.space
        return file

    def _next_file(self) -> EventFile:
        """Return a new file behind the live one, which may be gone by now."""
        return self._new_file(after=os.path.basename(self._file.path) if self._options.finished else "")

    def _say_second_writer(self) -> None:
        for other in self._file.others_being_written():
            self._reports.add(
                "second live file",
                f"{other} is being written, too: TensorBoard reads one live file per run and may not show the points of the "
                "other one. Give every process and every Run a directory of its own, e.g. run.child('worker1').",
            )
            return

    def begin(self, step: int | None) -> None:
        """Do what must be done before an event is encoded.

        Args:
            step: of the event; None if it belongs to no step.
        """
        if not self._seen:
            self._seen = True
            if not self._missing and self._file.is_gone():
                self._lose_file()
        if self._resume_step is not None and step is not None:
            first, self._resume_step = min(step, self._resume_step), None
            self._backlog.add(frame(session_start(time.time(), first)))

    def _lose_file(self) -> None:
        """Begin again in memory: tags are described once more, also in records that the disk has refused so far."""
        self._reports.add(
            "event file deleted", f"{self._file.path} was deleted while the run was writing; it goes on in a new file."
        )
        self._backlog.change(partial(redescribe, metadata=self.encoder.metadata, described=set()))
        self.encoder = Encoder()
        self._missing = True

    def _find_file(self) -> bool:
        """Begin a new file in the place of a deleted one; tell whether there is one."""
        if self._missing:
            try:
                self._continue_in(self._next_file())
            except OSError as error:
                self._reports.add("no new file", f"{error} Values stay in memory and are written when it can.")
                return False
            self._missing = False
        return True

    def add(self, encode: Callable[[Encoder], bytes]) -> int:
        """Encode and write one event; return its size in bytes.

        Args:
            encode: encodes it; called again if the event goes into a new file, which has to describe its tags itself.
        """
        event = encode(self.encoder)
        if self.make_room(len(event) + OVERHEAD):
            event = encode(self.encoder)
        self._backlog.add(frame(event))
        return len(event)

    def add_framed(self, framed: bytes, records: int) -> None:
        """Write framed records for which there is room."""
        self._backlog.add(framed, records)

    def make_room(self, size: int) -> bool:
        """Begin a new file if so many bytes would make this one too large; tell whether that was done."""
        limit = self._options.max_bytes
        held = self._file.size + self._backlog.size
        if limit is None or self._missing or held + size <= limit or held <= self._empty_size or not self._backlog.flush():
            return False
        try:
            self._continue_in(self._next_file())
        except OSError as error:
            self._reports.add("rotation failed", f"{self._file.path} goes on beyond max_file_bytes={limit}: {error}")
            return False
        self.encoder = Encoder()
        return True

    def rotate(self) -> bool:
        """Go on in a new file, if the live one holds anything; tell whether that was done. What is held goes there, too."""
        if self._missing or self._file.size <= self._empty_size:
            return False
        try:
            self._continue_in(self._next_file())
        except OSError as error:
            self._reports.add("rotation failed", f"{self._file.path} goes on: {error}")
            return False
        if self._backlog.size:
            self._backlog.change(partial(redescribe, metadata=self.encoder.metadata, described=set()))
        self.encoder = Encoder()
        return True

    def _continue_in(self, file: EventFile) -> None:
        finished, self._file = self._file, file
        self._empty_size = file.size
        self._backlog.continue_in(file)
        try:
            finished.close()
        except OSError as error:  # e.g. a network disk that could not keep what it had taken
            self._reports.add("closing failed", f"{finished.path} could not be closed ({error.strerror}).")
        self._hand_over(finished)

    def _hand_over(self, file: EventFile) -> None:
        if self._options.finished is not None:
            self._options.finished(file.path, file.size)

    def table_rows(self, record_bytes: int) -> int | None:
        """Return how many records of a size may be written at once, so that files end near their limit; None is any number."""
        limit = self._options.max_bytes
        return None if limit is None else max(1, limit // 8 // record_bytes)

    def flush(self) -> bool:
        """Write what is held; what the disk refuses stays for the next attempt. Tell whether nothing is left."""
        self._seen = False
        return self._find_file() and self._backlog.flush()

    @property
    def held_bytes(self) -> int:
        """Bytes that could not be written yet."""
        return self._backlog.size

    def close(self) -> None:
        """Flush and close the file; says how many records the disk refused until the end."""
        self._backlog.close(possible=self._find_file())
        try:
            self._file.close()
        finally:
            self._hand_over(self._file)

    def abandon(self) -> None:
        """Let go of the file without writing."""
        self._backlog.clear()
        self._file.close()
