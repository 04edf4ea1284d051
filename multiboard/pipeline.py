"""The queue and the one writer thread between the training loop and the files.

The caller appends to a deque and returns: no lock, no wake-up, no bound. The writer wakes ten times a second, takes all there is
and writes it with one call per file. `flush` and `close` wait for it; nothing else does.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import threading
import weakref
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Final, cast

from multiboard.reports import WRITER_THREAD

if TYPE_CHECKING:
    from collections.abc import Callable

    from multiboard.protocols import Logged, Sink
    from multiboard.reports import Reports
    from multiboard.values import Value

INTERVAL: Final = 0.1
"""Seconds between two wake-ups: what a killed process can lose."""
EXIT_TIMEOUT: Final = 60.0
"""Seconds that the end of the process waits for a writer that hangs in a device or a file system."""


class _Request:
    """A caller that waits until everything is in the files."""

    def __init__(self) -> None:
        self.done = threading.Event()
        self.written = False


class Pipeline:
    """Takes values of one run and its children, and hands them to their sinks in order.

    Args:
        reports: receives errors of the writer thread.
    """

    def __init__(self, reports: Reports) -> None:
        self._reports = reports
        self._lanes: list[tuple[deque[Value | Logged], Sink]] = []
        self._requests: deque[_Request] = deque()
        self._closing: deque[Sink] = deque()
        self._wake = threading.Event()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name=WRITER_THREAD, daemon=True)
        self._thread.start()
        _OPEN.add(self)

    def add_sink(self, sink: Sink) -> Callable[[Value | Logged], None]:
        """Register a sink, to be flushed and closed with the pipeline.

        Returns:
            A function that enqueues for this sink a value, or the plain numbers of one call as a bare tuple: atomic, never
            waits, from any thread.
        """
        queue: deque[Value | Logged] = deque()
        self._lanes.append((queue, sink))
        return queue.append

    def flush(self, timeout: float | None = None) -> bool:
        """Wait until all values put before this call are in their files.

        Args:
            timeout: seconds to wait at most; None waits as long as the writer lives.

        Returns:
            Whether they are: False after the timeout, without a writer, and while the disk refuses them.
        """
        request = _Request()
        self._requests.append(request)
        self._wake.set()
        while not request.done.wait(0.5 if timeout is None else min(timeout, 0.5)):
            if timeout is not None and (timeout := timeout - 0.5) <= 0:
                return False
            if not self._thread.is_alive():
                return False
        return request.written

    def close_sink(self, sink: Sink) -> None:
        """Close one sink after all that was put for it, and forget it; returns when that is done, or the writer has ended."""
        self._closing.append(sink)
        self.flush()

    def stop_soon(self) -> None:
        """Ask the writer to write what there is, close the files and end, within the interval; takes no lock."""
        self._stopping = True

    def close(self, timeout: float = EXIT_TIMEOUT) -> None:
        """Write what there is, close the files and end the writer; a second call does nothing."""
        self.stop_soon()
        self._wake.set()
        if self._thread is not threading.current_thread():
            self._thread.join(timeout)
        if self._thread.is_alive():
            self._reports.add("writer hangs", f"the writer thread did not finish within {timeout:g} s; values may be missing.")
        _OPEN.discard(self)

    def _run(self) -> None:
        try:
            while not self._stopping:
                self._wake.wait(INTERVAL)
                self._wake.clear()
                self._drain()
        finally:
            self._drain()
            for _, sink in self._lanes:
                self._guarded(sink.close)
            _OPEN.discard(self)

    def _drain(self) -> None:
        requests = [self._requests.popleft() for _ in range(len(self._requests))]
        closing = [self._closing.popleft() for _ in range(len(self._closing))]
        lanes = tuple(self._lanes)
        for queue, sink in lanes:
            self._empty(queue, sink)
        written = sum(not self._guarded(sink.flush) for _, sink in lanes) == 0
        for sink in closing:
            self._lanes.remove(next(lane for lane in lanes if lane[1] is sink))  # atomic: callers may add lanes meanwhile
            self._guarded(sink.close)
        for request in requests:
            request.written = written
            request.done.set()

    def _empty(self, queue: deque[Value | Logged], sink: Sink) -> None:
        """Hand over what is in a queue now; bare tuples in batches between the other values."""
        logged: list[Logged] = []
        for _ in range(len(queue)):
            item = queue.popleft()
            if type(item) is tuple:
                logged.append(item)
            else:
                self._hand_over(logged, sink)
                logged = []
                self._accept(sink, cast("Value", item))
        self._hand_over(logged, sink)

    def _hand_over(self, logged: list[Logged], sink: Sink) -> None:
        if logged:
            self._guarded(partial(sink.accept_scalars, logged))

    def _accept(self, sink: Sink, value: Value) -> None:
        try:
            sink.accept(value)
        except Exception as error:  # noqa: BLE001  # the writer outlives every value
            name = getattr(value, "tag", None) or type(value).__name__
            self._reports.add(f"{name} unwritable", f"{name!r} could not be written: {type(error).__name__}: {error}")

    def _guarded(self, action: Callable[[], object]) -> bool:
        """Do something; tell whether it neither failed nor returned False."""
        try:
            return action() is not False
        except Exception as error:  # noqa: BLE001
            self._reports.add("writer error", f"the writer failed: {type(error).__name__}: {error}")
            return False

    def abandon(self) -> None:
        """Drop everything without writing: called in a forked child, which has no writer thread."""
        self._wake = threading.Event()  # the lock of the old one may have been held by the writer when the process forked
        for queue, sink in self._lanes:
            queue.clear()
            with contextlib.suppress(OSError):
                sink.abandon()


_OPEN: Final[weakref.WeakSet[Pipeline]] = weakref.WeakSet()


@atexit.register
def _close_all() -> None:
    """Close what is open while the writer threads still run: a daemon thread inside a framework aborts the process later."""
    for pipeline in list(_OPEN):
        pipeline.close()


def _abandon_all() -> None:
    for pipeline in list(_OPEN):
        pipeline.abandon()
    _OPEN.clear()


os.register_at_fork(after_in_child=_abandon_all)
