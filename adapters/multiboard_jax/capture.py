"""The wrapped training step: two compiled variants, of which the host picks one by the number of the step."""

from __future__ import annotations

import contextlib
import functools
import sys
from time import time
from typing import TYPE_CHECKING, Any, Final

import jax
import numpy as np

from multiboard import tags
from multiboard.arguments import check_positive, check_run, check_start_step
from multiboard.errors import ArgumentError
from multiboard.protocols import is_ready
from multiboard.values import Capture, MeasuredBatch
from multiboard_jax.measured import Measurement, measured_nnx_step, measured_step

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractContextManager

    from multiboard.run import Run
    from multiboard_jax.statistics import Measured

_JITTED: Final = type(jax.jit(lambda: None))
_METRICS_RULE: Final = (
    "return a dict of scalars, a scalar loss, or a tuple that ends with one of them; pass metrics=False to log nothing of it"
)


def wrap_train_step(
    train_step: Callable[..., Any],
    run: Run,
    *,
    every: int = 100,
    learning_rate: float | Callable[[Any], Any] | None = None,
    start_step: int = 0,
    static_argnums: int | Sequence[int] = (),
    donate_argnums: int | Sequence[int] = (),
    metrics: bool = True,
) -> WrappedStep:
    """Compile a training step and log its metrics, parameters and gradients.

    Give the step without `jit`: the wrapper compiles it, once as it is and once with the measurement, which runs at every
    `every`-th step. A step that is jitted already is used as it is at the other steps; the measured variant is compiled
    from the function inside, and the options of the outer `jit` are to be repeated here, because they cannot be read.
    Plain pytrees, `TrainState` and steps that change NNX modules are supported. Gradients and parameters are seen through
    `tap`, other values through `tag`.

    Args:
        train_step: e.g. `step(params, opt_state, batch) -> (params, opt_state, metrics)`, with a training state
            `step(state, batch) -> (state, metrics)`, or with NNX `step(model, optimizer, batch) -> metrics`. The metrics are a
            dict of scalars or a scalar loss, alone or last in a tuple.
        run: where to log.
        every: measure at steps that are a multiple of this.
        learning_rate: logged at measured steps: a number, or a schedule that is called with the step. None logs what
            `optax.inject_hyperparams` holds, if the optimizer has it.
        start_step: number of updates taken before, for a resumed training.
        static_argnums: as for `jax.jit`.
        donate_argnums: as for `jax.jit`.
        metrics: log what the step returns, at every step, as 'train/<name>' ('train/loss' for a bare scalar). Names with '/'
            stay as they are.

    Returns:
        The step, to be called as before; it returns the same.

    Raises:
        ArgumentError: an argument is not one of the possible ones; at the first call: the step does not return metrics.

    Example:
        >>> step = wrap_train_step(train_step, run, every=100)  # doctest: +SKIP
        >>> params, opt_state, metrics = step(params, opt_state, batch)  # doctest: +SKIP
    """
    if not callable(train_step):
        raise ArgumentError("train_step", train_step, "pass the function that makes one update")
    if isinstance(learning_rate, bool) or not (
        learning_rate is None or isinstance(learning_rate, (int, float)) or callable(learning_rate)
    ):
        raise ArgumentError("learning_rate", learning_rate, "pass a number, an optax schedule or None")
    check_start_step(start_step)
    options = {"static_argnums": static_argnums, "donate_argnums": donate_argnums}
    for name, value in options.items():
        _check_argnums(name, value)
    rate = None if learning_rate is None else functools.partial(_rate, learning_rate)
    return WrappedStep(train_step, check_run(run), check_positive("every", every), rate, start_step, options, metrics)


