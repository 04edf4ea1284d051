"""Which updates are captured: every n-th, and fewer where captures would take more than their share of the time."""

from __future__ import annotations

from math import ceil
from time import perf_counter
from typing import TYPE_CHECKING

import torch

from multiboard.errors import ArgumentError

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    Agree: TypeAlias = Callable[[float, float], Callable[[], tuple[float, float]]]


class Spacing:
    """The plan of the captures of one watch.

    Args:
        every: updates from one capture to the next.
        overhead: share of the time that captures may take, between 0 and 1; None sets no limit.
        agree: begins to find, from the cost of a capture and the time of a step (in seconds), the largest cost and the shortest
            step among all processes, and returns a function that tells them; None in a job of one process.

    Attributes:
        share: the share of the time since the capture before that the last one has taken.
    """

    def __init__(self, every: int, overhead: float | None, agree: Agree | None = None) -> None:
        self._every, self._overhead, self._agree = every, overhead, agree
        self.share: float | None = None
        self._began, self._step = perf_counter(), 0
        self._captures = 0
        self._cost: float | None = None  # of the first capture nothing is said: it makes the buffers, and compiles kernels
        self._agreed: Callable[[], tuple[float, float]] | None = None
        self._next: int | None = None
        self._forced = False

    def force(self) -> None:
        """Make the next update due."""
        self._forced = True

    def give_up_forced(self) -> None:
        """Make no further update due, if the forced one could not be captured."""
        self._forced = False

    @property
    def limited(self) -> bool:
        """Whether there is a limit."""
        return self._overhead is not None

    def due(self, step: int, *, paused: bool) -> bool:
        """Tell whether an update is to be captured."""
        if self._forced or paused:
            return self._forced
        return step % self._every == 0 and (self._overhead is None or self._affordable(step))

    def captured(self, step: int, seconds: float) -> None:
        """Remember a capture and what it has cost the training thread."""
        self._forced = False
        now = perf_counter()
        passed = max(now - self._began, 1e-9)
        self.share = min(seconds / passed, 1.0)
        self._captures += 1
        if self._captures > 1:
            if self._agree is not None and self._overhead is not None:
                self._agreed = self._agree(seconds, passed / max(step - self._step, 1))
            self._cost = seconds
        self._began, self._step, self._next = now, step, None

    def _affordable(self, step: int) -> bool:
        if self._cost is None or self._overhead is None:
            return True
        if self._next is None:
            cost, step_seconds = self._cost, (perf_counter() - self._began) / max(step - self._step, 1)
            if self._agreed is not None:
                cost, step_seconds = self._agreed()
            self._next = self._step + ceil(cost / (self._overhead * max(step_seconds, 1e-9)))
        return step >= self._next


def check_overhead(overhead: object) -> float | None:
    """Return the share, or raise ArgumentError."""
    if overhead is None:
        return None
    if isinstance(overhead, bool) or not isinstance(overhead, (int, float)) or not 0 < overhead < 1:
        raise ArgumentError("overhead", overhead, "pass a share of the time between 0 and 1, e.g. 0.01, or None")
    return float(overhead)


class Stopwatch:
    """What captures cost: time on the training thread and, on CUDA, of the kernels they enqueue."""

    def __init__(self) -> None:
        self._seconds = 0.0
        self._events: list[tuple[torch.cuda.Event, torch.cuda.Event]] = []

    def measure(self, action: Callable[[], None], device: torch.device) -> None:
        """Do something and add what it costs."""
        began, start = perf_counter(), _event(device)
        try:
            action()
        finally:
            self._seconds += perf_counter() - began
            if start is not None:
                end = _event(device)
                self._events += [(start, end)] if end is not None else []

    def add(self, seconds: float) -> None:
        """Add time that was measured elsewhere."""
        self._seconds += seconds

    def take(self) -> float:
        """Return the seconds since the last call; kernels that have not finished yet count next time."""
        done = [pair for pair in self._events if pair[1].query()]
        self._events = [pair for pair in self._events if pair not in done]
        seconds: float = max(self._seconds, sum(start.elapsed_time(end) for start, end in done) / 1000)
        self._seconds = 0.0
        return seconds


def _event(device: torch.device) -> torch.cuda.Event | None:
    if device.type != "cuda":
        return None
    event = torch.cuda.Event(enable_timing=True)
    event.record(torch.cuda.current_stream(device))
    return event
