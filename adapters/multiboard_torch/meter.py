"""Where the time of a training goes, by the clock of the host: per update, waiting for data, examples per second.

No device is waited for. A loop that launches kernels runs ahead of the device only until the queue is full or something is read
back, so that the mean over many updates is the time that one takes, although a single step may look shorter or longer.
A step costs a few microseconds.
"""

from __future__ import annotations

from contextlib import contextmanager
from time import perf_counter
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch

from multiboard import tags
from multiboard.arguments import check_positive, check_run, check_start_step
from multiboard.errors import ArgumentError, MultiboardError
from multiboard_torch.memory import memory_stats

if TYPE_CHECKING:
    from collections.abc import Iterator

    from multiboard.run import Run


class StepCounter(Protocol):
    """What counts updates, e.g. a `Watch`."""

    @property
    def step(self) -> int:
        """The global step of the next update."""


class Meter:
    """Measures the steps of a training loop and writes their means at every n-th update.

    Written are `perf/step_ms`, `perf/examples_per_s` (of this process; only if the examples of all steps are known) and, if
    `waiting` is used, `perf/input_wait_ms` and `perf/input_share` (0 to 1), each over all updates since the last writing, at the
    step of the last of them. The first update, which compiles and warms up, is in no mean: it is `perf/first_step_ms`, or left
    out if nothing was called before its end. What goes wrong is counted by the run and said once.

    Args:
        run: the run to write to; None writes nothing, for processes of a distributed training that only take part.
        every: updates from one writing to the next, at least 1.
        start_step: number of updates made before, when a training is resumed; not used with `watching`.
        watching: what counts the updates, the handle of `watch`: `step` may then be called after every batch, also if several
            batches make one update. Without it every call of `step` is one update.
        memory: write `memory_stats` as well.

    Raises:
        ArgumentError: an argument is not one of the possible ones.

    Example:
        >>> import tempfile, multiboard as mb
        >>> with mb.Run(tempfile.mkdtemp()) as run:
        ...     meter = Meter(run, every=10)
        ...     batches = iter([[1.0, 2.0]] * 20)
        ...     for _ in range(20):
        ...         with meter.waiting():
        ...             batch = next(batches)
        ...         meter.step(examples=len(batch))
    """

    def __init__(
        self,
        run: Run | None,
        *,
        every: int = 10,
        start_step: int = 0,
        watching: StepCounter | None = None,
        memory: bool = True,
    ) -> None:
        self._run = None if run is None else check_run(run)
        self._every = check_positive("every", every)
        self._calls = Calls(check_start_step(start_step))
        self._counter = self._calls if watching is None else check_watching(watching)
        self._memory = check_flag("memory", memory)
        self._waiting = _Waiting()
        self._window = _Window()
        self._began: float | None = None
        self._seen = self._counter.step
        self._first = True
        self._pauses = 0

    def start(self) -> None:
        """Begin a step now: what has passed since the last one, e.g. between two epochs, is left out."""
        self._waiting.seconds = 0.0
        self._seen = self._counter.step
        self._began = perf_counter()

    def waiting(self) -> _Waiting:
        """Return a context manager for the part of a step that waits for its data."""
        if self._began is None:
            self.start()
        self._waiting.used = True
        return self._waiting

    def step(self, examples: float | None = None) -> None:
        """End a step; the next one begins.

        Args:
            examples: number of examples in it, on this process; None if it is not known.
        """
        now = perf_counter()
        self._calls.step += 1
        if self._pauses:
            return
        began, self._began = self._began, now
        if began is None:
            self._skip_step()
            return
        window, waiting = self._window, self._waiting
        window.seconds += now - began
        window.waited += waiting.seconds
        waiting.seconds = 0.0
        self._add_examples(examples)
        done = self._counter.step
        window.updates += done - self._seen
        self._seen = done
        if window.updates >= (1 if self._first else self._every):
            self.write()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Leave out what happens inside, e.g. an evaluation or a checkpoint in the middle of an epoch, and updates made in it."""
        elapsed = None if self._began is None else perf_counter() - self._began
        waited, pending = self._waiting.seconds, self._counter.step - self._seen
        self._pauses += 1
        try:
            yield
        finally:
            self._pauses -= 1
            self._waiting.seconds, self._seen = waited, self._counter.step - pending
            self._began = None if elapsed is None else perf_counter() - elapsed

    def write(self) -> None:
        """Write the means of the updates since the last writing now, e.g. at the end; nothing if there were none."""
        if self._window.updates <= 0:
            return
        window, self._window = self._window, _Window()
        first, self._first = self._first, False
        try:
            if self._run is not None:
                values = window.first_step() if first else window.means(with_input=self._waiting.used)
                self._run.log(values | (memory_stats() if self._memory else {}), self._seen - 1)
        except Exception as error:  # noqa: BLE001  # nothing of ours may end a training
            kind = type(error).__name__
            cause = f"{kind} {getattr(error, 'tag', '')}".strip() if isinstance(error, MultiboardError) else f"meter {kind}"
            self._report(cause, f"the step times at step {self._seen - 1} were left out: {kind}: {error}")

    def _skip_step(self) -> None:
        """Begin to measure after the first update, whose own beginning is not known."""
        if self._counter.step == self._seen:
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


class _Waiting:
    """A stopwatch as a context manager; nested, the outermost counts.

    Attributes:
        seconds: waited in this step so far.
        used: whether anybody asked for it.
    """

    def __init__(self) -> None:
        self.seconds = 0.0
        self.used = False
        self._depth = 0
        self._began = 0.0

    def __enter__(self) -> None:
        self._depth += 1
        if self._depth == 1:
            self._began = perf_counter()

    def __exit__(self, *_: object) -> None:
        self._depth -= 1
        if self._depth == 0:
            self.seconds += perf_counter() - self._began


class _Window:
    """Sums over the steps since the last writing."""

    __slots__ = ("all_counted", "examples", "seconds", "updates", "waited")

    def __init__(self) -> None:
        self.updates = 0
        self.seconds = self.waited = 0.0
        self.examples: float = 0
        self.all_counted = True

    def first_step(self) -> dict[str, float]:
        return {tags.FIRST_STEP_MS: 1000 * self.seconds / self.updates}

    def means(self, *, with_input: bool) -> dict[str, float]:
        means = {tags.STEP_MS: 1000 * self.seconds / self.updates}
        if with_input:
            means[tags.INPUT_WAIT_MS] = 1000 * self.waited / self.updates
            means[tags.INPUT_SHARE] = self.waited / self.seconds
        if self.all_counted:
            means[tags.EXAMPLES_PER_S] = self.examples / self.seconds
        return means


def check_watching(watching: Any) -> StepCounter:
    """Return what counts the updates, or raise ArgumentError if it does not."""
    step = getattr(watching, "step", None)
    if isinstance(step, bool) or not isinstance(step, int):
        raise ArgumentError("watching", watching, "pass the handle that mbt.watch(model, optimizer, run) returns")
    counter: StepCounter = watching
    return counter


def check_flag(name: str, value: object) -> bool:
    """Return a bool, or raise ArgumentError."""
    if not isinstance(value, bool):
        raise ArgumentError(name, value, "pass True or False")
    return value


def _number(value: Any) -> float | None:
    """Return a number that is on the host; None for everything else, also for a tensor on a device, which would be waited for."""
    if isinstance(value, (int, float, np.number)):
        return float(value)
    on_host = isinstance(value, torch.Tensor) and value.device.type == "cpu" and value.numel() == 1
    return float(value.item()) if on_host else None