class WrappedStep:
    """A training step that logs; made by `wrap_train_step`.

    Attributes:
        step: number of updates taken so far, which is the number of the next step. Set it after restoring a checkpoint.
    """

    def __init__(
        self,
        train_step: Callable[..., Any],
        run: Run,
        every: int,
        rate: Callable[[int], Any] | None,
        start_step: int,
        options: Mapping[str, Any],
        metrics: bool,
    ) -> None:
        functools.update_wrapper(self, train_step, updated=())
        self.step = start_step
        self._train_step, self._run, self._every = train_step, run, every
        self._rate, self._options, self._metrics = rate, options, metrics
        self._plain: Callable[..., Any] | None = None
        self._measured: Callable[..., tuple[Any, Measurement]] | None = None
        self._names: dict[str, str] = {}
        self._failure = ""
        self._checked = not metrics

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Make one update: the arguments and the result of the wrapped step."""
        if self._plain is None:
            self._plain, self._measured = _variants(self._train_step, (args, kwargs), self._options)
        step = self.step
        if step % self._every:
            result, measurement = self._plain(*args, **kwargs), None
        else:
            result, measurement = self._measure(self._plain, args, kwargs)
        self.step = step + 1
        if not self._checked:
            _check_metrics(result)
            self._checked = True
        if self._metrics:
            self._try(self._log_metrics, result, step)
        if measurement is not None:
            self._try(self._hand_over, measurement, step)
        return result

    def __repr__(self) -> str:
        return f"WrappedStep({getattr(self, '__name__', self._train_step)!r}, step={self.step})"

    def _measure(
        self, plain: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[Any, Measurement | None]:
        """Run the measured variant; if it fails, run the plain one and measure no more."""
        failure = self._failure
        if self._measured is not None:
            try:
                return self._measured(*args, **kwargs)
            except Exception as error:
                if _any_deleted((args, kwargs)):
                    raise  # the update had begun with donated buffers: there is nothing left to begin again with
                failure = f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
        result = plain(*args, **kwargs)
        # Only now: an error of the step itself has left through the line above, and the next call may be right.
        self._measured, self._failure = None, failure
        self._run.report("measured step", f"the training step cannot be measured and runs without: {failure}")
        return result, None

    def _try(self, log: Callable[[Any, int], None], what: Any, step: int) -> None:
        try:
            log(what, step)
        except Exception as error:  # noqa: BLE001  # logging ends no training
            self._run.report(f"log {type(error).__name__}", f"step {step} could not be logged: {error}")

    def _log_metrics(self, result: Any, step: int) -> None:
        metrics = _metrics_of(result)
        for name in metrics.keys() - self._names.keys():
            self._names[name] = tags.train(name)
        self._run.log({self._names[name]: value for name, value in metrics.items()}, step)

    def _hand_over(self, measurement: Measurement, step: int) -> None:
        if measurement.names:
            batch = _Batch(measurement.statistics)
            self._run.capture(Capture(measurement.names, batch, step, time(), dict(measurement.descriptions)))
        scalars = dict(zip(measurement.scalar_names, measurement.scalars, strict=True))
        if self._rate is not None:
            scalars[tags.LEARNING_RATE] = self._rate(step)
        if scalars:
            self._run.log(scalars, step)
        for cause, message in measurement.notes:
            self._run.report(cause, message)


class _Batch:
    """Statistics on a device. They are outputs that no later step can be given, so that donation does not reach them."""

    def __init__(self, measured: Measured) -> None:
        self._measured = measured

    def is_ready(self) -> bool:
        return all(map(is_ready, self._measured))

    def fetch(self) -> MeasuredBatch:
        return MeasuredBatch(*jax.device_get(tuple(self._measured)))


def _variants(
    step: Callable[..., Any], arguments: Any, options: Mapping[str, Any]
) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Return the plain and the measured variant of a step."""
    jitted_by_nnx = type(step).__module__.partition(".")[0] == "flax" and hasattr(step, "__wrapped__")
    jitted = jitted_by_nnx or isinstance(step, _JITTED)
    inner = getattr(step, "__wrapped__", step) if jitted else step
    if jitted_by_nnx or (not jitted and _has_modules(arguments)):
        from flax import nnx

        return step if jitted else nnx.jit(step, **options), nnx.jit(measured_nnx_step(inner), **options)
    return step if jitted else jax.jit(step, **options), jax.jit(measured_step(inner), **options)


def _has_modules(arguments: Any) -> bool:
    nnx = sys.modules.get("flax.nnx")
    if nnx is None:
        return False
    objects = (nnx.Module, nnx.Optimizer)
    return any(isinstance(leaf, objects) for leaf in jax.tree.leaves(arguments, is_leaf=lambda node: isinstance(node, objects)))


def _any_deleted(arguments: Any) -> bool:
    return any(leaf.is_deleted() for leaf in jax.tree.leaves(arguments) if isinstance(leaf, jax.Array))


def _metrics_of(result: Any) -> Mapping[str, Any]:
    """Return the metrics in a step's result by name."""
    last = result[-1] if isinstance(result, tuple) and result else result
    return last if isinstance(last, dict) else {"loss": last}


def _check_metrics(result: Any) -> None:
    """Raise ArgumentError if a step does not return metrics.

    Only the outermost value is judged, once: a metric that goes wrong later is counted by the run.
    """
    for name, value in _metrics_of(result).items():
        shape = np.shape(value) if isinstance(value, (jax.Array, np.ndarray, np.generic, bool, int, float)) else None
        if not isinstance(name, str) or shape not in {(), (1,)}:
            received = value if shape is None else f"{name} of shape {list(shape)}"
            raise ArgumentError(f"train_step -> {name}", received, _METRICS_RULE)


def _check_argnums(name: str, value: Any) -> None:
    numbers = (value,) if isinstance(value, int) else value
    if not isinstance(numbers, (tuple, list)) or not all(isinstance(n, int) and not isinstance(n, bool) for n in numbers):
        raise ArgumentError(name, value, "pass positions of arguments, e.g. (0, 1)")


def _rate(learning_rate: float | Callable[[Any], Any], step: int) -> Any:
    """Return the learning rate of a step without waiting: a schedule is evaluated on the host's own device."""
    if not callable(learning_rate):
        return learning_rate
    with _host():
        return learning_rate(np.int32(step))


def _host() -> AbstractContextManager[Any]:
    try:
        processor = jax.local_devices(backend="cpu")[0]
    except RuntimeError:  # a process that was told to use its accelerator only
        return contextlib.nullcontext()
    context: AbstractContextManager[Any] = jax.default_device(processor)
    return context
