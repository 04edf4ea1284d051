"""The thread that reads the sources for all runs of a process, and the means that it writes."""

from __future__ import annotations

import os
import threading
import weakref
from queue import Empty, SimpleQueue
from time import monotonic
from typing import TYPE_CHECKING, Final

from multiboard.errors import ArgumentError, MissingFrameworkError, cause_of
from multiboard.forks import ForkableLock
from multiboard.system.sources import find_sources, left_out

if TYPE_CHECKING:
    from collections.abc import Mapping

    from multiboard.run import Run
    from multiboard.system.sources import Source

EVERY: Final = 10.0
"""Seconds from one reading to the next."""
_SHORTEST: Final = 0.1
_LONGEST: Final = 86400.0
_TOO_SOON: Final = 0.02
"""Seconds since the last reading within which another one would tell of nothing but itself."""
_PATIENCE: Final = 1.0
"""Seconds that the end of a run waits for its last reading: a source may hang, e.g. in a network disk or a driver."""


def watch(run: Run, every: float = EVERY) -> None:
    """Write system metrics of this process and its machine into a run until it is closed; see `multiboard.system` for the tags.

    Args:
        run: to write to; one that this process does not write stays without.
        every: seconds from one reading to the next, 0.1 to 86400.

    Raises:
        ArgumentError: `every` is no such number.
        MissingFrameworkError: psutil is not installed.
    """
    number = isinstance(every, (int, float)) and not isinstance(every, bool)
    if not number or not _SHORTEST <= every <= _LONGEST:
        raise ArgumentError("system", every, "use True, or the seconds from one reading to the next, 0.1 to 86400")
    if not run.writes:
        return
    try:
        sources = find_sources(run.log_dir, run.report)
    except ImportError as error:
        raise MissingFrameworkError("mb.Run(system=...)", "psutil", "system") from error
    watched = Watched(run, float(every), sources)
    run.before_close(watched.finish)
    _sampler.add(watched)


class Watched:
    """The metrics of one run.

    Args:
        run: is not kept alive.
        every: seconds from one reading to the next.
        sources: which have begun to count.
    """

    def __init__(self, run: Run, every: float, sources: list[Source]) -> None:
        self._run, self._every, self._sources = weakref.ref(run), every, sources
        self._means = Means()
        self._step: int | None = None
        self._read_at = monotonic()
        self._due = self._read_at + every
        self._ends, self._ended = False, threading.Event()

    @property
    def due(self) -> float:
        """When the next reading is due, on the clock of `monotonic`."""
        return 0.0 if self._ends else self._due

    def sample(self) -> bool:
        """Read all sources and write the means if the run has taken a step since; tell whether the run goes on."""
        ends, run = self._ends, self._run()
        if run is not None and not run.closed:
            self._read(run)
            if not run.closed:  # its end has not waited for a source that hung
                self._write(run)
            self._due = max(self._due + self._every, monotonic())
        if run is None or run.closed or ends:
            self._ended.set()
            return False
        return True

    def finish(self) -> None:
        """Let the thread read and write for the last time; wait for it no longer than a moment."""
        self._ends = True
        _sampler.wake()
        self._ended.wait(_PATIENCE)
        _sampler.remove(self)

    def _read(self, run: Run) -> None:
        now = monotonic()
        if now - self._read_at < _TOO_SOON:
            return
        for source in tuple(self._sources):
            try:
                self._means.add(source.read(), now - self._read_at)
            except Exception as error:  # noqa: BLE001  # a driver or a file system fails in its own ways
                self._sources.remove(source)
                run.report(f"system {source.name}", left_out(source.name, error))
        self._read_at = now

    def _write(self, run: Run) -> None:
        step = run.last_step
        if step is None or (self._step is not None and step <= self._step) or not self._means:
            return
        self._step = step
        try:
            run.log(self._means.take(), step)
        except Exception as error:  # noqa: BLE001  # e.g. a tag that the user has taken for another kind, in the first step
            run.report(cause_of(error, "system"), f"system metrics of step {step} are left out: {error}")


class Means:
    """Means over time; false if there are none.

    >>> means = Means()
    >>> means.add({"a": 1.0}, 1), means.add({"a": 4.0}, 2)
    (None, None)
    >>> means.take(), means.take()
    ({'a': 3.0}, {})
    """

    def __init__(self) -> None:
        self._sums: dict[str, tuple[float, float]] = {}

    def add(self, numbers: Mapping[str, float], seconds: float) -> None:
        """Add numbers by tag that hold for so many seconds."""
        for tag, number in numbers.items():
            total, weight = self._sums.get(tag, (0.0, 0.0))
            self._sums[tag] = total + number * seconds, weight + seconds

    def take(self) -> dict[str, float]:
        """Return the means by tag and begin again."""
        sums, self._sums = self._sums, {}
        return {tag: total / weight for tag, (total, weight) in sums.items()}

    def __bool__(self) -> bool:
        return bool(self._sums)


class _Sampler:
    """The thread, which lives while there is something to watch; a forked child has none and watches nothing."""

    def __init__(self) -> None:
        self._lock = ForkableLock()
        self.forget()

    def forget(self) -> None:
        """Begin again in a forked child."""
        self._watched: list[Watched] = []
        self._wake: SimpleQueue[None] = SimpleQueue()
        self._runs = False

    def add(self, watched: Watched) -> None:
        """Watch one run more."""
        with self._lock.current:
            self._watched.append(watched)
            if not self._runs:
                threading.Thread(target=self._run, name="multiboard-system", daemon=True).start()
                self._runs = True
        self.wake()

    def remove(self, watched: Watched) -> None:
        """Watch one run less."""
        with self._lock.current:
            if watched in self._watched:
                self._watched.remove(watched)
        self.wake()

    def wake(self) -> None:
        """Let the thread look again at what is due."""
        self._wake.put(None)

    def _run(self) -> None:
        while watched := self._next():
            wait = watched.due - monotonic()
            try:
                self._wake.get(timeout=max(wait, 0.0))
            except Empty:
                if not watched.sample():
                    self.remove(watched)

    def _next(self) -> Watched | None:
        """Return the one that is due first; without any the thread ends."""
        with self._lock.current:
            self._runs = bool(self._watched)
            return min(self._watched, key=lambda watched: watched.due, default=None)


_sampler: Final = _Sampler()
os.register_at_fork(after_in_child=_sampler.forget)
