"""`multiboard.Profiler`: what a user makes, and what adapters and loops call at every step."""

from __future__ import annotations

import os
import weakref
from functools import partial
from operator import index
from threading import get_ident
from typing import TYPE_CHECKING, Any, Final, Self

from multiboard.errors import ArgumentError, StepError
from multiboard.profile.capture import check_options
from multiboard.profile.conversions import check_conversions
from multiboard.profile.driver import Driver
from multiboard.profile.frameworks import check_frameworks, listen, loaded
from multiboard.profile.input import Input
from multiboard.profile.marks import OUTSIDE, Step, Wait
from multiboard.profile.place import place_of
from multiboard.profile.schedule import check_schedule, from_profile_batch, from_torch_schedule
from multiboard.profile.triggers import Triggers, check_trigger, watch_triggers
from multiboard.profile.window import ALWAYS, NEVER, OPEN
from multiboard.run import Run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from contextlib import AbstractContextManager
    from types import TracebackType

_profilers: Final[weakref.WeakSet[Profiler]] = weakref.WeakSet()


class Profiler:
    """Profiles some steps of a training with the profiler of its framework, as a session of XProf and numbers beside the curves.

    Each window of steps becomes `<log_dir>/plugins/profile/step_<first step>/<host>.xplane.pb`, and its summary is logged under
    `profile/...` at its first step. A step lasts from the end of the one before to its own end, with the wait for its data.

        prof = mb.Profiler(run, start=500)
        for n, batch in enumerate(prof.input(loader)):
            with prof.step(n):
                ...

    An adapter that counts steps drives it instead, e.g. `mbt.watch(..., profiler=prof)`. Outside of a window a step costs a tenth
    of a microsecond. At both ends of a window the training waits for the devices; at its end also until the profiler has stopped
    and saved what it has seen. All else is done later, in another process.

    Nothing that goes wrong with a profile reaches the training: the window is dropped, and the run says once why. A window that
    is open when a step raises, or when the run is closed, ends there and keeps what there is.

    Args:
        run: where the session and the summary go; the directory of a run gets only the session, e.g. on ranks other than 0;
            None is the run of the adapter that drives it.
        start: the first step of the first window, a global step counted from 0, which survives a resume. None has no window but
            those that `trigger` opens. A process that begins behind it takes the next window, see `every`.
        steps: of a window. XProf leaves out the first and the last step if there are more than five.
        warmup: steps before a window that the profiler runs already and throws away what it sees, and the least number of steps
            from the beginning of the program or a compilation to a window, which begins later otherwise, by ten times as many
            steps at most.
        every: steps from the beginning of one window to that of the next.
        repeat: number of windows; 0 has no end. None is one, or with `every` no end.
        level: 'light' has no shapes, stacks or memory; 'deep' has shapes and stacks, and slows the steps down several times.
        memory: also what is allocated.
        layers: also the layers that operations belong to.
        python: also the functions of Python, where the framework can.
        snapshot: put a snapshot of the memory of CUDA beside each session, with what was allocated where; without it there is one
            of what is allocated beside a session in which memory ran out.
        trigger: what opens a window, of all steps from the next one on: 'slow>2x' a step that took more than twice the median of
            the last 50 (at most once in `every` or 1000 steps, and `repeat` times), a signal, e.g. `signal.SIGUSR1`, the path of
            a file, which is deleted then; or several of them. A signal or a file opens as many windows as are asked for.
        max_seconds: a window ends with the step in which they are over.
        max_events: of a window: the windows after one with more have fewer steps, and of a trace of torch the rest is left out.
        keep: sessions of this run to keep, the newest ones; None keeps all.
        convert: 'background' makes the session in another process, 'now' at once, 'lazy' leaves the raw files in the session, for
            `multiboard profile convert`.
        keep_raw: also keep what the profiler of the framework has written, beside the session.
        framework: 'torch', 'jax' or 'tensorflow', or several, that with the device first; of others only the host is seen. None
            is that of the adapter that drives it, else the only one that the program has imported.
        names: the layer path of a module of the framework; None is what the adapter calls it.

    Raises:
        ArgumentError: an argument is not one of the possible ones.
    """

    def __init__(
        self,
        run: Run | str | os.PathLike[str] | None,
        *,
        start: int | None = 500,
        steps: int = 7,
        warmup: int = 2,
        every: int | None = None,
        repeat: int | None = None,
        level: str = "default",
        memory: bool = True,
        layers: bool = True,
        python: bool = False,
        snapshot: bool = False,
        trigger: Any = None,
        max_seconds: float = 60,
        max_events: int | None = 2_000_000,
        keep: int | None = 5,
        convert: str = "background",
        keep_raw: bool = False,
        framework: str | Sequence[str] | None = None,
        names: Callable[[object], str | None] | None = None,
    ) -> None:
        schedule = check_schedule(start, steps, warmup, every, repeat)
        triggers = check_trigger(trigger)
        options = check_options(level, memory=memory, layers=layers, python=python, snapshot=snapshot)
        if isinstance(max_seconds, bool) or not isinstance(max_seconds, (int, float)) or not max_seconds > 0:
            raise ArgumentError("max_seconds", max_seconds, "pass a number of seconds above 0")
        conversions = check_conversions(convert, max_events, keep, keep_raw=keep_raw)
        self.driver = Driver(schedule, float(max_seconds), options, check_frameworks(framework), conversions)
        self.driver.place, self.driver.names = place_of(run), names
        self._numbered = False
        self._before: int | None = None
        self._stride, self.waits = 1, 0
        self._triggers = Triggers(None, [])
        weakref.finalize(self, self.driver.finish)  # at the end of the program
        weakref.finalize(self, self.driver.forget).atexit = False  # the later one is called first
        _profilers.add(self)
        self._triggers = watch_triggers(triggers, schedule, self)
        self._hook(run)
        self.follow()
        listen(self.driver.frameworks or loaded())

    @classmethod
    def from_schedule(
        cls,
        run: Run | str | os.PathLike[str] | None,
        *,
        wait: int,
        warmup: int,
        active: int,
        repeat: int = 0,
        skip_first: int = 0,
        **rest: Any,
    ) -> Self:
        """Return a profiler with the windows of `torch.profiler.schedule`, at global steps.

        Args:
            run: as of the class, like `rest`.
            wait: steps before `warmup`, in every cycle.
            warmup: steps that are thrown away.
            active: steps of a window.
            repeat: number of cycles; 0 has no end.
            skip_first: steps before the first cycle.
            rest: other arguments of the class.

        Raises:
            ArgumentError: an argument is not one of the possible ones.
        """
        return cls(run, **from_torch_schedule(wait, warmup, active, repeat, skip_first)._asdict(), **rest)

    @classmethod
    def from_profile_batch(cls, run: Run | str | os.PathLike[str] | None, profile_batch: Any, **rest: Any) -> Self:
        """Return a profiler with the window of `profile_batch` as `keras.callbacks.TensorBoard` takes it.

        Args:
            run: as of the class, like `rest`.
            profile_batch: a batch, counted from 1, or the first and the last one, e.g. '500,520'; 0 profiles none.
            rest: other arguments of the class.

        Raises:
            ArgumentError: an argument is not one of the possible ones.
        """
        return cls(run, **from_profile_batch(profile_batch)._asdict(), **rest)

    # ------------------------------------------------------------------ for users

    @property
    def open(self) -> bool:
        """Whether steps are captured at the moment."""
        return self.driver.capture is not None and self.driver.windows.state == OPEN

    def step(self, n: int) -> AbstractContextManager[Any]:
        """Return a context manager for the work of a global step, counted from 0.

        Raises:
            StepError: the number of the first step is none; later this is reported.
        """
        try:
            if n < self._next_enter:
                return OUTSIDE  # type: ignore[no-any-return]
            step = Step(self, index(n))
        except TypeError:
            if not self._numbered:
                raise StepError(n) from None
        else:
            self._numbered = True
            return step
        self.driver.report("profile of a step", f"{StepError(n)} This step is not profiled.")
        return OUTSIDE  # type: ignore[no-any-return]

    def input(self, loader: Iterable[Any]) -> Input:
        """Return the batches of a loader, with the waits for them marked in windows.

        Raises:
            ArgumentError: it cannot be iterated.
        """
        return Input(loader, self)

    def end(self) -> None:
        """End an open window now and keep what there is; later ones come as planned."""
        self.driver.end("it was asked to end")
        self.follow()

    def close(self) -> None:
        """End an open window and keep what there is, wait for what is being converted, and open no more; a run's end does so."""
        self._triggers.stop()
        self.driver.finish()
        self.follow()

    def __reduce__(self) -> tuple[Callable[[], Profiler], tuple[()]]:
        return _idle, ()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    # ------------------------------------------------------------------ for adapters

    def attach(
        self,
        run: Run | str | os.PathLike[str] | None,
        framework: str,
        *,
        names: Callable[[object], str | None] | None = None,
        facts: Callable[[], Mapping[str, Any]] | None = None,
    ) -> None:
        """Say who drives it; what the user has said is not changed.

        Args:
            run: of the adapter.
            framework: of the adapter.
            names: returns the layer path of a module.
            facts: returns what the raw files of a window do not say, when it closes.
        """
        driver = self.driver
        if driver.place is None:
            driver.place = place_of(run)
            self._hook(run)
        driver.frameworks = driver.frameworks or check_frameworks(framework)
        driver.names = driver.names or names
        driver.facts = facts or driver.facts

    def reached(self, n: int) -> None:
        """Begin step n: the one before has ended. Raises nothing, and does nothing while `n < next_step`."""
        try:
            if n < self.next_step:
                return
        except TypeError:  # it is reported
            pass
        self._reach(n)

    def left(self, n: int) -> None:
        """Say that the step before n has ended, and n begins with `reached`: what is between, e.g. validation, is of no step."""
        self._triggers.paused()
        try:
            self.driver.left(n)
        except Exception as error:  # noqa: BLE001  # a profile may not end a training
            self.driver.report("profile of a step", f"step {n!r} is not profiled: {type(error).__name__}: {error}")
        self.follow()

    def ran_out(self) -> None:
        """Say that there are no more batches for now: a step that is only expected does not begin yet."""
        windows, capture = self.driver.windows, self.driver.capture
        if capture is not None and capture.thread == get_ident() and windows.is_guess and not windows.between:
            self.left(windows.last)

    @property
    def between(self) -> bool:
        """Whether the last step of an open window was left, and the next one is to begin with `reached`."""
        return self.open and self.driver.windows.between

    def compiled(self) -> None:
        """Let a window that has not begun wait for `warmup` more steps."""
        self.driver.windows.compiled()
        self.follow()

    def waiting(self) -> AbstractContextManager[Any]:
        """Return a context manager that marks a wait for input."""
        capture = self.driver.capture
        if capture is None or self.waits or capture.thread != get_ident() or not self.open:
            return OUTSIDE  # type: ignore[no-any-return]
        return Wait(self)

    # ------------------------------------------------------------------ inside

    def _reach(self, n: Any, *, guessed: bool = False) -> None:
        try:
            step = index(n)
            if not self.open and self._triggers.slow(step):
                self.driver.windows.demand()
            self.driver.reached(step, guessed=guessed)
        except Exception as error:  # noqa: BLE001  # a profile may not end a training
            self.driver.report("profile of a step", f"step {n!r} is not profiled: {type(error).__name__}: {error}")
        self.follow()

    def enter_step(self, n: Any) -> None:
        """Begin a step of `step`."""
        if self._before is not None and self._stride and n >= self._before:
            self._stride = n - self._before  # 0: several parts of one step, the last of which is not known
        self._before = n
        self._reach(n)

    def leave_step(self, n: Any, kind: type[BaseException] | None) -> None:
        """End a step of `step`; the next one begins, with the wait for its data."""
        if kind is not None:
            self.driver.end(f"{kind.__name__} was raised in step {n}", raised=True)
            self.follow()
        elif self._stride:
            self._reach(n + self._stride, guessed=True)

    def demand(self) -> None:
        """Open a window at the next step; takes no lock, for signal handlers and other threads."""
        self.driver.windows.demand()
        self.follow()

    def follow(self) -> None:
        """Take over the next step at which something has to be done."""
        step = self.driver.next_step
        if self._triggers.every_step and not self.driver.over:
            step = ALWAYS
        self.next_step = step
        self._next_enter = step if step in {ALWAYS, NEVER} else step - 1
        if self.driver.windows.demanded and self.driver.next_step == ALWAYS:  # a signal has come in between
            self.next_step = self._next_enter = ALWAYS
        if self.next_step != ALWAYS:  # the next steps are not seen
            self._before = None

    def _hook(self, run: object) -> None:
        if isinstance(run, Run):
            run.before_close(partial(_close_if_alive, weakref.WeakMethod(self.close)))

    def _abandon(self) -> None:
        """Let go in a forked child."""
        self.driver.abandon()
        self.next_step = self._next_enter = NEVER


def _idle() -> Profiler:
    """Return what a profiler becomes as a copy, e.g. in a worker that it is sent to: it has no windows."""
    return Profiler(None, start=None)


def _close_if_alive(close: weakref.WeakMethod[Callable[[], None]]) -> None:
    method = close()
    if method is not None:
        method()


def _abandon_all() -> None:
    for profiler in tuple(_profilers):
        profiler._abandon()  # noqa: SLF001  # of a parent process


os.register_at_fork(after_in_child=_abandon_all)
