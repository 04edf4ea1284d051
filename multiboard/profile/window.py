"""Which windows of steps are profiled, and what is to be done at a step. Knows no framework, no clock and no thread."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from multiboard.profile.schedule import Schedule

NEVER: Final = sys.maxsize
ALWAYS: Final = -sys.maxsize
_PUT_OFF: Final = 10
"""Times its warm-up that a window waits at most for a training that compiles again and again."""
WAITING, WARMING_UP, OPEN = "waiting", "warming up", "open"
PREPARE, START, MARK, CLOSE = "prepare", "start", "mark", "close"


class Windows:
    """The windows of one training.

    A step that a caller never names is passed over: a window begins at the first step that is named from its start on, and ends
    with the first one that is its length further. Once begun, it is closed by a step that is before the last one, but for the one
    right before: of two parts of a training that both count its updates, one is behind the other for a moment.

    A window that begins before the first step ever is not made up for: the process before this one had it.

    Args:
        schedule: of the windows.
        max_seconds: after which a window is closed at the next step; it has one step at least.

    Attributes:
        state: WAITING, WARMING_UP or OPEN.
        next_step: the first step at which there is something to do; ALWAYS while every step matters, NEVER when all is over.
        first: the first step of the window that is open, or was last.
        last: the last step that was marked in it.
        seen: the largest step so far; None before the first one.
        steps: of the next window; may be set to less than the schedule says.
        why: why the last window was closed before its end, as a part of a sentence; empty if it was not.
        done: number of windows that have begun.
        demanded: whether a window opens at the next step.
        between: whether the last step of an open window has ended, and the next one does not begin yet.
    """

    def __init__(self, schedule: Schedule, max_seconds: float) -> None:
        self.state = WAITING
        self.steps = schedule.steps
        self.first = self.last = 0
        self.seen: int | None = None
        self.why = ""
        self.done = 0
        self._schedule, self._max_seconds = schedule, max_seconds
        self._planned: int | None = schedule.start
        self._warm_from = 0  # the step before which nothing has warmed up
        self._left: int | None = schedule.repeat or None
        self._opened = 0.0
        self._sure = 0
        self.demanded = self._compiled = self._ending = self.between = False
        self.next_step = NEVER if schedule.start is None else ALWAYS

    @property
    def coming(self) -> int | None:
        """The step at which the next window of the schedule begins; None if there is none."""
        if self._planned is None:
            return None
        latest = self._planned + _PUT_OFF * self._schedule.warmup
        return max(self._planned, min(self._warm_from, latest))

    @property
    def is_guess(self) -> bool:
        """Whether the last step that was marked is only expected."""
        return self.state == OPEN and self.last > self._sure

    def demand(self) -> None:
        """Open a window at the next step, whatever the schedule says; nothing while one is open."""
        if self.state != OPEN:
            self.demanded = True
            self.next_step = ALWAYS

    def compiled(self) -> None:
        """Let a window that has not begun wait for as many steps as it warms up."""
        if self.state != OPEN and self._planned is not None:
            self._compiled = True
            self.next_step = ALWAYS

    def end_soon(self) -> None:
        """Close an open window at the next step."""
        self._ending = self.state == OPEN

    def reached(self, step: int, now: float, *, guessed: bool = False) -> tuple[str, ...]:
        """Return what is to be done at the beginning of a step: any of CLOSE, PREPARE, START and MARK, in this order.

        Args:
            step: the global step that begins now; the one before has ended.
            now: seconds of any steady clock.
            guessed: the caller only expects this number; the next one may be smaller.
        """
        if self.state == OPEN and self._stays_open(step, now):
            if step < self._sure:
                return ()
            marked = None if self.between else self.last
            self.last, self.between = step, False
            self._sure = self._sure if guessed else step
            return (MARK,) if step != marked else ()
        self._sure = step - 1 if guessed else step
        actions: tuple[str, ...] = ()
        if self.state == OPEN:
            actions = (CLOSE,)
            self.closed()
        if self.seen is None:
            self._skip_past_windows(step)
        if self.seen is None or self._compiled:
            self._warm_from, self._compiled = step + self._schedule.warmup, False
        self.seen = step if self.seen is None else max(step, self.seen)
        return actions + self._advance(step, now)

    def paused(self) -> None:
        """Take note that the last step is over and the next one does not begin yet."""
        self.between = True

    def cooled_down(self) -> None:
        """Take note that nothing warms up any more; the window may begin all the same."""
        self.state = WAITING
        self._set_next()

    def closed(self) -> None:
        """Forget the window that is open or warming up; the next one is that which the schedule has."""
        if self.state == WARMING_UP:
            self._pass_window(self.coming or 0)
        self.state = WAITING
        self._ending = False
        self._set_next()

    def _stays_open(self, step: int, now: float) -> bool:
        self.why = ""
        if self._ending:
            self.why = "it was asked to end"
        elif step < self._sure - 1:
            self.why = f"step {step} came after step {self._sure}"
        elif step < self.first + self.steps and now - self._opened > self._max_seconds:
            self.why = f"max_seconds={self._max_seconds:g} have passed"
        return not self.why and step < self.first + self.steps

    def _skip_past_windows(self, step: int) -> None:
        while self._planned is not None and self._planned < step:
            self._pass_window(self._planned)

    def _advance(self, step: int, now: float) -> tuple[str, ...]:
        coming = self.coming
        due = coming is not None and (step >= coming or (self.demanded and self.state == WARMING_UP))
        if due or self.demanded:
            if due:
                self._pass_window(step)
            self.demanded = False
            self.state, self.between = OPEN, False
            self.first = self.last = step
            self._opened = now
            self.done += 1
            self.next_step = ALWAYS
            return (START, MARK)
        if coming is not None and step >= coming - self._schedule.warmup:
            before, self.state = self.state, WARMING_UP
            self.next_step = ALWAYS
            return (PREPARE,) if before == WAITING else ()
        self._set_next()
        return ()

    def _pass_window(self, step: int) -> None:
        """Plan the next window behind a step."""
        every, planned = self._schedule.every, self._planned
        if self._left is not None:
            self._left -= 1
        if every is None or planned is None or self._left == 0:
            self._planned = None
        else:
            self._planned = planned + max(1, (step - planned) // every + 1) * every

    def _set_next(self) -> None:
        coming = self.coming
        if self.demanded:
            self.next_step = ALWAYS
        else:
            self.next_step = NEVER if coming is None else coming - self._schedule.warmup
