"""The one thread that brings the files of a run to its store: each segment once, in order, for as long as it takes.

Spools that earlier processes have left for the same URL come first. What is refused is tried again, ever less often.
"""

from __future__ import annotations

import contextlib
import os.path
import random
import threading
from collections import deque
from queue import Empty, SimpleQueue
from time import monotonic
from typing import TYPE_CHECKING, Final

from multiboard.remote.attachments import Attachments
from multiboard.remote.segments import finish, finish_all
from multiboard.remote.sending import Sender, is_refused
from multiboard.remote.spool import size_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from multiboard.remote.room import Room
    from multiboard.remote.spool import Spool
    from multiboard.remote.store_process import AnyStore
    from multiboard.reports import Reports

FIRST_DELAY: Final = 0.5
LONGEST_DELAY: Final = 60.0
LASTING_DELAY: Final = 300.0
"""Seconds until the next attempt after a mistake that waiting alone does not mend."""
CLOSING_DELAY: Final = 2.0
"""Seconds between two attempts at most while the end of the run waits for them."""
_PATIENCE: Final = 30.0
"""Seconds without success after which it is said."""
_SHORTEST: Final = 0.02
"""Seconds between two looks at least."""
_LAST_WORDS: Final = 1.0
"""Seconds for an upload that is under way when the time is over."""


class Retry:
    """When what was refused is tried again.

    Attributes:
        failures: attempts without success; 0 if the last one had it.
        at: the time of the monotonic clock at which the next one is due.
    """

    def __init__(self) -> None:
        self.failures, self.at = 0, 0.0
        self._since = 0.0

    def failed(self, *, lasting: bool, closing: bool) -> bool:
        """Put off the next attempt; tell whether it is time to say so.

        Args:
            lasting: waiting alone does not mend it.
            closing: the end of the run waits.
        """
        now = monotonic()
        self._since = self._since if self.failures else now
        self.failures += 1
        delay = LASTING_DELAY if lasting else min(LONGEST_DELAY, FIRST_DELAY * 2.0 ** min(self.failures - 1, 20))
        if closing:
            delay = min(delay, CLOSING_DELAY)
        self.at = now + delay * random.uniform(0.5, 1.5)  # noqa: S311  # so that many processes do not come back at once
        return lasting or now - self._since >= _PATIENCE

    def waits(self, *, closing: bool) -> bool:
        """Tell whether it is too early; a long delay is cut short once when the run ends."""
        if closing and self.at > monotonic() + 2 * CLOSING_DELAY:
            self.at = 0.0
        return self.failures > 0 and monotonic() < self.at


