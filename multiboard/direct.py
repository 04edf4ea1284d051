"""The way without a queue and without a thread: a call returns when its values are in the file.

For `durable=True`: what was accepted survives the end of the process by any means. Device values are waited for.
"""

from __future__ import annotations

import contextlib
from functools import partial
from typing import TYPE_CHECKING

from multiboard.delivery import deliver, deliver_drops, deliver_scalars, guarded
from multiboard.exits import watch_pipeline
from multiboard.forks import ForkableLock
from multiboard.lane import later

if TYPE_CHECKING:
    from collections.abc import Callable

    from multiboard.budget import MemoryBudget
    from multiboard.protocols import Lane, Logged, Sink
    from multiboard.reports import Reports
    from multiboard.values import Scalars, Value


class DirectLane:
    """Writes the values of one run in the thread of the caller, with the methods of a `QueueLane`."""

    def __init__(self, sink: Sink, pipeline: DirectPipeline) -> None:
        self.sink = sink
        self.numbers: tuple[Logged, ...] = ()
        self.limit = 0  # nothing is ever queued
        self._reached: int | None = None
        self._pipeline = pipeline

    def append(self, logged: Logged) -> None:
        """Write scalars."""
        self._reached = later(self._reached, logged[2])
        self._pipeline.write_scalars(self.sink, logged)

    def overflow(self, logged: Logged) -> None:
        """Write scalars."""
        self.append(logged)

    def put_scalars(self, scalars: Scalars) -> None:
        """Write scalars of any kind."""
        self.append(scalars)

    def put(self, value: Value, kind: str, tag: object, step: int) -> None:
        """Write any other value."""
        self._reached = later(self._reached, step)
        self._pipeline.write(self.sink, value, kind, len(tag) if isinstance(tag, tuple) else 1, step)

    def put_once(self, value: Value) -> None:
        """Write a value of which there is one in a run."""
        self._pipeline.write(self.sink, value)

    def newest_step(self) -> int | None:
        """Return the largest step that was put; None before the first."""
        return self._reached

    def end(self, value: Value) -> None:
        """Write the last value in a signal handler, unless it has interrupted a call that is writing."""
        self._pipeline.write_if_idle(self.sink, value)


class DirectPipeline:
    """Writes the values of one run and its children at once, with the methods of a `Pipeline`.

    Args:
        reports: receives what cannot be written.
        budget: the memory for records that the disk refuses.
        watched: whether the files are closed at the end of the process.
    """

    def __init__(self, reports: Reports, budget: MemoryBudget, *, watched: bool = True) -> None:
        self._reports, self._budget = reports, budget
        self._sinks: list[Sink] = []
        self._lock = ForkableLock()
        self._writing = False
        if watched:
            watch_pipeline(self)

    def add_lane(self, sink: Sink) -> DirectLane:
        """Register a sink; return the way to it."""
        self._sinks.append(sink)
        return DirectLane(sink, self)

    def write_scalars(self, sink: Sink, logged: Logged) -> None:
        """Write the scalars of one call."""
        with self._lock.current:
            if self._has_room(sink, "scalar", 1 if isinstance(logged[0], str) else len(logged[0]), logged[2]):
                self._write(sink, partial(deliver_scalars, sink, [logged], self._reports))

    def write(self, sink: Sink, value: Value, kind: str = "", count: int = 0, step: int = 0) -> None:
        """Write one other value.

        Args:
            sink: of its run.
            value: no scalars.
            kind: what it is counted as if the disk refuses and memory is full; empty for what is never dropped.
            count: of values.
            step: of the value.
        """
        with self._lock.current:
            if self._has_room(sink, kind, count, step):
                self._write(sink, partial(deliver, sink, value, self._reports))

    def write_if_idle(self, sink: Sink, value: Value) -> None:
        """Write one other value if no thread is writing; waits for none."""
        lock = self._lock.current
        if not self._writing and lock.acquire(blocking=False):
            try:
                if sink in self._sinks:
                    self._write(sink, partial(deliver, sink, value, self._reports))
            finally:
                lock.release()

    def _write(self, sink: Sink, action: Callable[[], None]) -> None:
        outer, self._writing = self._writing, True  # an observer logs while another call is being written
        try:
            action()
            self._finish(sink)
        finally:
            self._writing = outer

    def _has_room(self, sink: Sink, kind: str, count: int, step: int) -> bool:
        if sink not in self._sinks:  # closed by another thread
            self._reports.drop(kind or "other", count or 1, step, "the run was closed by another thread meanwhile")
            return False
        full = sum(each.held_bytes() for each in self._sinks) >= self._budget.limit
        if kind and full and not guarded(sink.flush, self._reports):
            self._reports.drop(kind, count, step, "the disk refuses them and memory is full")
            return False
        return True

    def _finish(self, sink: Sink) -> bool:
        deliver_drops(self._sinks[0], self._reports)
        return guarded(sink.flush, self._reports)

    def flush(self, timeout: float | None = None) -> bool:  # noqa: ARG002  # of `Pipeline`
        """Try again to write what the disk refused; tell whether all is written."""
        with self._lock.current:
            written = [self._finish(sink) for sink in self._sinks]
        return all(written)

    def close_lane(self, lane: Lane) -> None:
        """Close one sink and forget it."""
        with self._lock.current:
            if lane.sink in self._sinks:
                self._sinks.remove(lane.sink)
                guarded(lane.sink.close, self._reports)

    def stop_soon(self) -> None:
        """Do nothing: nothing is left to be written."""

    def join(self, timeout: float | None = None) -> None:  # noqa: ARG002  # of `Pipeline`
        """Close what has to be uploaded, unless the signal that ends the program has interrupted a call that is writing."""
        lock = self._lock.current
        uploads = any(hasattr(sink, "close_timeout") for sink in self._sinks)
        if uploads and not self._writing and lock.acquire(blocking=False):
            try:
                while self._sinks:
                    guarded(self._sinks.pop().close, self._reports)
            finally:
                lock.release()

    ending = False
    """Nothing is written later."""

    def close(self) -> None:
        """Close the files; a second call does nothing."""
        with self._lock.current:
            if self._sinks:
                deliver_drops(self._sinks[0], self._reports)
            while self._sinks:
                guarded(self._sinks.pop().close, self._reports)

    def abandon(self) -> None:
        """Let go of the files without writing: in a forked child they belong to the parent."""
        for sink in self._sinks:
            with contextlib.suppress(OSError):
                sink.abandon()
        self._sinks.clear()
