"""Where the time of a training goes: per update, waiting for data, examples per second. The part that all adapters share.

No device is waited for that is still computing a step, and nothing here knows a framework: an adapter tells what counts
updates, which of them a device has finished, and what its memory holds. A step costs a few microseconds.
"""

from __future__ import annotations

from contextlib import contextmanager
from time import perf_counter
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from multiboard import tags
from multiboard.arguments import check_positive, check_run, check_start_step
from multiboard.arrays import framework_of
from multiboard.errors import ArgumentError, cause_of
from multiboard.protocols import is_pending
from multiboard.step_times import Counts, Stopwatch, Sums

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from multiboard.protocols import Pending
    from multiboard.run import Run


class StepCounter(Protocol):
    """What counts updates, e.g. the handle of a watch or a wrapped training step."""

    @property
    def step(self) -> int:
        """The global step of the next update."""


class Meter:
    """Measures the steps of a training loop and writes their means at every n-th update.

    The adapters' meters say what is written; this one does it.

    Args:
        run: the run to write to; None writes nothing.
        every: updates from one writing to the next, at least 1.
        start_step: number of updates made before; not used with `watching`.
        watching: what counts the updates. Without it every call of `step` is one update.
        finished: what counts the updates that are over, if they end later than `watching` counts them.
        compilations: returns how many programs were compiled so far. A step in which that grows is in no mean, but
            a `perf/first_step_ms` of its own.
        memory: returns scalars by tag that are written along.
        rate: write `perf/steps_per_s` as well.

    Raises:
        ArgumentError: an argument is not one of the possible ones.
    """

    def __init__(
        self,
        run: Run | None,
        *,
        every: int = 10,
        start_step: int = 0,
        watching: StepCounter | None = None,
        finished: StepCounter | None = None,
        compilations: Callable[[], int] | None = None,
        memory: Callable[[], Mapping[str, float]] | None = None,
        rate: bool = False,
    ) -> None:
        self._run = None if run is None else check_run(run)
        self._every = check_positive("every", every)
        self._calls = Calls(check_start_step(start_step))
        self._counter = self._calls if watching is None else watching
        self._finished = self._counter if finished is None else finished
        self._compilations, self._memory, self._rate = compilations, memory, rate
        self._waiting = Stopwatch()
        self._window = Sums()
        self._began: float | None = None
        self._seen = self._counts()
        self._first = True
        self._pauses = 0

    def start(self) -> None:
        """Begin a step now: what has passed since the last one, e.g. between two epochs, is left out."""
        self._waiting.seconds = 0.0
        self._seen = self._counts()
        self._began = perf_counter()

    def waiting(self) -> Stopwatch:
        """Return a context manager for the part of a step that waits for its data."""
        if self._began is None:
            self.start()
        self._waiting.used = True
        return self._waiting

    def step(self, examples: float | Pending[float] | None = None) -> None:
        """End a step; the next one begins.

        Args:
            examples: number of examples in it, on this process; the writer reads one that is pending; None if it is not known.
        """
        now = perf_counter()
        self._calls.step += 1
        if self._pauses:
            return
        began, self._began = self._began, now
        if began is None:
            self._skip_step()
            return
        seen, self._seen = self._seen, self._counts()
        waited, self._waiting.seconds = self._waiting.seconds, 0.0
        if self._seen.compiled != seen.compiled:
            self._write_apart(now - began)
            return
        window = self._window
        window.seconds += now - began
        window.waited += waited
        window.begun += self._seen.begun - seen.begun
        window.updates += self._seen.finished - seen.finished
        self._add_examples(examples)
        if window.updates >= (1 if self._first else self._every):
            self.write()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Leave out what happens inside, e.g. an evaluation or a checkpoint in the middle of an epoch, and updates made in it."""
        elapsed = None if self._began is None else perf_counter() - self._began
        waited, pending = self._waiting.seconds, self._counts().beyond(self._seen)
        self._pauses += 1
        try:
            yield
        finally:
            self._pauses -= 1
            self._waiting.seconds, self._seen = waited, self._counts().beyond(pending)
            self._began = None if elapsed is None else perf_counter() - elapsed

    def write(self) -> None:
        """Write the means of the updates since the last writing now, e.g. at the end; nothing if there were none."""
        if self._window.updates <= 0:
            return
        window, self._window = self._window, Sums()
        first, self._first = self._first, False
        means = window.first_step() if first else window.means(with_input=self._waiting.used, with_rate=self._rate)
        self._log(means, self._seen.finished - 1)

    def _write_apart(self, seconds: float) -> None:
        self._first = False
        self._log({tags.FIRST_STEP_MS: 1000 * seconds}, self._seen.begun - 1)

    def _log(self, values: dict[str, Any], step: int) -> None:
        if self._run is None:
            return
        try:
            self._run.log(values | (dict(self._memory()) if self._memory is not None else {}), step)
        except Exception as error:  # noqa: BLE001  # nothing of ours may end a training
            message = f"the step times at step {step} were left out: {type(error).__name__}: {error}"
            self._report(cause_of(error, "meter"), message)

    def _counts(self) -> Counts:
        compiled = 0 if self._compilations is None else self._compilations()
        return Counts(self._counter.step, self._finished.step, compiled)

    def _skip_step(self) -> None:
        """Begin to measure after the first update, whose own beginning is not known."""
        if self._counter.step == self._seen.begun:
            self._began = None
        else:
            self._first = False
            self.start()

    def _add_examples(self, examples: Any) -> None:
        window = self._window
        if type(examples) is int:
            window.examples += examples
        elif examples is None:
            window.all_counted = False
        elif is_pending(examples):
            window.add_pending(examples)
        elif (number := _number(examples)) is not None:
            window.examples += number
        else:
            window.all_counted = False
            wrong = f"the number of examples of a step is a {type(examples).__name__}, which is no number on the host"
            self._report("examples of a step", f"{wrong}; pass e.g. len(labels), or {tags.EXAMPLES_PER_S} is left out.")

    def _report(self, cause: str, message: str) -> None:
        if self._run is not None:
            self._run.report(cause, message)


class Calls:
    """A step counter that is counted by hand."""

    def __init__(self, step: int) -> None:
        self.step = step


def check_counter(watching: Any, remedy: str) -> StepCounter:
    """Return what counts the updates, or raise ArgumentError with a remedy if it does not."""
    step = getattr(watching, "step", None)
    if isinstance(step, bool) or not isinstance(step, int):
        raise ArgumentError("watching", watching, remedy)
    counter: StepCounter = watching
    return counter


def _number(value: Any) -> float | None:
    """Return a number that is on the host; None for everything else, also for an array on a device, which would be waited for."""
    if isinstance(value, (int, float, np.number)):
        return float(value)
    on_host = framework_of(type(value)) == "torch" and value.device.type == "cpu" and value.numel() == 1
    return float(value.item()) if on_host else None
