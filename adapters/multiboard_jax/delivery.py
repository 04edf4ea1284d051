"""What a wrapped step hands to its run: metrics, captures, learning rates, and what went wrong."""

from __future__ import annotations

from time import time
from typing import TYPE_CHECKING, Any

import jax

from multiboard import tags
from multiboard.errors import MultiboardError, cause_of
from multiboard.values import Capture
from multiboard_jax import exact
from multiboard_jax.collected import pending
from multiboard_jax.metrics import MetricsReader
from multiboard_jax.statistics import Arrival

if TYPE_CHECKING:
    from collections.abc import Callable

    from multiboard.run import Run
    from multiboard_jax.measured import Measurement
    from multiboard_jax.options import Options


class Delivery:
    """Hands over what has been computed, and waits for none of it; nothing here ends a training.

    Args:
        run: None writes nothing.
        options: what is measured.
        rate: the learning rate of a step, None for none.
        logs_metrics: whether what the step returns is written.

    Attributes:
        latest: a metric of the last update, None without.
        alike: whether all metrics are of one class, as those of `jax.jit` are unless it is disabled.
    """

    def __init__(self, run: Run | None, options: Options, rate: Callable[[int], Any] | None, *, logs_metrics: bool) -> None:
        self.run, self.logs_metrics = run, logs_metrics
        self.latest: Any = None
        self.alike = False
        self._options, self._rate = options, rate
        self._reader = MetricsReader()
        self._first: dict[str, Any] | None = None
        self._is_young = True
        self._described = False
        self._errors = 0

    def metrics(self, result: Any, step: int) -> None:
        """Write the metrics in the result of a step."""
        try:
            names, values = self._reader.read(result)
            self.latest = values[0] if values else None
            if self.run is not None:
                self.run.log_again(names, values, step, alike=self.alike)
        except Exception as error:  # noqa: BLE001  # the state after the update must reach the caller
            self._report(error, f"the metrics of step {step} were left out", step)
            return
        if self._is_young:
            self._look_for_donated(dict(zip(names, values, strict=True)))

    def measurement(self, measurement: Measurement, step: int) -> None:
        """Write what a captured step has measured."""
        run, rate = self.run, self._rate
        if run is None:
            return
        if not self._described:
            self._described = True
            self._try(lambda: run.describe_layers(measurement.layers, step), "the table of the layers was left out", step)
        self._try(lambda: self._capture(run, measurement, step), f"the capture of step {step} was left out", step)
        if measurement.kept:
            otherwise = f"exact tensors of step {step} were left out"
            self._try(lambda: exact.write(run, measurement.exact, measurement.kept, step), otherwise, step)
        if measurement.scalar_names:
            self._try(lambda: _log_scalars(run, measurement, step), f"tagged scalars of step {step} were left out", step)
        if rate is not None:
            self._try(
                lambda: run.log({tags.LEARNING_RATE: rate(step)}, step), f"the learning rate of step {step} was left out", step
            )
        for cause, message in measurement.notes:
            run.report(cause, message)

    def error(self, cause: str, message: str, step: int) -> None:
        """Count what went wrong, and say it once per cause."""
        self._errors += 1
        run = self.run
        if run is not None:
            run.report(cause, message)
            if not run.closed:
                try:
                    run.log({tags.ERRORS: float(self._errors)}, step)
                except MultiboardError:  # in the first step: a person has made this tag something else
                    run.report("errors left out", "the number of errors could not be written")

    def _capture(self, run: Run, measurement: Measurement, step: int) -> None:
        if not measurement.names:
            return
        options = self._options
        run.capture(
            Capture(
                measurement.names,
                Arrival(measurement.packed),
                step,
                time(),
                dict(measurement.descriptions),
                norms=options.norms,
                nonfinite=options.histograms,
                histograms=options.histograms,
                if_any=measurement.if_any,
            )
        )

    def _look_for_donated(self, metrics: dict[str, Any]) -> None:
        """Tell at the second update which metrics of the first one it was given to overwrite."""
        first, self._first = self._first, metrics
        if first is None:
            return
        self._is_young, self._first = False, None
        for tag, value in first.items():
            if isinstance(value, jax.Array) and value.is_deleted() and self.run is not None:
                self.run.report(
                    f"metric {tag} donated",
                    f"metric {tag!r} is donated to the next step and cannot be read: return it apart, or a copy of it.",
                )

    def _try(self, log: Callable[[], None], otherwise: str, step: int) -> None:
        try:
            log()
        except Exception as error:  # noqa: BLE001  # logging ends no training
            self._report(error, otherwise, step)

    def _report(self, error: Exception, what: str, step: int) -> None:
        self.error(cause_of(error, "capture"), f"{what}: {type(error).__name__}: {error}", step)


def _log_scalars(run: Run, measurement: Measurement, step: int) -> None:
    run.log(dict(zip(measurement.scalar_names, map(pending, measurement.scalars), strict=True)), step)
