"""What a fit tells the profiler that it drives: which steps begin and end, when it waits for a batch, and what its layers are.

The window itself is the core's (`multiboard.profile`), and what is traced in it is that of the backend: `profile_tensorflow.py`
here, `profile.py` of the other two adapters.
"""

from __future__ import annotations

import contextlib
import threading
import weakref
from typing import TYPE_CHECKING, Any, Final

from multiboard.errors import ArgumentError
from multiboard.profile.argument import check_profiler
from multiboard_keras.backend import BACKEND
from multiboard_keras.profile_layers import Layers
from multiboard_keras.times import count_compilations

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from multiboard.profile.profiler import Profiler
    from multiboard.run import Run
    from multiboard_keras.batches import Fit
    from multiboard_keras.options import Options
    from multiboard_keras.steps import Steps
    from multiboard_keras.train_function import TrainFunction

_last: Final = threading.local()
"""`driver`: the last one of this thread."""


def check_one_window(profiler: Any, batches: tuple[int, int] | None) -> Profiler | None:
    """Return a profiler, or None.

    Args:
        profiler: the argument of the callback.
        batches: what its `profile_batch` asks for.

    Raises:
        ArgumentError: it is no profiler, or there is one too many.
    """
    found = check_profiler(profiler)
    if found is not None and batches is not None:
        raise ArgumentError("profiler", profiler, f"pass either this or profile_batch={batches}, which makes one itself")
    return found


class Driver:
    """Drives a profiler in one fit; all methods are called on the training thread and raise nothing.

    Step n begins where step n - 1 has ended, and so with the wait for its batch; the first one of an epoch with the epoch. What
    is after the last batch of an epoch, e.g. validation, belongs to no step.

    Args:
        model: a compiled model.
        run: to which the profiler writes, unless it has one of its own.
        profiler: what is driven.
        function: the train function of the fit.
        own: whether the profiler ends with the fit.

    Attributes:
        profiler: what is driven. Nothing has to be called before its `next_step`.
        in_step: whether a step of a window is running.
    """

    def __init__(self, model: Any, run: Run, profiler: Profiler, function: TrainFunction, *, own: bool) -> None:
        self.profiler = profiler
        self._own = own
        self.in_step = False
        self._waiting: AbstractContextManager[Any] | None = None
        self._ranges: contextlib.ExitStack | None = None
        self._model = model
        self._compilations = None if model.run_eagerly else count_compilations(function.traces)
        self._compiled = 0 if self._compilations is None else self._compilations()
        layers = Layers(model, function.scopes)
        _end_last()
        _last.driver = weakref.ref(self)
        names = layers.path_of if BACKEND == "torch" else None
        profiler.attach(run, BACKEND, names=names, facts=layers.facts)

    def begins(self, step: int, *, waits: bool) -> None:
        """Tell that a step begins now, and the one before, if any, has ended.

        Args:
            step: its number.
            waits: whether Keras draws the batch next, and not the train function.
        """
        self._end_wait()
        if self._compilations is not None and self._compiled != (compiled := self._compilations()):
            self._compiled = compiled
            self.profiler.compiled()
        self.profiler.reached(step)
        self.in_step = self.profiler.open
        if self.in_step is (self._ranges is None):
            self._range_optimizers(begin=self.in_step)
        if waits:
            self.waits()

    def pauses(self, step: int) -> None:
        """Tell that the step before this one has ended, and that this one does not begin yet."""
        self._end_wait()
        self.in_step = False
        self.profiler.left(step)

    def waits(self) -> None:
        """Tell that Keras draws the next batch."""
        if self.in_step:
            self._end_wait()
            self._waiting = self.profiler.waiting()
            self._waiting.__enter__()

    def drawn(self) -> None:
        """Tell that Keras has drawn a batch."""
        self._end_wait()

    def end_fit(self) -> None:
        """End a window that is open; a second call does nothing."""
        self._end_wait()
        self.in_step = False
        self._range_optimizers(begin=False)
        if self._own:
            self.profiler.close()
        elif self.profiler.open:
            self.profiler.end()

    def _range_optimizers(self, *, begin: bool) -> None:
        """Begin or end to show the optimizers in the trace; on the other backends they are seen without help."""
        ranges, self._ranges = self._ranges, None
        if ranges is not None:
            ranges.close()
        if begin:
            self._ranges = contextlib.ExitStack()
            if BACKEND == "torch":
                from multiboard_keras.profile_torch import optimizer_ranges

                self._ranges.enter_context(optimizer_ranges(self._model))

    def _end_wait(self) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.__exit__(None, None, None)


def make_driver(model: Any, options: Options, fit: Fit, function: TrainFunction) -> Driver | None:
    """Return what drives the profiler of a fit; None if there is none.

    Args:
        model: a compiled model.
        options: of the callback.
        fit: what belongs to the fit.
        function: the train function of the fit.
    """
    run = fit.naming.run
    if options.profiler is not None:
        return Driver(model, run, options.profiler, function, own=False)
    if options.profiled is None:
        return None
    from multiboard.profile.profiler import Profiler

    first, last = steps_of(options.profiled, fit.steps, model.steps_per_execution, fit.params.get("steps"))
    profiler = Profiler(run, start=first, steps=last - first + 1, warmup=0, framework=BACKEND)
    return Driver(model, run, profiler, function, own=True)


def _end_last() -> None:
    """End the window that this thread has left open: its fit ended in an exception, for here the next one begins."""
    last = getattr(_last, "driver", None)
    driver = None if last is None else last()
    if driver is not None and driver.profiler.open:
        driver.end_fit()


def steps_of(batches: tuple[int, int], steps: Steps, per_call: int, per_epoch: int | None) -> tuple[int, int]:
    """Return the first and the last step of the batches of a profile.

    Args:
        batches: the first and the last one, counted from 1 in the fit.
        steps: of the fit, before its first batch.
        per_call: batches in a call of the train function, of which a window has whole ones.
        per_epoch: batches in an epoch; None if that is not known.

    >>> from multiboard_keras.steps import Steps
    >>> steps_of((3, 9), Steps(100), per_call=4, per_epoch=None)
    (100, 108)
    """
    first, last = batches[0] - 1, batches[1] - 1
    first -= (first % per_epoch if per_epoch else first) % per_call
    return steps.of(first)[0], steps.of(last)[0]
