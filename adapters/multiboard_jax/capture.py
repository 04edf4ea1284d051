"""The wrapped training step: two compiled variants, of which the host picks one by the number of the step."""

from __future__ import annotations

import functools
from time import time
from typing import TYPE_CHECKING, Any, Self

import jax

from multiboard import tags
from multiboard.errors import ArgumentError, MultiboardError
from multiboard.values import Capture
from multiboard_jax.collected import pending
from multiboard_jax.distributed import placement_of
from multiboard_jax.metrics import check_metrics, metrics_of
from multiboard_jax.statistics import Arrival
from multiboard_jax.variants import variants

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from multiboard.run import Run
    from multiboard_jax.distributed import Placement
    from multiboard_jax.measured import Measurement
    from multiboard_jax.options import Options
    from multiboard_jax.variants import Variants


class WrappedStep:
    """A training step that logs; made by `wrap_train_step`.

    Attributes:
        step: number of updates taken so far, which is the number of the next step. Set it after restoring a checkpoint.
        latest: a metric of the last update, on the device; when it is ready, the update is over. None without metrics.
    """

    def __init__(
        self,
        train_step: Callable[..., Any],
        run: Run | None,
        every: int,
        options: Options,
        jit_options: Mapping[str, Any],
        rate: Callable[[int], Any] | None,
        start_step: int,
        metrics: bool,
    ) -> None:
        functools.update_wrapper(self, train_step, updated=())
        self.step = start_step
        self.latest: Any = None
        self._train_step, self._run, self._every = train_step, run, every
        self._options, self._jit_options, self._rate = options, jit_options, rate
        self._variants: Variants | None = None
        self._plain: Callable[..., Any] = self._first_call
        self._measured: dict[Placement | None, Callable[..., tuple[Any, Measurement]]] = {}
        self._failure = ""
        self._forced = self._paused = False
        self._errors = 0
        self._logs_metrics = metrics
        self._names: tuple[str, ...] | None = None
        self._tags: tuple[str, ...] = ()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Make one update: the arguments and the result of the wrapped step."""
        step = self.step
        if not step % self._every or self._forced:
            result, measurement = self._captured(args, kwargs)
        else:
            result, measurement = self._plain(*args, **kwargs), None
        self.step = step + 1
        if self._logs_metrics:
            self._log_metrics(result, step)
        if measurement is not None:
            self._hand_over(measurement, step)
        return result

    def pause(self) -> None:
        """Capture nothing until `resume`; metrics are logged and steps are counted on. Call it on all processes of a job."""
        self._paused = True

    def resume(self) -> None:
        """Capture again after `pause`."""
        self._paused = False

    def log_now(self) -> None:
        """Capture the next update whatever `every` says, also while paused; in a job of several processes call it on all."""
        self._forced = True

    def lower(self, *args: Any, **kwargs: Any) -> Any:
        """Lower the plain variant for these arguments, as a jitted function does; makes no update."""
        return self._compiled((args, kwargs)).plain.lower(*args, **kwargs)  # type: ignore[attr-defined]

    def __repr__(self) -> str:
        return f"WrappedStep({getattr(self, '__name__', self._train_step)!r}, step={self.step})"

    def __get__(self, owner: object, cls: type | None = None) -> Self | functools.partial[Any]:
        """Be a method where a method is wrapped, as a jitted function is."""
        return self if owner is None else functools.partial(self, owner)

    # ------------------------------------------------------------------ variants

    def _compiled(self, arguments: Any) -> Variants:
        if self._variants is None:
            self._check_process()
            self._variants = variants(self._train_step, arguments, self._jit_options, self._options)
            self._plain = self._variants.plain
        return self._variants

    def _first_call(self, *args: Any, **kwargs: Any) -> Any:
        return self._compiled((args, kwargs)).plain(*args, **kwargs)

    def _check_process(self) -> None:
        """Let process 0 write alone, when a job has several; only now, because asking before starts the devices."""
        if jax.process_index():
            self._run, self._logs_metrics = None, False
        elif self._run is None:
            raise ArgumentError("run", None, "process 0 writes: pass it a multiboard.Run; only other processes may pass None")

    def _captured(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, Measurement | None]:
        """Run the measured variant if this step is to be captured; if it fails, run the plain one and measure no more."""
        plain = self._compiled((args, kwargs)).plain
        if not self._is_due():
            return plain(*args, **kwargs), None
        failure = self._failure
        if not failure:
            try:
                return self._measured_variant((args, kwargs))(*args, **kwargs)
            except Exception as error:
                if _any_deleted((args, kwargs)):
                    raise  # the update had begun with donated buffers: there is nothing left to begin again with
                failure = f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
        result = plain(*args, **kwargs)
        # Only now: an error of the step itself has left through the line above, and the next call may be right.
        self._failure = failure
        self._count_error("measured step", f"the training step cannot be measured and runs without: {failure}")
        return result, None

    def _is_due(self) -> bool:
        forced, self._forced = self._forced, False
        # Other processes cannot know that the run of this one is closed, and would wait for it.
        writes = jax.process_count() > 1 or not (self._run is None or self._run.closed)
        return writes and (forced or not self._paused)

    def _measured_variant(self, arguments: Any) -> Callable[..., tuple[Any, Measurement]]:
        placement = placement_of(arguments) if jax.device_count() > 1 else None
        known = self._measured.get(placement)
        if known is None:
            known = self._measured[placement] = self._compiled(arguments).measured(placement)
        return known

    # ------------------------------------------------------------------ what goes to the run

    def _log_metrics(self, result: Any, step: int) -> None:
        try:
            metrics = result[-1] if type(result) is tuple and result else result
            if type(metrics) is not dict or tuple(metrics) != self._names:
                metrics = self._learned(result)
            self.latest = next(iter(metrics.values()), None)
            if self._run is not None:
                self._run.log(dict(zip(self._tags, metrics.values())), step)  # noqa: B905  # one tag per metric; the check costs time
        except Exception as error:
            if self._names is None:
                self._names = ()  # a wrong result is an error at the first call, where a person is watching
                raise
            self._report(error, f"the metrics of step {step} were left out")

    def _learned(self, result: Any) -> dict[str, Any]:
        """Return the metrics of a result whose names are not those of the one before."""
        if self._names is None:
            check_metrics(result)
        metrics = metrics_of(result)
        self._names, self._tags = tuple(metrics), tuple(map(tags.train, metrics))
        return metrics

    def _hand_over(self, measurement: Measurement, step: int) -> None:
        if self._run is None:
            return
        run = self._run
        self._try(lambda: self._capture(run, measurement, step), f"the capture of step {step} was left out")
        scalars = dict(zip(measurement.scalar_names, map(pending, measurement.scalars), strict=True))
        if scalars:
            self._try(lambda: run.log(scalars, step), f"tagged scalars of step {step} were left out")
        rate = self._rate
        if rate is not None:
            self._try(lambda: run.log({tags.LEARNING_RATE: rate(step)}, step), f"the learning rate of step {step} was left out")
        for cause, message in measurement.notes:
            run.report(cause, message)

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

    def _try(self, log: Callable[[], None], otherwise: str) -> None:
        try:
            log()
        except Exception as error:  # noqa: BLE001  # logging ends no training
            self._report(error, otherwise)

    def _report(self, error: Exception, what: str) -> None:
        kind = type(error).__name__
        cause = f"{kind} {getattr(error, 'tag', '')}".strip() if isinstance(error, MultiboardError) else f"capture {kind}"
        self._count_error(cause, f"{what}: {kind}: {error}")

    def _count_error(self, cause: str, message: str) -> None:
        """Count what went wrong, and say it once per cause."""
        self._errors += 1
        run = self._run
        if run is not None:
            run.report(cause, message)
            if not run.closed:
                try:
                    run.log({tags.ERRORS: float(self._errors)}, self.step)
                except MultiboardError:  # in the first step: a person has made this tag something else
                    run.report("errors left out", "the number of errors could not be written")


def _any_deleted(arguments: Any) -> bool:
    return any(leaf.is_deleted() for leaf in jax.tree.leaves(arguments) if isinstance(leaf, jax.Array))
