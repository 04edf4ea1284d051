"""The one writer thread between the training loop and the files.

Callers append to the queues of their lane and return: no lock, no wake-up. The writer wakes ten times a second, takes all there
is and writes it with one call per file. `flush` and `close` wait for it; nothing else does. Large values are encoded in slices of
time, with scalars in between, so that a killed process loses little.
"""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from functools import partial
from queue import Empty, SimpleQueue
from time import monotonic, sleep
from typing import TYPE_CHECKING, Final

from multiboard.delivery import deliver, deliver_drops, deliver_scalars, guarded
from multiboard.exits import EXIT_TIMEOUT, watch_pipeline
from multiboard.lane import QueueLane, is_unready, may_wait
from multiboard.reports import WRITER_THREAD

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from multiboard.budget import MemoryBudget
    from multiboard.protocols import Lane, Sink
    from multiboard.reports import Reports
    from multiboard.values import Foreign

INTERVAL: Final = 0.1
"""Seconds between two wake-ups: with a slice, what a killed process can lose."""
SLICE: Final = 0.05
"""Seconds of encoding after which scalars and files have their turn."""
_LAST_ROUNDS: Final = 10
"""How often the last values are written: observers log something when they see them. What other threads still log is too late."""
_POLL: Final = 0.001
"""Seconds between two looks at a writer that is ending."""


