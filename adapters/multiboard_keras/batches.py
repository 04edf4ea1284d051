"""What is logged at the batches of a fit: decides what each one has to yield, and logs it."""

from __future__ import annotations

import sys
from threading import get_ident
from time import perf_counter, time
from typing import TYPE_CHECKING, Any, NamedTuple

from multiboard import tags
from multiboard.values import Capture, Row
from multiboard_keras import exact, statistics
from multiboard_keras.completed import IfComplete
from multiboard_keras.examples import LastOf
from multiboard_keras.gradients import micro_batches, skips_batches
from multiboard_keras.layer_info import layer_rows
from multiboard_keras.profile import make_driver
from multiboard_keras.scalars import find_obstacle, iterations, only_scalars
from multiboard_keras.times import Times
from multiboard_keras.train_function import Due, TrainFunction, remove_left, stand_in_of
from multiboard_keras.train_step import ACTIVATIONS, CAPTURE, COMPLETE, EXACT, EXACT_ACTIVATIONS, METRICS, RATE, STACK

if TYPE_CHECKING:
    from collections.abc import Mapping

    from multiboard_keras.naming import Naming
    from multiboard_keras.options import Options
    from multiboard_keras.profile import Driver
    from multiboard_keras.reporting import Reporting
    from multiboard_keras.steps import Steps
    from multiboard_keras.tracing.log import Graphs
    from multiboard_keras.train_function import Yield
    from multiboard_keras.train_step import TrainStep


class Fit(NamedTuple):
    """What belongs to one fit.

    Attributes:
        naming: where numbers go.
        steps: counts the batches.
        reporting: takes what goes wrong.
        params: what Keras tells callbacks of the fit.
        history: of the model in this fit.
    """

    naming: Naming
    steps: Steps
    reporting: Reporting
    params: dict[str, Any]
    history: Any


