"""A run directory on a URL: its spool, what is there already, and the sinks of the run and its children."""

from __future__ import annotations

import contextlib
import os
import tempfile
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from multiboard import exits
from multiboard.errors import LogDirError
from multiboard.event_writer import FileOptions, note_written
from multiboard.files import event_file_name
from multiboard.remote.attachments import PROJECTOR_CONFIG, projector_configs
from multiboard.remote.options import RemoteOptions, remote_options
from multiboard.remote.room import Room
from multiboard.remote.segments import SEGMENT_BYTES, names_of_run, says_end, step_in_name
from multiboard.remote.sink import RemoteSink
from multiboard.remote.spool import Spool
from multiboard.remote.spools import left_behind, waiting_names
from multiboard.remote.store import Store, StoreError
from multiboard.remote.store_process import open_store
from multiboard.remote.upload import Uploader
from multiboard.sink import EventSink
from multiboard.urls import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import TypeAlias

    from multiboard.event_writer import FileSettings
    from multiboard.remote.store_process import AnyStore
    from multiboard.reports import Reports

    OpenSink: TypeAlias = "Callable[[str, Reports], RemoteSink]"

_PATIENCE: Final = 30.0
"""Seconds that a run that goes on waits for a store that does not answer."""
_POLL: Final = 1.0
_SEGMENTS_AT_ONCE: Final = 8
"""A spool that is full holds so many segments at least."""


class RemoteDestination(NamedTuple):
    """Where a run on a URL writes.

    Attributes:
        log_dir: the local directory.
        open_sink: opens the sink of this directory, or of one below it, which is a child run.
        url: without credentials.
    """

    log_dir: str
    open_sink: OpenSink
    url: str


def open_destination(url: str, settings: FileSettings, remote: RemoteOptions | Mapping[str, Any] | None) -> RemoteDestination:
    """Open the spool of a run on a URL; see `multiboard.remote.open_destination`."""
    options = remote_options(remote)
    url = url if url.endswith("://") else url.rstrip("/")
    store = open_store(url, options.storage_options)
    if isinstance(store, Store):  # whose library may need threads that end early
        exits.close_remote_early()
    directory = RemoteDirectory(url, store, settings, options)
    return RemoteDestination(directory.log_dir, directory.open_sink, directory.url)


