"""What happens to open runs when the process ends or forks, by whichever way.

- The program ends, with or without an exception: every run is closed while its writer thread still lives. A daemon thread inside
  a framework would abort the process later.
- SIGTERM and SIGHUP, where the program has no handler of its own: everything is written, then the signal takes its course.
  (SIGINT is an exception in Python.)
- fork: the child lets go of the files of its parent and takes no values for them.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import sys
import threading
import weakref
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, Protocol

if TYPE_CHECKING:
    from types import FrameType


class OpenRun(Protocol):
    """A run, as far as the end of the process is concerned."""

    def close(self, *, success: bool) -> None:
        """Write everything and close the files."""

    def note_failure(self) -> None:
        """Enqueue the end of the session; takes no lock."""

    def abandon(self) -> None:
        """Take no more values: the files belong to the parent process."""


class OpenPipeline(Protocol):
    """A pipeline, which may outlive its run for a moment."""

    def close(self) -> None:
        """Write everything and close the files."""

    def stop_soon(self) -> None:
        """Begin to do so; takes no lock."""

    def join(self, timeout: float | None = None) -> None:
        """Wait until that is done, `timeout` seconds at most; needs no lock that a caller may hold."""

    @property
    def ending(self) -> bool:
        """Whether `stop_soon` was called."""

    def abandon(self) -> None:
        """Let go of the files without writing."""


EXIT_TIMEOUT: Final = 60.0
"""Seconds that the end of the process waits for writers that hang in a device or a file system."""
SIGNALS: Final = (signal.SIGTERM, signal.SIGHUP)
_runs: Final[weakref.WeakSet[Any]] = weakref.WeakSet()
_pipelines: Final[weakref.WeakSet[Any]] = weakref.WeakSet()


def _members(watched: weakref.WeakSet[Any]) -> list[Any]:
    for _ in range(100):
        with contextlib.suppress(RuntimeError):  # another thread has just opened a run
            return list(watched)
    return []


def watch_run(run: OpenRun) -> None:
    """Take care of a run until it is forgotten; nothing that is done to it may mind a second time."""
    _runs.add(run)


def watch_pipeline(pipeline: OpenPipeline) -> None:
    """Take care of a pipeline until it is forgotten; nothing that is done to it may mind a second time."""
    _pipelines.add(pipeline)
    if threading.current_thread() is threading.main_thread():  # only there can handlers be set
        for number in SIGNALS:
            if signal.getsignal(number) is signal.SIG_DFL:
                signal.signal(number, _end_by_signal)


def _end_by_signal(number: int, _frame: FrameType | None) -> None:
    """Write everything, then end by the signal as if there were no handler."""
    for run in _members(_runs):
        run.note_failure()
    pipelines = _members(_pipelines)
    for pipeline in pipelines:
        pipeline.stop_soon()
    deadline = monotonic() + EXIT_TIMEOUT
    for pipeline in pipelines:
        pipeline.join(max(0.0, deadline - monotonic()))
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)


@atexit.register
def _close_all() -> None:
    failed = getattr(sys, "last_value", None) is not None  # set by the interpreter for an exception that nobody caught
    for run in _members(_runs):
        run.close(success=not failed)
    for pipeline in _members(_pipelines):
        pipeline.close()


def close_remote_early() -> None:
    """Close runs on URLs, from now on, before the interpreter ends its thread pools at the end of the program.

    Clients of object stores look up hosts in such pools, which take nothing more when `atexit` has its turn.
    """
    global _early  # noqa: PLW0603
    register = getattr(threading, "_register_atexit", None)  # of CPython 3.9 and later, for concurrent.futures
    if register is not None and not _early:
        import concurrent.futures.thread  # noqa: F401  # what is registered later is called earlier

        with contextlib.suppress(RuntimeError):  # the program is ending
            register(_close_remote)
        _early = True


_early = False


def _close_remote() -> None:
    if _others_work():  # and may log; `_close_all` comes when they have ended, and what it cannot upload waits in the spool
        return
    failed = getattr(sys, "last_value", None) is not None
    for run in _members(_runs):
        if getattr(run, "url", None) is not None:
            run.close(success=not failed)
    for pipeline in _members(_pipelines):
        if pipeline.ending:  # of a run that was forgotten
            pipeline.join()


def _others_work() -> bool:
    """Tell whether a thread is alive that the interpreter waits for, beside those of thread and process pools, which it ends."""
    import concurrent.futures.thread as pools

    ended_by_it = {threading.main_thread(), threading.current_thread(), *getattr(pools, "_threads_queues", ())}
    rest = set(threading.enumerate()) - ended_by_it
    return any(not thread.daemon and type(thread).__name__ != "_ExecutorManagerThread" for thread in rest)


def _hold_signals() -> None:
    """Let signals wait while the process forks: Python forgets those that reach the child before its first own instruction."""
    _held.masks = [*getattr(_held, "masks", ()), signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)]


def _release_signals() -> None:
    signal.pthread_sigmask(signal.SIG_SETMASK, _held.masks.pop())


def _abandon_all() -> None:
    """Let go in a forked child; it dies of signals as it would without us, also while it computes in C."""
    for run in _members(_runs):
        run.abandon()
    for pipeline in _members(_pipelines):
        pipeline.abandon()
    _pipelines.clear()
    for number in SIGNALS:
        if signal.getsignal(number) is _end_by_signal:
            signal.signal(number, signal.SIG_DFL)


def _begin_child() -> None:
    _abandon_all()
    _release_signals()


_held: Final = threading.local()
os.register_at_fork(before=_hold_signals, after_in_parent=_release_signals, after_in_child=_begin_child)