class Batches:
    """Stands behind the train function of a model during one fit.

    Args:
        model: a compiled model with its train function made.
        options: of the callback.
        fit: what belongs to the fit.
        function: of the last fit, or None; used again if Keras kept its own, for what it has compiled.
        graphs: to be written in this fit; None for none.

    Attributes:
        function: stands in for the model's.
    """

    def __init__(
        self, model: Any, options: Options, fit: Fit, function: TrainFunction | None, graphs: Graphs | None = None
    ) -> None:
        self._model, self._options, self._fit = model, options, fit
        self._naming, self._steps, self._reporting = fit.naming, fit.steps, fit.reporting
        self._graphs = graphs
        remove_left(model)
        obstacle = find_obstacle(model)
        if stand_in_of(model.train_function) is not None:
            obstacle = "another callback of multiboard takes the steps of this fit"
        own_metrics = options.batches > 0 and self._naming.own_metrics
        self._rates = not obstacle and (own_metrics or options.captures)
        self._skips = skips_batches(model.optimizer) and not obstacle
        self._rates_at_captures = options.every > 0 and options.captures  # alone, as by the other adapters
        if obstacle and (own_metrics or options.captures):
            message = f"{obstacle}: of captures only parameters are written, and train/ metrics are Keras' running means."
            self._reporting.report("steps hidden", message)
        if function is None or not function.belongs_to(model):
            function = TrainFunction(
                model,
                seen=not obstacle,
                metrics=own_metrics,
                rates=not self._rates_at_captures,
                groups=options.groups if options.captures else None,
                selection=options.selection,
                profiled=options.profiles,
                exact=options.exact,
            )
        self.function = function
        self._times: Times | None = None
        if self._naming.own_metrics:
            self._times = Times(
                self._naming.run, options.batches, rate=options.rate, step=self._steps.next, traces=function.traces
            )
        self._told: bool | None = None  # whether Keras tells callbacks of the end of a batch on the training thread
        self._thread = get_ident()
        self._profile = None
        with self._reporting.of("profile"):
            self._profile = make_driver(model, options, fit, function)
        self._in_step: Driver | None = None  # that of a step that is profiled: outside of windows a batch asks for little else
        self._listens = self._profile  # also until it is known whether Keras tells
        self._epoch_due = self._delivered = self._own_loop = False
        self._undescribed = True
        self._scalars: frozenset[str] = frozenset()
        self._batch: int | None = None
        self._last = self._updates = 0
        self._began = 0.0
        function.install(self)

    def end_fit(self) -> None:
        """Give the train function back; a second call does nothing."""
        self._batch = None
        if self._graphs is not None:
            self._graphs.end()
        self.function.remove()
        if self._profile is not None:
            self._profile.end_fit()

    def begin_epoch(self, epoch: int) -> None:
        """Decide whether the first step of the epoch is captured."""
        freq = self._options.capture_freq
        self._epoch_due = freq > 0 and epoch % freq == 0
        self._delivered, self._last = False, -1
        if self._uncounted:
            self._updates = iterations(self._model.optimizer)
        if self._times is not None:
            self._times.begin()
        if self._profile is not None and self._steps.next >= self._profile.profiler.next_step:
            self._begin_step(self._profile, waits=not self.function.draws)

    def end_training(self) -> None:
        """End the training part of an epoch, if it has not ended yet."""
        if self._in_step is not None:
            self._pause_steps(self._in_step)
        if self._times is not None:
            self._times.end()
        if self._uncounted and self._delivered:
            updates = iterations(self._model.optimizer) - self._updates
            self._steps.ran(updates * micro_batches(self._model.optimizer))
        if self._last >= 0 and not self._delivered:
            self._steps.ran(self._last + 1)
            if not self._own_loop:
                message = "the batches of this loop are not trained by the model's train function: metrics are those of epochs."
                self._reporting.report("own loop", message)
            self._own_loop = True

    @property
    def metrics_logged(self) -> bool:
        """Whether the metrics of the batches of this epoch were logged."""
        return self._delivered and self._options.batches > 0

    @property
    def rates_logged(self) -> bool:
        """Whether learning rates are logged with batches, as far as the optimizer's updates could be seen."""
        return self._rates and self._delivered

    @property
    def _uncounted(self) -> bool:
        """Whether a call may draw fewer batches than it could: nobody knows how many there are."""
        return self._model.steps_per_execution > 1 and self._fit.params.get("steps") is None

    def begin_batch(self, batch: int) -> None:
        """Take note of the batch that comes."""
        self._batch = self._last = batch
        if self._in_step is not None:
            self._in_step.drawn()
        self._began = perf_counter()

    def end_batch(self) -> None:
        """Take note that the callbacks before this one have heard of the end of a batch, which may take them a while."""
        if self._listens is not None:
            self._told = get_ident() == self._thread
            if self._told and not self.function.draws:
                self._listens.waits()
            self._listens = self._in_step

    # ------------------------------------------------------------------ what the train function calls

    def due(self) -> Due | None:
        """Return what the next call of the train function has to yield, or None outside of this callback's fit."""
        batch, self._batch = self._batch, None
        if batch is None or not self.in_fit():
            return None  # train_on_batch, or a fit without this callback after one that ended in an exception
        done = min(batch + self._model.steps_per_execution, self._fit.params.get("steps") or sys.maxsize)
        first, _ = self._steps.of(batch)
        step, complete = self._steps.of(done - 1)
        every = self._options.every
        capture = self._epoch_due or (every > 0 and step // every > (first - 1) // every)
        metrics = self._options.batches > 0 and self._metrics_due(first, step, batch, done)
        shapes = self._graphs is not None and self._graphs.waits
        waiting = None if self._in_step is None else self._in_step.profiler.waiting
        capture = capture and (complete or self._skips)  # of those of one step the one is written that completes an update
        return Due(done, first, step, complete and metrics, capture, complete, shapes, waiting)

    def deliver(self, due: Due, found: Yield) -> None:
        """Log what a call of the train function has yielded."""
        self._delivered = True
        self._steps.ran(due.done)
        try:
            self._log_numbers(due, found)
        except Exception as error:  # noqa: BLE001  # nothing of ours may end a training
            self._reporting.caught("batch", error)
        if due.capture:
            self._epoch_due = self._epoch_due and not due.complete
            if self._undescribed:
                self._undescribed = False
                with self._reporting.of("layer table"):
                    self._describe_layers(due, found)
            with self._reporting.of("capture"):
                self._log_captures(due, found)
        if self._times is not None:
            try:
                self._times.step(self._steps.next, found.logs, found.examples)
            except Exception as error:  # noqa: BLE001  # as above
                self._reporting.caught("step time", error)
        if due.shapes and self._graphs is not None:
            count = None
            with self._reporting.of("graph"):
                count = found.examples.fetch() if isinstance(found.examples, LastOf) else found.examples
            self._graphs.batch(found.shapes, count, due.first)
            if self._times is not None:
                self._times.begin()  # the next step begins now
        if self._profile is not None and due.step + 1 >= self._profile.profiler.next_step:
            if due.done == self._fit.params.get("steps"):
                self._pause_steps(self._profile)
            else:
                self._begin_step(self._profile, waits=not self.function.draws and not self._told)

    def in_fit(self) -> bool:
        """Tell whether the fit goes on: the next one has a history of its own."""
        return getattr(self._model, "history", None) is self._fit.history

    # ------------------------------------------------------------------ inside

    def _begin_step(self, profile: Driver, *, waits: bool) -> None:
        profile.begins(self._steps.next, waits=waits)
        self._in_step = profile if profile.in_step else None
        self._listens = profile if self._told is None else self._in_step

    def _pause_steps(self, profile: Driver) -> None:
        profile.pauses(self._steps.next)
        self._in_step = None
        self._listens = profile if self._told is None else None

    def _metrics_due(self, first: int, step: int, batch: int, done: int) -> bool:
        """Whether the metrics of a call are logged that makes the updates `first` to `step` of the batches before `done`."""
        freq = self._options.batches
        if self._naming.own_metrics:
            return step // freq > (first - 1) // freq
        return self._steps.batches(done) // freq > self._steps.batches(batch) // freq

    def _log_numbers(self, due: Due, found: Yield) -> None:
        step = found.step
        if due.metrics and step is not None and step.stacked and STACK in found.extras:
            stack = found.extras[STACK]
            self._naming.run.log_again(step.stacked, stack if type(stack) is tuple else Row(stack), due.step)
            if not step.apart and not due.capture:
                return
        rates: Mapping[str, Any] = {}
        if (due.capture and due.complete) or (due.metrics and not self._rates_at_captures):
            rates = found.extras.get(RATE, rates)
        if due.metrics and (numbers := self._numbers(found)):
            if numbers.keys() != self._scalars:  # a shape of TensorFlow takes a while to look at
                numbers = only_scalars(numbers, self._reporting)
                self._scalars = frozenset(numbers)
            speed = 1 / (perf_counter() - self._began) if self._options.rate else None
            self._naming.batch(numbers, rates, speed, due.step, self._steps.batches(due.done))
        elif rates:
            self._naming.learning_rate(rates, None, due.step)

    def _numbers(self, found: Yield) -> dict[str, Any]:
        """Return the metrics that are not stacked: of the batch alone where they are known and wanted, else the logs of Keras."""
        if not self._naming.own_metrics or found.step is None:
            return found.logs
        own = found.extras.get(METRICS, {})
        logs = {name: number for name, number in found.logs.items() if name in found.step.apart}
        if unseen := sorted(logs.keys() - own.keys()):
            reason = found.step.problems.get(METRICS, "they are updated where they cannot be seen")
            message = f"{unseen} are Keras' own logs, as a rule running means: {reason}."
            self._reporting.report(f"metrics {unseen}", message)
        return {name: own.get(name, number) for name, number in logs.items()}

    def _log_captures(self, due: Due, found: Yield) -> None:
        step, extras, complete = found.step, found.extras, found.extras.get(COMPLETE)
        self._log_reads(found.params, due.first)
        if step is None:
            return
        for cause, message in step.notes:
            self._reporting.report(cause, message)
        if not due.complete and complete is None:
            return  # nobody knows better than the number of the batch
        if CAPTURE in extras:
            self._capture(step.tags, extras[CAPTURE], due.step, step.descriptions, complete=complete)
        if ACTIVATIONS in extras:
            described = step.activation_descriptions
            self._capture(step.activation_tags, extras[ACTIVATIONS], due.step, described, if_any=True, complete=complete)
        if due.complete:
            self._keep(step, extras, due.step)
        if problem := step.problems.get(CAPTURE):
            raise problem
        explained = any(cause.startswith("optimizer ") for cause, _ in step.notes)
        if CAPTURE not in extras and self._options.groups and not explained:
            raise RuntimeError("the train step applies no gradients where they can be seen")

    def _log_reads(self, params: Any, at: int) -> None:
        reads = self.function.reads
        if isinstance(params, Exception):
            raise params
        if params is not None and reads is not None:
            self._capture(reads.tags, params, at, reads.descriptions)

    def _describe_layers(self, due: Due, found: Yield) -> None:
        step = found.step
        calls = () if step is None else step.layer_calls
        gradients = (
            "" if step is None else next((tags.stage_of(step.descriptions[tag]) for tag in step.tags if _is_grad(tag)), "")
        )
        self._naming.run.describe_layers(layer_rows(self._model, calls, gradients), due.step)

    def _keep(self, step: TrainStep, extras: Mapping[str, Any], at: int) -> None:
        """Write the tensors that are kept element by element."""
        for key, kept in ((EXACT, step.kept), (EXACT_ACTIVATIONS, step.kept_activations)):
            if key in extras:
                exact.write(self._naming.run, extras[key], kept, at)

    def _capture(
        self,
        names: tuple[str, ...],
        begun: Any,
        step: int,
        descriptions: Mapping[str, str],
        *,
        if_any: bool = False,
        complete: Any = None,
    ) -> None:
        batch = statistics.pending(begun)
        if complete is not None:
            batch, if_any = IfComplete(batch, complete), True
        self._naming.run.capture(Capture(names, batch, step, time(), descriptions, if_any=if_any))


def _is_grad(tag: str) -> bool:
    return tag.startswith(f"{tags.GRADS}/")