class _Request:
    """A caller that waits until everything is in the files."""

    def __init__(self) -> None:
        self.done = threading.Lock()  # no Event: a signal handler may interrupt a caller inside the lock that those share
        self.done.acquire()
        self.written = False

    def answer(self, *, written: bool) -> None:
        """Let the caller go on."""
        self.written = written
        self.done.release()


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
        self._wake: SimpleQueue[None] = SimpleQueue()
        self._stopping, self._ended = False, False
        self._thread = threading.Thread(target=self._run, name=WRITER_THREAD, daemon=True)
        self._thread.start()
        watch_pipeline(self)

    def add_lane(self, sink: Sink) -> QueueLane:
        """Register a sink, to be flushed and closed with the pipeline; return the queues in front of it."""
        lane = QueueLane(sink, self._budget, self._reports, self._callers_wait)
        self._lanes.append(lane)
        return lane

    def _callers_wait(self) -> bool:
        writer_lives = not self._stopping and self._thread.is_alive()
        return self._block and writer_lives and threading.current_thread() is not self._thread

    def flush(self, timeout: float | None = None) -> bool:
        """Wait until all values put before this call are in their files.

        Args:
            timeout: seconds to wait at most; None waits as long as the writer lives.

        Returns:
            Whether they are: False after the timeout, without a writer, in the writer's own callbacks, and while the disk
            refuses them.
        """
        if threading.current_thread() is self._thread:
            return False
        request = _Request()
        self._requests.append(request)
        self._wake.put(None)
        while not request.done.acquire(timeout=0.5 if timeout is None else max(0.0, min(timeout, 0.5))):
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

    @property
    def ending(self) -> bool:
        """Whether the writer was asked to end: it writes the last values, or has ended."""
        return self._stopping

    def close(self, timeout: float | None = None) -> None:
        """Write what there is, close the files and end the writer; a second call does nothing."""
        self.stop_soon()
        self._wake.put(None)
        self.join(timeout)

    def join(self, timeout: float | None = None) -> None:
        """Wait for the end of the writer; neither this nor the writer takes a lock that a caller may hold.

        Args:
            timeout: seconds to wait; None is what a hanging device is given, and what the sinks may take to close.

        `Thread.join` alone would not do: a signal handler may interrupt a caller that has just taken the thread's lock there.
        """
        if self._thread is threading.current_thread():
            return
        if timeout is None:
            timeout = EXIT_TIMEOUT + max((getattr(lane.sink, "close_timeout", 0.0) for lane in tuple(self._lanes)), default=0.0)
        due = monotonic() + timeout
        while not self._ended and self._thread.is_alive() and monotonic() < due:
            sleep(_POLL)
        self._thread.join(_POLL)
        if not self._ended and self._thread.is_alive():
            self._reports.add("writer hangs", f"the writer thread did not finish within {timeout:g} s; values may be missing.")

    def _run(self) -> None:
        try:
            while not self._stopping:
                with contextlib.suppress(Empty):
                    self._wake.get(timeout=INTERVAL)
                guarded(self._drain, self._reports)
        finally:
            self._drain_to_the_end()
            for lane in self._lanes:
                guarded(lane.sink.close, self._reports)
            self._ended = True

    def _drain_to_the_end(self) -> None:
        for _ in range(_LAST_ROUNDS):
            guarded(partial(self._drain, last=True), self._reports)
            if not any(lane.numbers or lane.values_waiting() for lane in self._lanes):
                return

    def _drain(self, *, last: bool = False) -> None:
        """Write what there is, except while memory is half full of what the disk refuses.

        Args:
            last: nothing comes after it: what is still being computed is waited for, and what the disk refuses is lost.
        """
        closing = [self._closing.popleft() for _ in range(len(self._closing))]
        requests = [self._requests.popleft() for _ in range(len(self._requests))]
        lanes = tuple(self._lanes)
        written = False
        try:
            if last or closing or not self._budget.backlog_is_full or self._flush(lanes):
                self._write(lanes, wait=bool(last or closing or requests))
                written = self._flush(lanes)
            self._close(closing)
        finally:
            for request in requests:
                request.answer(written=written)

    def _close(self, closing: Sequence[QueueLane]) -> None:
        for lane in closing:
            if lane in self._lanes:
                self._lanes.remove(lane)  # atomic: callers may add lanes meanwhile
                guarded(lane.sink.close, self._reports)

    def _write(self, lanes: Sequence[QueueLane], *, wait: bool) -> None:
        """Hand everything to the sinks.

        Args:
            lanes: all.
            wait: also what says that it is still being computed.
        """
        for lane in lanes:
            lane.active = False
        written = self._write_scalars(lanes, hold_back=may_wait)
        if written and any(lane.numbers or lane.values_waiting() for lane in lanes):
            self._flush(lanes)  # what a device still computes must not keep the rest from the file
        self._write_values(lanes, wait=wait)
        if any(lane.numbers for lane in lanes):
            self._write_scalars(lanes, hold_back=None if wait else is_unready)
        if lanes:
            deliver_drops(lanes[0].sink, self._reports)

    def _write_scalars(self, lanes: Sequence[QueueLane], *, hold_back: Callable[[Foreign], bool] | None) -> bool:
        """Hand scalars to the sinks; tell whether there were any."""
        written = False
        for lane in lanes:
            if numbers := lane.taken_numbers(hold_back=hold_back):
                written = True
                deliver_scalars(lane.sink, numbers, self._reports)
        return written

    def _write_values(self, lanes: Sequence[QueueLane], *, wait: bool) -> None:
        due = monotonic() + SLICE
        for lane in lanes:
            for _ in range(lane.values_waiting()):
                value = lane.next_value(wait=wait)
                if value is None:
                    break
                deliver(lane.sink, value, self._reports)
                if monotonic() > due:
                    self._write_scalars(lanes, hold_back=may_wait)
                    self._flush(lanes)
                    self._write_scalars(lanes, hold_back=is_unready)
                    due = monotonic() + SLICE

    def _flush(self, lanes: Sequence[QueueLane]) -> bool:
        written = [guarded(lane.sink.flush, self._reports) for lane in lanes]
        self._budget.backlog = sum(lane.sink.held_bytes() for lane in lanes)
        active = sum(lane.active for lane in lanes) or 1
        for lane in lanes:
            lane.set_limit(active)
        return all(written)

    def abandon(self) -> None:
        """Drop everything without writing: called in a forked child, which has no writer thread."""
        self._stopping = True
        self._wake = SimpleQueue()  # the writer may have been inside the old one when the process forked
        for lane in self._lanes:
            lane.clear()
            with contextlib.suppress(OSError):
                lane.sink.abandon()