class Uploader:
    """Uploads what the writer of a run has finished.

    Args:
        store: where it goes.
        spool: of the run.
        older: spools of the same URL that were left behind, the oldest first.
        reports: receives what goes wrong.
        room: is told what is gone from the disk.
        every: seconds between two looks for files beside the events.
    """

    def __init__(self, store: AnyStore, spool: Spool, older: list[Spool], reports: Reports, room: Room, every: float) -> None:
        self._store, self._spool, self._older = store, spool, older
        self._reports, self._room, self._every = reports, room, every
        self._finished: deque[tuple[str, int]] = deque()
        self._segments: deque[tuple[str, int]] = deque()
        self._made: list[str] = []
        self._making = threading.Lock()
        self._attachments = Attachments(spool)
        self._sender = Sender(store, room.free)
        self._values, self._files = Retry(), Retry()  # a file that the store does not take holds up no values
        self._look_at = 0.0
        self._closing = False
        self._wake: SimpleQueue[None] = SimpleQueue()
        self._ended = threading.Lock()  # no Event: see the pipeline
        self._ended.acquire()
        self._thread = threading.Thread(target=self._run, name="multiboard-uploader", daemon=True)
        self._thread.start()

    def take(self, path: str, size: int) -> None:
        """Take a live file that is closed, with its size; for the writer."""
        self._finished.append((path, size))
        self._wake.put(None)

    def made(self) -> list[str]:
        """Return the names in the store of all segments of this spool so far, sent or not.

        Raises:
            OSError: a live file that is closed could not be made one.
        """
        self._make_segments()
        return self._made

    def ask(self) -> None:
        """Look for files beside the events at once."""
        self._look_at = 0.0
        self._wake.put(None)

    def finish(self, timeout: float) -> None:
        """Upload all that is left and delete the spool; say once where it lies if that is not possible in time.

        Args:
            timeout: seconds to wait.
        """
        self._closing = True
        self._wake.put(None)
        if not self._ended.acquire(timeout=max(0.0, timeout)):
            self._sender.stopped = True
            self._wake.put(None)
            self._ended.acquire(timeout=_LAST_WORDS)
        if os.path.isdir(self._spool.path):
            size = size_of(self._spool.log_dir) + sum(size_of(older.log_dir) for older in self._older)
            command = f"multiboard upload '{self._store.url}'"
            self._reports.add(
                "upload unfinished",
                f"{size} bytes for {self._store.url} could not be uploaded within close_timeout={timeout:g} s and wait in "
                f"{self._spool.path}: the next start of this run finishes them, or the command {command}.",
            )

    def give_up(self) -> None:
        """End soon, because there is no run whose values could be sent."""
        self._sender.stopped = True
        self._wake.put(None)

    def abandon(self) -> None:
        """Leave everything to the parent process: called in a forked child, where the thread does not live."""
        self._sender.stopped = True
        for spool in (*self._older, self._spool):
            spool.let_go()

    # ------------------------------------------------------------------ in the thread

    def _run(self) -> None:
        try:
            while not self._sender.stopped:
                self._wait()
                closing = self._closing
                if self._attempt() and closing and not self._attachments.changed(final=True):
                    self._spool.remove()
                    return
        finally:
            for spool in (*self._older, self._spool):
                spool.let_go()
            self._ended.release()

    def _wait(self) -> None:
        failing = next((retry for retry in (self._values, self._files) if retry.failures), None)
        due = failing.at if failing is not None else 0.0 if self._closing else self._look_at
        with contextlib.suppress(Empty):
            self._wake.get(timeout=max(_SHORTEST, due - monotonic()))

    def _attempt(self) -> bool:
        """Upload what there is; tell whether all of it has arrived."""
        return self._succeeds(self._values, self._send_segments) and self._succeeds(self._files, self._send_files)

    def _succeeds(self, retry: Retry, send: Callable[[], None]) -> bool:
        if retry.waits(closing=self._closing):
            return False
        try:
            send()
        except Exception as error:  # noqa: BLE001  # libraries of stores raise whatever they like
            if not self._sender.stopped:
                lasting = is_refused(error)
                if retry.failed(lasting=lasting, closing=self._closing):
                    self._say(error, lasting=lasting)
            return False
        retry.failures = 0
        return True

    def _send_segments(self) -> None:
        self._make_segments()
        if self._closing:
            self._take_forgotten()
        self._sender.send_segments(self._older)
        while self._segments:
            segment, size = self._segments[0]
            if not self._sender.send_segment(self._spool, segment, size):
                self._reports.add("segment deleted", f"{segment} was deleted before it was uploaded; its values are lost.")
            self._segments.popleft()

    def _send_files(self) -> None:
        refused = None
        for spool in tuple(self._older):
            try:
                self._sender.send_spool(spool)
                self._older.remove(spool)
            except OSError as error:
                if not is_refused(error):
                    raise
                refused = error
        if monotonic() >= self._look_at or self._closing:
            self._sender.send_attachments(self._spool, self._attachments, final=self._closing)
            self._room.beside = self._attachments.size
            self._look_at = monotonic() + self._every
        if refused is not None:
            raise refused

    def _make_segments(self) -> None:
        with self._making:
            while self._finished:
                path, size = self._finished[0]
                segment = finish(path, size)
                self._finished.popleft()
                if segment is None:
                    self._room.free(size)
                else:
                    self._made.append(self._spool.relative(segment))
                    self._segments.append((segment, size))

    def _take_forgotten(self) -> None:
        """Make segments of what a sink has written and could not hand over."""
        finish_all(self._spool.log_dir, self._spool.about.token)
        known = {path for path, _ in self._segments}
        self._segments.extend((path, os.path.getsize(path)) for path in self._spool.segments() if path not in known)

    def _say(self, error: Exception, *, lasting: bool) -> None:
        text = str(error) if isinstance(error, OSError) else type(error).__name__  # other texts may hold a password
        waits = "Nothing is lost: the values wait on the local disk, and the upload is tried again"
        self._reports.add(
            "upload refused" if lasting else "upload failed",
            f"{text} {waits} {'every few minutes' if lasting else 'ever less often'}.",
        )
