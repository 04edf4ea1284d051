"""What opens a window on demand: a slow step, a signal, a file."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import threading
import weakref
from collections import deque
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from multiboard.errors import ArgumentError

if TYPE_CHECKING:
    from types import FrameType

    from multiboard.profile.profiler import Profiler
    from multiboard.profile.schedule import Schedule

_RULE: Final = "pass e.g. 'slow>2x', a signal such as signal.SIGUSR1, the path of a file, or a list of them"
_SLOW: Final = re.compile(r"slow>(\d+(?:\.\d+)?)x")
_MEMORY: Final = 50
_ENOUGH: Final = 10
"""Steps that a median is taken of at least."""
_PAUSE: Final = 1000
"""Steps after a slow one in which no other opens a window, without `every`."""
_LOOK: Final = 1.0
"""Seconds between two looks for a file."""


class Demands(NamedTuple):
    """What opens windows.

    Attributes:
        factor: a step is slow if it takes so many times the median; None for no step.
        signals: numbers of signals.
        paths: of files.
    """

    factor: float | None
    signals: tuple[int, ...]
    paths: tuple[str, ...]


def check_trigger(value: object) -> Demands:
    """Return the argument `trigger` of a profiler.

    Raises:
        ArgumentError: it is something else.

    >>> check_trigger(["slow>1.5x", signal.SIGUSR1, "/tmp/profile"])
    Demands(factor=1.5, signals=(10,), paths=('/tmp/profile',))
    """
    factor, signals, paths = None, [], []
    for one in value if isinstance(value, (tuple, list)) else () if value is None else (value,):
        if isinstance(one, str) and (slow := _SLOW.fullmatch(one.replace(" ", ""))):
            factor = float(slow[1])
        elif isinstance(one, int) and not isinstance(one, bool) and one in _possible_signals():
            signals.append(int(one))
        elif isinstance(one, (str, os.PathLike)) and os.fspath(one) and not str(one).startswith("slow"):
            paths.append(str(Path(one).absolute()))
        else:
            raise ArgumentError("trigger", value, _RULE)
    if factor is not None and factor <= 1:
        raise ArgumentError("trigger", value, "a step is slow if it takes more than one times the median, e.g. 'slow>2x'")
    return Demands(factor, tuple(signals), tuple(paths))


def _possible_signals() -> set[int]:
    return {int(number) for number in signal.valid_signals()} - {signal.SIGKILL, signal.SIGSTOP}


def watch_triggers(demands: Demands, schedule: Schedule, profiler: Profiler) -> Triggers:
    """Begin to look out for what opens windows of a profiler, which is not kept alive by that."""
    demand = weakref.WeakMethod(profiler.demand)
    stops: list[Any] = []
    for number in demands.signals:
        try:
            stops.append(_Signal(number, demand))
        except ValueError:
            message = f"signal {number} opens no window: handlers of signals can be set in the main thread only."
            profiler.driver.report("profile trigger", message)
    stops += [_File(path, demand) for path in demands.paths]
    slow = None if demands.factor is None else SlowSteps(demands.factor, schedule.every or _PAUSE, schedule.repeat)
    triggers = Triggers(slow, stops)
    weakref.finalize(profiler, triggers.stop)
    return triggers


class Triggers:
    """What looks out for one profiler.

    Attributes:
        every_step: whether `slow` has to be called at every step.
    """

    def __init__(self, slow: SlowSteps | None, watches: list[Any]) -> None:
        self.every_step = slow is not None
        self._slow, self._watches = slow, watches

    def slow(self, step: int) -> bool:
        """Tell whether the step before this one, which begins now, was slow."""
        return self._slow is not None and self._slow.was_slow(step, perf_counter())

    def paused(self) -> None:
        """Take note that the next step begins only when it is named again."""
        if self._slow is not None:
            self._slow.paused()

    def stop(self) -> None:
        """Look out no more; a second call does nothing."""
        while self._watches:
            self._watches.pop().stop()


class SlowSteps:
    """Tells which steps take long.

    Args:
        factor: times the median of the last steps.
        pause: steps after a slow one in which no other counts.
        repeat: slow steps that count; 0 has no end.
    """

    def __init__(self, factor: float, pause: int, repeat: int) -> None:
        self._factor, self._pause = factor, pause
        self._left: int | None = repeat or None
        self._seconds: deque[float] = deque(maxlen=_MEMORY)
        self._before: tuple[int, float] | None = None
        self._quiet_until: int | None = None

    def was_slow(self, step: int, now: float) -> bool:
        """Tell whether the step before one that begins now took long; steps must come one after the other.

        A step that is named a second time has begun at the first: it waits for its data in between.
        """
        before = self._before
        if before is not None and step == before[0]:
            return False
        self._before = (step, now)
        if before is None or step != before[0] + 1:
            return False
        seconds = now - before[1]
        is_slow = len(self._seconds) >= _ENOUGH and seconds > self._factor * sorted(self._seconds)[len(self._seconds) // 2]
        self._seconds.append(seconds)
        is_quiet = self._left == 0 or (self._quiet_until is not None and step < self._quiet_until)
        if not is_slow or is_quiet:
            return False
        self._quiet_until = step + self._pause
        self._left = None if self._left is None else self._left - 1
        return True

    def paused(self) -> None:
        """Forget when the last step began."""
        self._before = None


class _Signal:
    """Opens a window at a signal, after whatever the program does with it.

    Raises:
        ValueError: this is not the main thread.
    """

    def __init__(self, number: int, demand: weakref.WeakMethod[Any]) -> None:
        self._number, self._demand = number, demand
        self._previous = signal.getsignal(number)
        self._handler = self._handle  # one object, to be recognised
        signal.signal(number, self._handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        demand = self._demand()
        if demand is not None:
            demand()
        if callable(self._previous):
            self._previous(number, frame)

    def stop(self) -> None:
        with contextlib.suppress(ValueError, TypeError):  # not in the main thread; the one before is not of Python
            if signal.getsignal(self._number) == self._handler:
                signal.signal(self._number, self._previous)


class _File:
    """Opens a window when a file appears, and deletes it."""

    def __init__(self, path: str, demand: weakref.WeakMethod[Any]) -> None:
        self._path, self._demand = Path(path), demand
        self._stopped = threading.Event()
        threading.Thread(target=self._look, name="multiboard-profile-trigger", daemon=True).start()

    def _look(self) -> None:
        while not self._stopped.wait(_LOOK) and self._demand() is not None:
            with contextlib.suppress(OSError):
                self._path.unlink()
                demand = self._demand()
                if demand is not None:
                    demand()

    def stop(self) -> None:
        self._stopped.set()
