"""The callback: what is logged when, and the life of its run."""

from __future__ import annotations

import contextlib
import sys
from time import time
from typing import TYPE_CHECKING, Any

import keras

from multiboard import tags
from multiboard.arguments import check_choices, check_log_dir, check_positive, check_run
from multiboard.errors import ArgumentError
from multiboard.run import Run
from multiboard.values import Capture
from multiboard_keras import statistics
from multiboard_keras.scalars import find_obstacle, is_scalar, iterations, last_learning_rate, split_logs
from multiboard_keras.steps import Steps
from multiboard_keras.train_function import Due, TrainFunction
from multiboard_keras.train_step import CAPTURE, METRICS, RATE, micro_batches

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from multiboard_keras.train_step import TrainStep


class TensorBoard(keras.callbacks.Callback):  # type: ignore[misc]  # Keras has no type information
    """Write metrics, learning rate and the distributions of parameters and gradients of a fit.

    Step n is the n-th optimizer step, from 0, and goes on over several calls of `fit`. Every tag and number means the same as
    with the other adapters of multiboard: `train/<metric>` of a batch is the metric of that batch alone, not Keras' mean since
    the start of the epoch; `val/<metric>` and `train/epoch` are at the step of the last update before them; captures hold
    `params/<layer>/<role>` before update n and `grads/<layer>/<role>` of update n, unscaled and before clipping, with
    `train/learning_rate`. Weights, History and printed logs are those of a fit without the callback.

    The callback replaces `model.train_function` from the beginning of `fit` to its end; the model can be saved at any time. A
    captured step runs in a program of its own, which JAX and TensorFlow compile at the first capture.

    With `steps_per_execution` above 1, PyTorch's `jit_compile=True`, Flax NNX variables or several replicas in TensorFlow,
    batches have Keras' running means instead and nothing is captured; the run says so once.

    Args:
        log_dir: the run directory, without `run`. Opened at the beginning of `fit` and closed at its end.
        run: an open run to write to; it stays open.
        every: take a capture at every step that this number divides.
        histogram_freq: take a capture at the first step of every epoch that this number divides; 0 takes none.
        update_freq: 'epoch' logs the means of each epoch, 'batch' the metrics of every batch, an integer those of every n-th.
        log: what a capture holds, any of 'params' and 'grads'.
        config: hyper-parameters, for the HParams tab.

    Raises:
        ArgumentError: an argument is not one of the possible ones.
    """

    async_safe = True  # else Keras moves the batch end of all callbacks onto the training thread

    def __init__(
        self,
        log_dir: str | os.PathLike[str] = "logs",
        *,
        run: Run | None = None,
        every: int | None = None,
        histogram_freq: int = 0,
        update_freq: str | int = "epoch",
        log: Iterable[str] = (tags.PARAMS, tags.GRADS),
        config: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self._log_dir = check_log_dir(log_dir)
        self._given_run = None if run is None else check_run(run)
        self._config = config
        if run is not None and config is not None:
            raise ArgumentError("config", config, "the run is open already: give it to mb.Run(log_dir, config=...)")
        self._every = None if every is None else check_positive("every", every)
        self._histogram_freq = 0 if histogram_freq == 0 else check_positive("histogram_freq", histogram_freq)
        self._batches = _check_update_freq(update_freq)
        self._groups = check_choices("log", log, (tags.PARAMS, tags.GRADS))
        self._run: Run | None = self._given_run
        self._function: TrainFunction | None = None
        self._counted: tuple[Any, Steps] = (None, Steps(0))
        self._batch: int | None = None
        self._history: Any = None
        self._epoch_due = False
        self._capturing = False

    # ------------------------------------------------------------------ what Keras calls

    def on_train_begin(self, logs: Mapping[str, Any] | None = None) -> None:  # noqa: ARG002  # Keras' signature
        """Open the run and take the place of the train function."""
        if self._run is None:
            self._run = Run(self._log_dir, config=self._config)
            self._config = None  # one row of hyper-parameters, however many fits
        if self._function is not None:
            self._function.remove()  # of a fit that ended in an exception, of which Keras tells nobody
        self._batch = None
        self._history = getattr(self._model, "history", None)  # each fit has its own
        with self._reporting("fit"):
            self._count_steps(self._model)
            self._take_place(self._model)

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:  # noqa: ARG002
        """Decide whether the first step of the epoch is captured."""
        self._epoch_due = self._histogram_freq > 0 and epoch % self._histogram_freq == 0

    def on_train_batch_begin(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:  # noqa: ARG002
        """Take note of the batch: called on the training thread and in order on every backend, unlike the end of a batch."""
        self._batch = batch

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Log what belongs to the epoch, at its last update."""
        with self._reporting("epoch"):
            self._log_epoch(epoch, logs or {})
        self._steps.end_epoch()

    def on_train_end(self, logs: Mapping[str, Any] | None = None) -> None:  # noqa: ARG002
        """Give the train function back and close the run, unless it was given."""
        if self._function is not None:
            self._function.remove()
        if self._run is not None and self._given_run is None:
            with self._reporting("run"):
                self._run.close()
            self._run = None

    # ------------------------------------------------------------------ what the train function calls

    def due(self) -> Due | None:
        """Return what the next call of the train function has to yield, or None outside of this callback's fit."""
        batch, self._batch = self._batch, None
        if batch is None or getattr(self._model, "history", None) is not self._history:
            return None  # train_on_batch, or a fit without this callback after one that ended in an exception
        done = min(batch + self._model.steps_per_execution, (self.params or {}).get("steps") or sys.maxsize)
        first, _ = self._steps.of(batch)
        step, complete = self._steps.of(done - 1)
        metrics = self._batches > 0 and step // self._batches > (first - 1) // self._batches
        capture = self._epoch_due or (self._every is not None and step % self._every == 0)
        return Due(done, step, complete and metrics, complete and capture)

    def deliver(self, due: Due, logs: dict[str, Any], extras: dict[str, Any], step: TrainStep | None) -> None:
        """Log what a call of the train function has yielded."""
        self._steps.ran(due.done)
        with self._reporting("batch"):
            self._log_batch(due, logs, extras, step)
        if due.capture and step is not None:
            self._epoch_due = False
            with self._reporting("capture"):
                self._log_capture(due, extras, step)

    # ------------------------------------------------------------------ inside

    @property
    def _steps(self) -> Steps:
        return self._counted[1]

    def _count_steps(self, model: Any) -> None:
        done = iterations(model.optimizer)
        if self._counted[0] is model:  # a loss scale leaves updates out, and compile() starts again at 0
            done = max(done, self._steps.next)
        self._counted = (model, Steps(done, micro_batches(model.optimizer)))

    def _take_place(self, model: Any) -> None:
        """Take the place of the train function; that of the last fit again if Keras kept it, for what it has compiled."""
        if self._function is None or not self._function.belongs_to(model):
            captures = self._every is not None or self._histogram_freq > 0
            obstacle = find_obstacle(model)
            if obstacle and (captures or self._batches):
                self._report("steps hidden", f"{obstacle}: nothing is captured, and train/ metrics are Keras' running means.")
            groups = self._groups if captures and not obstacle else None
            self._capturing = groups is not None
            self._function = TrainFunction(model, self, metrics=self._batches > 0 and not obstacle, groups=groups)
        self._function.install()

    def _log_batch(self, due: Due, logs: dict[str, Any], extras: dict[str, Any], step: TrainStep | None) -> None:
        numbers = {}
        if due.metrics:
            found = extras.get(METRICS, {})
            if step is not None and (unseen := sorted(logs.keys() - found.keys())):
                reason = step.problems.get(METRICS, "they are updated where they cannot be seen")
                self._report(f"metrics {unseen}", f"{unseen} are Keras' own logs, as a rule running means: {reason}.")
            numbers = self._scalars({name: found.get(name, logs[name]) for name in logs}, tags.train)
        if RATE in extras:
            numbers[tags.LEARNING_RATE] = extras[RATE]
        self._log(numbers, due.step)

    def _log_capture(self, due: Due, extras: dict[str, Any], step: TrainStep) -> None:
        if CAPTURE in extras and self._run is not None:
            batch = statistics.pending(extras[CAPTURE])
            self._run.capture(Capture(step.tags, batch, due.step, time(), step.descriptions))
        elif self._groups:
            raise step.problems.get(CAPTURE) or RuntimeError("the train step applies no gradients where they can be seen")

    def _log_epoch(self, epoch: int, logs: Mapping[str, Any]) -> None:
        training, validation = split_logs(logs)
        numbers = self._scalars(validation, tags.val) | {tags.EPOCH: epoch}
        if not self._batches:
            numbers |= self._scalars(training, tags.train)
        if not self._capturing and self._model.optimizer is not None:
            numbers[tags.LEARNING_RATE] = last_learning_rate(self._model.optimizer)
        self._log(numbers, self._steps.last)

    def _scalars(self, numbers: Mapping[str, Any], tag: Callable[[str], str]) -> dict[str, Any]:
        if vectors := sorted(name for name, number in numbers.items() if not is_scalar(number)):
            self._report(f"vectors {vectors}", f"metrics {vectors} are not single numbers and are left out.")
        return {tag(name): number for name, number in numbers.items() if is_scalar(number)}

    def _log(self, numbers: Mapping[str, Any], step: int) -> None:
        if numbers and self._run is not None:
            self._run.log(numbers, step)

    @contextlib.contextmanager
    def _reporting(self, what: str) -> Iterator[None]:
        """Let nothing of ours end a training."""
        try:
            yield
        except Exception as error:  # noqa: BLE001
            self._report(f"{what} {type(error).__name__}", f"a {what} was not logged: {type(error).__name__}: {error}")

    def _report(self, cause: str, message: str) -> None:
        if self._run is not None:
            self._run.report(cause, message)


def _check_update_freq(update_freq: str | int) -> int:
    """Return every how many batches metrics are logged, 0 for epochs only."""
    if isinstance(update_freq, str):
        return {"epoch": 0, "batch": 1}[check_choices("update_freq", update_freq, ("epoch", "batch"))[0]]
    return check_positive("update_freq", update_freq)
