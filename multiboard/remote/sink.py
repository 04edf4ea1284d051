"""The sink of a run on a URL: event files in the spool that become segments by size, by time, and when somebody asks."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from multiboard.protocols import Observer
    from multiboard.remote.destination import RemoteDirectory
    from multiboard.sink import EventSink

_GROWTH: Final = 50
"""A segment takes so many times less than the age of the run, so that a day of logging becomes some 300 of them."""
_GROWTH_ASKED: Final = 400
"""The same for segments that are asked for by `flush`."""


class RemoteSink:
    """Takes values of one run, or child run, with the methods of an `EventSink`.

    Args:
        events: writes them into the spool.
        directory: of the run and its children.
        every: seconds that a segment takes at least.

    Attributes:
        start_step: see `Sink`.
        close_timeout: seconds that `close` may take beyond writing.
    """

    def __init__(self, events: EventSink, directory: RemoteDirectory, every: float) -> None:
        self.start_step = events.start_step
        self.close_timeout = directory.close_timeout
        self.accept, self.accept_scalars = events.accept, events.accept_scalars
        self.held_bytes = events.held_bytes
        self._events, self._directory, self._every = events, directory, every
        self._began = self._rotated = monotonic()
        self._closed = False

    def observe(self, observer: Observer) -> None:
        """Show an observer what is accepted from now on."""
        self._events.observe(observer)

    def flush(self) -> bool:
        """Bring all accepted values to the spool, and finish a segment if it is time; tell whether they are there."""
        written = self._events.flush()
        now = monotonic()
        if (not written or now >= self._due(now)) and self._events.rotate():
            self._rotated = now
        return written

    def _due(self, now: float) -> float:
        growth = _GROWTH_ASKED if self._directory.asked > self._rotated else _GROWTH
        return self._rotated + max(self._every, (now - self._began) / growth)

    def ask_upload(self) -> None:
        """Upload what has been accepted soon, also if the run is old; does not wait for it."""
        self._directory.ask_upload()

    def close(self) -> None:
        """Finish the last segment; the last sink of a run waits for the upload of all."""
        if not self._closed:
            self._closed = True
            try:
                with self._directory.without_limit():
                    self._events.close()
            finally:
                self._directory.closed()

    def abandon(self) -> None:
        """Let go of the files without writing: in a forked child they belong to the parent."""
        self._events.abandon()
        self._directory.abandon()
