"""The wrapped training step: two compiled variants, of which the host picks one by the number of the step."""

from __future__ import annotations

import functools
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, Final, NoReturn, Self

import jax

from multiboard.errors import ArgumentError
from multiboard_jax._compat import is_outside, is_traced
from multiboard_jax.activations import named_layers
from multiboard_jax.compiled import home_of
from multiboard_jax.delivery import Delivery
from multiboard_jax.distributed import placement_of
from multiboard_jax.metrics import check, metrics_of
from multiboard_jax.profile_driver import Driver
from multiboard_jax.step_arguments import any_deleted, check_step_number
from multiboard_jax.variants import variants

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from multiboard.profile.profiler import Profiler
    from multiboard.run import Run
    from multiboard_jax.distributed import Placement
    from multiboard_jax.measured import Measurement
    from multiboard_jax.options import Options
    from multiboard_jax.variants import Variants

_INSIDE: Final = (
    "a wrapped step is called inside a transformation, e.g. jit or scan, and logs nothing: wrap the outermost function."
)
_REPEAT: Final = "; if its own jit has static_argnums or static_argnames, repeat them in wrap_train_step"


class WrappedStep:
    """A training step that logs; made by `wrap_train_step`. One thread calls it.

    Attributes:
        profiler: what it drives, if anything.
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
        graph: bool,
        profiler: Profiler | None,
    ) -> None:
        functools.update_wrapper(self, train_step, updated=())
        self._step = start_step
        self._train_step, self._every = train_step, every
        self._options, self._jit_options = options, jit_options
        self._delivery = Delivery(run, options, rate, logs_metrics=metrics)
        self._variants: Variants | None = None
        self._plain: Callable[..., Any] = self._first_call
        self._measured: dict[Placement | None, Callable[..., tuple[Any, Measurement]]] = {}
        self._keeping: dict[Placement | None, Callable[..., tuple[Any, Measurement]]] = {}
        self._unchecked = metrics
        self._forced = self._paused = False
        self._undrawn = graph
        self.profiler = profiler
        self._driver: Driver | None = None
        self._failures = self._left_out = 0

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Make one update: the arguments and the result of the wrapped step."""
        if not is_outside() and is_traced((args, kwargs)):
            return self._inside(args, kwargs)
        if self._undrawn:
            self._draw(args, kwargs)
        step, delivery, profiler = self._step, self._delivery, self.profiler
        if profiler is not None and step >= profiler.next_step:
            self._driven(profiler, (args, kwargs)).begins(step)
        if not step % self._every or self._forced:
            result, measurement = self._captured(args, kwargs)
        else:
            result, measurement = self._plain(*args, **kwargs), None
        self._step = step + 1
        if delivery.logs_metrics:
            delivery.metrics(result, step)
        if measurement is not None:
            delivery.measurement(measurement, step)
        if profiler is not None and step + 1 >= profiler.next_step:
            self._driven(profiler, (args, kwargs)).ends(step)
        return result

    @property
    def step(self) -> int:
        """Number of updates taken so far, which is the number of the next step. Set it after restoring a checkpoint.

        A device array is waited for when it is set.
        """
        return self._step

    @step.setter
    def step(self, number: int) -> None:
        self._step = check_step_number(number)

    @property
    def latest(self) -> Any:
        """A metric of the last update, on the device; when it is ready, the update is over. None without metrics."""
        return self._delivery.latest

    def pause(self) -> None:
        """Capture nothing until `resume`; metrics are logged and steps are counted on. Call it on all processes of a job."""
        self._paused = True

    def resume(self) -> None:
        """Capture again after `pause`."""
        self._paused = False

    def log_now(self) -> None:
        """Capture the next update whatever `every` says, also while paused; in a job of several processes call it on all."""
        self._forced = True

    def drive(self, profiler: Profiler) -> None:
        """Let a profiler follow the steps from the next one on; one that is driven already stays.

        Raises:
            ArgumentError: another profiler is.
        """
        if self.profiler not in {None, profiler}:
            raise ArgumentError("profiler", profiler, "pass None: the wrapped step drives another one")
        self.profiler = profiler

    def lower(self, *args: Any, **kwargs: Any) -> Any:
        """Lower the plain variant for these arguments, as a jitted function does; makes no update."""
        return self._compiled((args, kwargs)).plain.lower(*args, **kwargs)  # type: ignore[attr-defined]

    def __repr__(self) -> str:
        return f"WrappedStep({getattr(self, '__name__', self._train_step)!r}, step={self.step})"

    def __get__(self, owner: object, cls: type | None = None) -> Self | functools.partial[Any]:
        """Be a method where a method is wrapped, as a jitted function is."""
        return self if owner is None else functools.partial(self, owner)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a wrapped step belongs to its run and can be neither copied nor pickled; wrap the training step again")

    # ------------------------------------------------------------------ variants

    def _compiled(self, arguments: Any) -> Variants:
        if self._variants is None:
            self._check_process()
            self._variants = variants(self._train_step, arguments, self._jit_options, self._options._replace(exact=None))
        return self._variants

    def _first_call(self, *args: Any, **kwargs: Any) -> Any:
        plain = self._compiled((args, kwargs)).plain
        # A step that came compiled is traced now, and not by us.
        with nullcontext() if self.profiler is None else named_layers((args, kwargs)):
            complaint = self._complaint(plain, args, kwargs)
            if complaint is not None:
                raise complaint
            self._plain = plain
            self._delivery.alike = home_of(plain) == "jax" and not getattr(jax.config, "jax_disable_jit", False)
            return plain(*args, **kwargs)

    def _driven(self, profiler: Profiler, arguments: Any) -> Driver:
        if self._driver is None:
            self._compiled(arguments)  # it tells which process this is, and with it whether there is a run
            self._driver = Driver(profiler, self._delivery.run, arguments)
        return self._driver

    def _inside(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Be the step itself, where there is no update: nothing of a trace may be kept, counted or written."""
        result = self._compiled((args, kwargs)).plain(*args, **kwargs)
        if self._delivery.run is not None:
            self._delivery.run.report("step inside a transformation", _INSIDE)
        return result

    def _draw(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Log the graph of the step, once; only shapes of its arguments are looked at, and nothing is compiled."""
        from multiboard_jax.graph import draw  # it knows of this class

        self._compiled((args, kwargs))
        self._undrawn, run = False, self._delivery.run
        if run is not None and not run.closed:
            draw(self._train_step, args, kwargs, run=run, step=self._step)

    def _check_process(self) -> None:
        """Let process 0 write alone, when a job has several; only now, because asking before starts the devices."""
        delivery = self._delivery
        if jax.process_index():
            delivery.run, delivery.logs_metrics = None, False
        elif delivery.run is None:
            raise ArgumentError("run", None, "process 0 writes: pass it a multiboard.Run; only other processes may pass None")

    def _complaint(self, variant: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> ArgumentError | None:
        """Return what is wrong with the metrics, before the first update: with it the arguments may be gone.

        The trace is the one that the call will use. Other wrappers than that of `jax.jit` may not be traced without an update.
        """
        if self._unchecked and home_of(variant) == "jax":
            shapes = variant.eval_shape(*args, **kwargs)
            try:
                check(metrics_of(shapes if variant is self._compiled((args, kwargs)).plain else shapes[0]))
            except ArgumentError as error:
                return error
        self._unchecked = False
        return None

    def _captured(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, Measurement | None]:
        """Run the measured variant if this step is to be captured; if it fails, run the plain one."""
        self._compiled((args, kwargs))
        if not self._is_due():
            return self._plain(*args, **kwargs), None
        try:
            measured = self._measured_variant((args, kwargs))
            complaint = self._complaint(measured, args, kwargs)
            if complaint is None:
                return measured(*args, **kwargs)
        except Exception as error:
            if any_deleted((args, kwargs)):
                raise  # the update had begun with donated buffers: there is nothing left to begin again with
            failure = f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
        else:
            raise complaint
        result = self._plain(*args, **kwargs)
        # Only now: an error of the step itself has left through the line above, and the next call may be right.
        self._note_failure(failure)
        return result, None

    def _note_failure(self, failure: str) -> None:
        """Leave out more captures after each failure: each may have cost the time of a compilation."""
        self._left_out = 2**self._failures - 1
        self._failures += 1
        hint = _REPEAT if self._compiled(()).plain is self._train_step else ""
        message = f"the training step cannot be measured and runs without: {failure}{hint}"
        self._delivery.error("measured step", message, self._step)

    def _is_due(self) -> bool:
        forced, self._forced = self._forced, False
        run = self._delivery.run
        # Other processes cannot know that the run of this one is closed, and would wait for it.
        writes = jax.process_count() > 1 or not (run is None or run.closed)
        if not writes or (self._paused and not forced):
            return False
        self._left_out, left_out = max(self._left_out - 1, 0), self._left_out
        return not left_out

    def _measured_variant(self, arguments: Any) -> Callable[..., tuple[Any, Measurement]]:
        placement = placement_of(arguments) if jax.device_count() > 1 else None
        exact = self._options.exact is not None and self._options.exact.has_step(self._step)
        made = self._keeping if exact else self._measured
        if placement not in made:
            compiled = self._compiled(arguments)
            if exact:
                compiled = variants(self._train_step, arguments, self._jit_options, self._options)
            made[placement] = compiled.measured(placement)
        return made[placement]
