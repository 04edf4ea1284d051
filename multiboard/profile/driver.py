"""Drives the windows of a training: starts and stops what captures them, and lets nothing that goes wrong reach the training."""

from __future__ import annotations

import os
import threading
from collections import Counter
from threading import get_ident
from time import monotonic
from typing import TYPE_CHECKING, Any

from multiboard.profile import owner
from multiboard.profile.capture import Capture
from multiboard.profile.conversions import Captured, captured_name
from multiboard.profile.frameworks import loaded
from multiboard.profile.window import CLOSE, NEVER, OPEN, PREPARE, START, Windows
from multiboard.reports import Reports

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from multiboard.profile.capture import Options
    from multiboard.profile.conversions import Conversions
    from multiboard.profile.place import Place
    from multiboard.profile.schedule import Schedule

PATIENCE = 60.0
"""Seconds that the end of a run waits for windows that are still being converted."""


class Driver:
    """The life of the windows of one profiler.

    Any thread may call; a window belongs to the thread that begins it, because torch.profiler does. What is called from another
    one meanwhile does nothing to it.

    Args:
        schedule: of the windows.
        max_seconds: of a window.
        options: what is captured.
        frameworks: whose tracers run, the main one first; empty for that of the adapter, or else the only one there is.
        conversions: finish what was captured.

    Attributes:
        windows: what is to be done when.
        capture: what runs, None outside of windows.
        place: where sessions go; None until it is known.
        frameworks: see the argument.
        names: see `Request`.
        facts: what an adapter adds to the raw files.
        over: whether nothing is captured any more.
    """

    def __init__(
        self,
        schedule: Schedule,
        max_seconds: float,
        options: Options,
        frameworks: tuple[str, ...],
        conversions: Conversions,
    ) -> None:
        self.windows = Windows(schedule, max_seconds)
        self.capture: Capture | None = None
        self.place: Place | None = None
        self.frameworks = frameworks
        self.names: Callable[[object], str | None] | None = None
        self.facts: Callable[[], Mapping[str, Any]] | None = None
        self._steps = schedule.steps
        self._options, self._conversions = options, conversions
        self._marked: list[int] = []
        self._void: list[int] = []  # marked, but left before anything was done
        self._of_parent: Capture | None = None
        self._process = os.getpid()
        self._finishing = self.over = False
        self._reports = Reports()
        self._inside = threading.RLock()  # the same thread gets in again from a signal handler, and is turned away
        self._inside_thread = 0

    @property
    def next_step(self) -> int:
        """The first step at which `reached` has anything to do."""
        return NEVER if self.over else self.windows.next_step

    def report(self, cause: str, message: str) -> None:
        """Say what went wrong where the windows go."""
        (self._reports.add if self.place is None else self.place.report)(cause, message)

    # ------------------------------------------------------------------ steps

    def reached(self, step: int, *, guessed: bool = False) -> None:
        """Begin a step; see `Windows.reached`. Raises nothing of a profiler."""
        if not self._enter():
            return
        try:
            for action in self.windows.reached(step, monotonic(), guessed=guessed):
                self._do(action, step)
        finally:
            self._leave()

    def left(self, step: int) -> None:
        """End the step before `step`, which does not begin yet, and with the last step the window; see `Profiler.left`.

        A marker that `step` has already got is taken back, e.g. that of a batch that was waited for at the end of the data.
        """
        if self.windows.state == OPEN and step >= self.windows.first + self.windows.steps:
            self.reached(step)
        if self.windows.state != OPEN or not self._enter():
            return
        try:
            if not self.windows.between and self._marked[-1:] == [step]:
                self._void.append(step)
            self.windows.paused()
            self.guard(self._running().pause)
        finally:
            self._leave()

    def end(self, reason: str, *, raised: bool = False) -> None:
        """Close a window that is open now and keep what there is, if a step has ended; stop what warms up, to begin again later.

        Args:
            reason: said of a window that is not at its end.
            raised: the step has ended in an exception, and is kept even if it is the only one.
        """
        if not self._enter(ends=True):
            return
        try:
            finished = self.windows.between
            if self.windows.state == OPEN and not (raised or finished) and len(set(self._marked)) == 1:
                self._give_up(f"{reason} before this step had ended")
            elif self.windows.state == OPEN and self.capture is not None:
                self.windows.why = reason
                self.windows.closed()
                self._close(finished=finished)
            elif self.capture is not None:
                self.windows.cooled_down()
                self._throw_away()
        finally:
            self._leave()

    def guard(self, action: Callable[[], Any]) -> Any:
        """Call the capture of an open window; if that raises, the window is over, and None is returned."""
        try:
            return action()
        except Exception as error:  # noqa: BLE001  # a profile may not end a training
            self._give_up(f"{type(error).__name__}: {error}", cause=f"profile {type(error).__name__}")
        except BaseException:
            self._give_up("")
            raise
        return None

    def finish(self) -> None:
        """Close what is open, let nothing begin any more, and wait for what is being converted; a second call does nothing."""
        if self.over or self._finishing or os.getpid() != self._process:
            return
        self._say_what_is_missing()
        self.end("it was closed")
        self._finishing = True
        self.over = self.capture is None  # else its thread closes it yet
        if not self._conversions.wait(PATIENCE):
            self.report("profile late", f"a profile was not converted within {PATIENCE:g} s; its summary is not logged.")

    def forget(self) -> None:
        """Close like `finish`, because nobody names a step any more; the window of a thread that goes on is thrown away."""
        if not self.over and self.capture is not None and _is_of_another(self.capture.thread):
            self._give_up("its profiler was deleted in another thread")
        self.finish()

    def abandon(self) -> None:
        """Let go in a forked child: the profiler is that of the parent."""
        self.over = True
        self._of_parent, self.capture = self.capture, None  # not collected, which might stop something

    # ------------------------------------------------------------------ inside

    def _enter(self, *, ends: bool = False) -> bool:
        """Tell whether this thread may act: no other one is inside, and an open window is its own.

        Args:
            ends: if it is that of another thread, it ends at the next step there.
        """
        if self.over or os.getpid() != self._process or self._inside_thread == get_ident():
            return False
        if not self._inside.acquire(timeout=PATIENCE if self.capture is None else 0):
            return False
        self._inside_thread = get_ident()
        if self.capture is None or not _is_of_another(self.capture.thread):
            return True
        if ends:
            self.windows.end_soon()
        self.report("profile in another thread", "a window is open in another thread: it goes on and ends with the steps there.")
        self._leave()
        return False

    def _leave(self) -> None:
        self.over = self.over or (self._finishing and self.capture is None)
        self._inside_thread = 0
        self._inside.release()

    def _do(self, action: str, step: int) -> None:
        if action == CLOSE:
            self._close(finished=self.windows.between or step > self._marked[-1])
        elif action == PREPARE:
            if self._begin():
                self.guard(self._running().prepare)
        elif action == START:
            self._marked, self._void = [], []
            if self.capture is not None or self._begin():
                self.guard(self._running().start)
        elif self.capture is not None:
            self._marked.append(step)
            self.guard(lambda: self._running().step(step))

    def _running(self) -> Capture:
        if self.capture is None:
            raise RuntimeError("no window is open")
        return self.capture

    def _begin(self) -> bool:
        """Become the owner of the process and make the tracers; tell whether that went well."""
        self._bound_steps()
        if self.place is None:
            self._give_up("it is not known where it goes: pass a run, or let an adapter drive it")
            return False
        held_by = owner.claim(self, f"the profiler of {self.place.log_dir!r}")
        if held_by is not None:
            self._give_up(f"{held_by} captures a window of its own now")
            return False
        frameworks = self.frameworks or loaded()
        if not self.frameworks and len(frameworks) != 1:
            known = " and ".join(frameworks) if frameworks else "no framework"
            self._give_up(f"this program has imported {known}; pass framework= that of the training")
            return False
        place = self.place
        self.capture = self.guard(lambda: Capture(frameworks, self._options, self.names, place.report))
        return self.capture is not None

    def _bound_steps(self) -> None:
        """Let the window have as many steps as its events allow, as far as the one before tells."""
        expected, most = self._conversions.events_per_step, self._conversions.max_events
        if most is None or not expected:
            return
        self.windows.steps = min(self._steps, max(1, int(most / expected)))
        if self.windows.steps < self._steps:
            message = f"a step has {expected:.0f} events: a window gets {self.windows.steps} steps instead of {self._steps}"
            self.report("profile max_events", f"{message}, because of max_events={most}.")

    def _close(self, *, finished: bool = True) -> None:
        """Stop, and hand on what there is; `windows` is already at the next window.

        Args:
            finished: whether the last step that was marked has ended.
        """
        capture, self.capture = self.capture, None
        if capture is None or self.place is None:
            return
        facts: dict[str, Any] = {}
        done = Counter(self._marked)
        done.subtract(self._void)
        steps = sorted(+done) or sorted(set(self._marked))
        unfinished = self._void + [steps.pop() for _ in range(not finished and len(steps) > 1)]
        if unfinished:
            facts["unfinished"] = unfinished
        first, last = steps[0], steps[-1]
        try:
            raws = capture.stop({**facts, **self._facts_of_adapter()})
        except BaseException as error:
            capture.abort()
            if not isinstance(error, Exception):
                raise
            kind = type(error).__name__
            self.report(f"profile {kind}", f"{captured_name(first, last)} is lost: {kind}: {error}")
            return
        finally:
            owner.release(self)
        why, captured = self.windows.why, Captured(raws, capture.folder, first, last, len(steps))
        self._conversions.submit(captured, self.place)
        for note in [note for raw in raws for note in raw.facts.get("notes", ())]:  # a warning may be an error
            self.report(f"profile: {note}", f"{captured.name}: {note}.")
        if why:
            self.report("profile ended early", f"{captured.name} ended early: {why}.")

    def _facts_of_adapter(self) -> Mapping[str, Any]:
        try:
            return {} if self.facts is None else self.facts()
        except Exception as error:  # noqa: BLE001  # the profile is worth more than what is said of it
            self.report("profile facts", f"what the adapter knows of a profile is left out: {type(error).__name__}: {error}")
            return {}

    def _give_up(self, reason: str, *, cause: str = "profile skipped") -> None:
        """Throw away what is captured; the next window of the schedule comes as if nothing had been."""
        windows = self.windows
        first = windows.first if windows.state == OPEN or windows.coming is None else windows.coming
        windows.closed()
        self._throw_away()
        if reason:
            self.report(cause, f"there is no profile from step {first} on: {reason}")

    def _throw_away(self) -> None:
        capture, self.capture = self.capture, None
        if capture is not None:
            capture.abort()
        owner.release(self)

    def _say_what_is_missing(self) -> None:
        coming, seen = self.windows.coming, self.windows.seen
        if self.windows.done == 0 and coming is not None and seen is not None:
            self.report("profile missing", f"there is no profile: the training ended before step {coming}.")


def _is_of_another(thread: int) -> bool:
    """Tell whether a thread is another one that still lives."""
    return thread != get_ident() and any(alive.ident == thread for alive in threading.enumerate())
