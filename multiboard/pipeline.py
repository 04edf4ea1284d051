"""The one writer thread between the training loop and the files.

Callers append to the queues of their lane and return: no lock, no wake-up. The writer wakes ten times a second, takes all there
is and writes it with one call per file. `flush` and `close` wait for it; nothing else does. Large values are encoded in slices of
time, with scalars in between, so that a killed process loses little.
"""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from time import monotonic
from typing import TYPE_CHECKING, Final

from multiboard.delivery import deliver, deliver_drops, deliver_scalars, guarded
from multiboard.exits import watch_pipeline
from multiboard.lane import QueueLane
from multiboard.reports import WRITER_THREAD

if TYPE_CHECKING:
    from collections.abc import Sequence

    from multiboard.budget import MemoryBudget
    from multiboard.protocols import Lane, Sink
    from multiboard.reports import Reports

INTERVAL: Final = 0.1
"""Seconds between two wake-ups: with a slice, what a killed process can lose."""
SLICE: Final = 0.05
"""Seconds of encoding after which scalars and files have their turn."""
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
        budget: the memory that may be used.
        block: callers wait for memory, as long as the writer lives.
    """

    def __init__(self, reports: Reports, budget: MemoryBudget, *, block: bool = False) -> None:
        self._reports, self._budget, self._block = reports, budget, block
        self._lanes: list[QueueLane] = []
        self._requests: deque[_Request] = deque()
        self._closing: deque[QueueLane] = deque()
        self._wake = threading.Event()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name=WRITER_THREAD, daemon=True)
        self._thread.start()
        watch_pipeline(self)

    def add_lane(self, sink: Sink) -> QueueLane:
        """Register a sink, to be flushed and closed with the pipeline; return the queues in front of it."""
        lane = QueueLane(sink, self._budget, self._reports, self._callers_wait)
        self._lanes.append(lane)
        return lane

    def _callers_wait(self) -> bool:
        return self._block and not self._stopping and self._thread.is_alive()

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

    def close_lane(self, lane: Lane) -> None:
        """Close one sink after all that was put for it, and forget it; returns when that is done, or the writer has ended."""
        self._closing.extend(own for own in tuple(self._lanes) if own is lane)
        self.flush()

    def stop_soon(self) -> None:
        """Ask the writer to write what there is, close the files and end, within the interval; takes no lock."""
        self._stopping = True

    def close(self, timeout: float = EXIT_TIMEOUT) -> None:
        """Write what there is, close the files and end the writer; a second call does nothing."""
        self.stop_soon()
        self._wake.set()
        self.join(timeout)

    def join(self, timeout: float = EXIT_TIMEOUT) -> None:
        """Wait for the end of the writer; takes no lock that a caller may hold."""
        if self._thread is not threading.current_thread():
            self._thread.join(timeout)
        if self._thread.is_alive():
            self._reports.add("writer hangs", f"the writer thread did not finish within {timeout:g} s; values may be missing.")

    def _run(self) -> None:
        try:
            while not self._stopping:
                self._wake.wait(INTERVAL)
                self._wake.clear()
                self._drain(wait=False)
        finally:
            self._drain(wait=True)
            for lane in self._lanes:
                guarded(lane.sink.close, self._reports)

    def _drain(self, *, wait: bool) -> None:
        """Write what there is.

        Args:
            wait: also what is still being computed, and even if memory is full of what the disk refuses.
        """
        requests = [self._requests.popleft() for _ in range(len(self._requests))]
        closing = [self._closing.popleft() for _ in range(len(self._closing))]
        lanes = tuple(self._lanes)
        wait = wait or bool(requests)
        if wait or not self._budget.backlog_is_full:
            self._write_scalars(lanes, wait=wait)
            self._write_values(lanes, wait=wait)
            deliver_drops(lanes[0].sink, self._reports) if lanes else None
        written = self._flush(lanes)
        for lane in closing:
            self._lanes.remove(lane)  # atomic: callers may add lanes meanwhile
            guarded(lane.sink.close, self._reports)
        for request in requests:
            request.written = written
            request.done.set()

    def _write_scalars(self, lanes: Sequence[QueueLane], *, wait: bool) -> None:
        for lane in lanes:
            deliver_scalars(lane.sink, lane.taken_numbers(wait=wait), self._reports)

    def _write_values(self, lanes: Sequence[QueueLane], *, wait: bool) -> None:
        due = monotonic() + SLICE
        for lane in lanes:
            for _ in range(lane.values_waiting()):
                value = lane.next_value(wait=wait)
                if value is None:
                    break
                deliver(lane.sink, value, self._reports)
                if monotonic() > due:
                    self._write_scalars(lanes, wait=False)
                    self._flush(lanes)
                    due = monotonic() + SLICE

    def _flush(self, lanes: Sequence[QueueLane]) -> bool:
        written = [guarded(lane.sink.flush, self._reports) for lane in lanes]
        self._budget.backlog = sum(lane.sink.held_bytes() for lane in lanes)
        for lane in lanes:
            lane.set_limit()
        return all(written)

    def abandon(self) -> None:
        """Drop everything without writing: called in a forked child, which has no writer thread."""
        self._stopping = True
        self._wake = threading.Event()  # the lock of the old one may have been held by the writer when the process forked
        for lane in self._lanes:
            lane.clear()
            with contextlib.suppress(OSError):
                lane.sink.abandon()