class RemoteDirectory:
    """What a run on a URL shares with its children: spool, store and uploader.

    Args:
        url: with its credentials, if it has any.
        store: the directory there.
        settings: of the event files.
        options: of the upload.

    Attributes:
        url: without credentials.
        log_dir: the run directory in the spool.
        close_timeout: seconds that the end waits for the upload.
        asked: the time of the monotonic clock at which an upload was asked for.
    """

    def __init__(self, url: str, store: AnyStore, settings: FileSettings, options: RemoteOptions) -> None:
        self.url = shown(url)
        self.close_timeout, self.asked = options.close_timeout, 0.0
        self._settings, self._options, self._store = settings, options, store
        self._spool = Spool.create(options.spool_root, self.url, complete=self.url == url)
        self.log_dir = self._spool.log_dir
        self._names: list[str] = []
        self._known = True
        self._uploader: Uploader | None = None
        self._open = 0

    def open_sink(self, path: str, reports: Reports) -> RemoteSink:
        """Open the sink of the run, or of a child run below it.

        Args:
            path: of its directory in the spool.
            reports: receives everything that goes wrong.

        Raises:
            LogDirError: the store refuses for good, or cannot be reached and the run is to go on; or the spool cannot be written.
        """
        try:
            if self._uploader is None:
                self._start(reports)
            events = self._open_events(path, reports)
        except BaseException:
            if not self._open:
                self._give_up()
            raise
        self._open += 1
        return RemoteSink(events, self, self._options.upload_every)

    def _give_up(self) -> None:
        if self._uploader is None:
            self._spool.remove()
        else:
            self._spool.delete()
            self._uploader.give_up()

    def _start(self, reports: Reports) -> None:
        older = left_behind(self._options.spool_root, self.url)
        waiting = waiting_names(self._options.spool_root, self.url)  # before the store is asked: they may be on the way to it
        try:
            self._names = [*waiting, *self._stored_names(reports)]
        except BaseException:
            for spool in older:
                spool.let_go()
            raise
        self._configs = projector_configs(older)
        self._room = Room(self._options.spool_bytes, sum(spool.segment_bytes() for spool in older))
        self._uploader = Uploader(self._store, self._spool, older, reports, self._room, self._options.upload_every)

    def _stored_names(self, reports: Reports) -> list[str]:
        due = monotonic() + (_PATIENCE if self._settings.resume is True else 0.0)
        while True:
            try:
                return list(self._store.list())
            except StoreError as error:
                if error.lasting or (self._settings.resume is True and monotonic() >= due):
                    raise LogDirError(self.url, str(error)) from None
                if self._settings.resume is not True:
                    reports.add("store unreachable", f"{error} The run starts nevertheless and is uploaded when it can be.")
                    self._known = False
                    return []
            sleep(_POLL)

    def _open_events(self, path: str, reports: Reports) -> EventSink:
        run = "" if path == self.log_dir else self._spool.relative(path)
        uploader = self._uploader
        assert uploader is not None  # noqa: S101
        names, known = names_of_run([*self._names, *_made(uploader, path)], run), f"{self.url}/{run}"
        resume = self._settings.resume
        adds = self._settings.adds(known)
        options = FileOptions(
            first_step=None if adds else 0,
            resume_step=self._next_step(run, names) if resume is True else None,
            max_bytes=self._segment_bytes(),
            suffix=f".{self._spool.about.token}",
            after=names[-1] if names else "" if self._known or not adds else event_file_name(0, 0),
            space=self._room,
            finished=uploader.take,
        )
        self._fetch_projector_config(run, reports)
        sink = EventSink(path, reports, options, self._settings.max_media_bytes)
        note_written(known)
        return sink

    def _segment_bytes(self) -> int:
        most = min(SEGMENT_BYTES, max(1, self._options.spool_bytes // _SEGMENTS_AT_ONCE))
        return most if self._settings.max_file_bytes is None else min(most, self._settings.max_file_bytes)

    def _next_step(self, run: str, names: list[str]) -> int:
        """Return the step behind the last one of a run; only files that do not say it in their names are read."""
        steps = [step_in_name(name) for name in names]
        others = [f"{run}/{name}".lstrip("/") for name in names if not says_end(name)]
        with tempfile.TemporaryDirectory(dir=self._spool.path) as copies:
            steps += [self._last_step_in(name, os.path.join(copies, "copy")) for name in others]
        return max((step + 1 for step in steps if step is not None), default=0)

    def _last_step_in(self, name: str, copy: str) -> int | None:
        from multiboard.last_step import last_step_of

        try:
            self._store.get(name, copy)
        except StoreError as error:
            raise LogDirError(self.url, str(error)) from None
        with open(copy, "rb") as file:
            data = file.read()
        os.unlink(copy)
        return last_step_of(data)

    def _fetch_projector_config(self, run: str, reports: Reports) -> None:
        """Get the list of embeddings, which later ones are added to."""
        name = f"{run}/{PROJECTOR_CONFIG}".lstrip("/")
        path = os.path.join(self.log_dir, name)
        try:
            if name in self._configs:  # newer than that in the store, and on its way there
                os.makedirs(os.path.dirname(path), exist_ok=True)
                with open(path, "wb") as file:
                    file.write(self._configs.pop(name))
            elif name in self._names:
                self._store.get(name, path)
        except OSError as error:
            reports.add("projector config", f"{error} The projector will show the embeddings of this start of the run only.")

    def ask_upload(self) -> None:
        """Let all sinks finish their segment soon, and look for new files at once."""
        self.asked = monotonic()
        if self._uploader is not None:
            self._uploader.ask()

    @contextlib.contextmanager
    def without_limit(self) -> Iterator[None]:
        """Let the spool take what is in memory, whatever its size: there is no later chance."""
        self._room.lifted = True
        try:
            yield
        finally:
            self._room.lifted = False

    def closed(self) -> None:
        """Note that one of the sinks is closed; with the last one, wait for the upload of everything."""
        self._open -= 1
        if self._open == 0 and self._uploader is not None:
            self._uploader.finish(self.close_timeout)

    def abandon(self) -> None:
        """Leave everything to the parent process."""
        if self._uploader is not None:
            self._uploader.abandon()


def _made(uploader: Uploader, path: str) -> list[str]:
    try:
        return uploader.made()
    except OSError as error:
        raise LogDirError(path, error.strerror or str(error)) from error
