"""The profiled window: which batches of a fit are traced, and when the profiler of the backend starts and stops.

What a trace is differs by backend: `profile_jax.py`, `profile_tensorflow.py` and `profile_torch.py` have the same `Trace`.
"""

from __future__ import annotations

import contextlib
import sys
import threading
import warnings
import weakref
from numbers import Integral
from typing import TYPE_CHECKING, Any, Final, Protocol

import keras

from multiboard.errors import ArgumentError, MultiboardWarning

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

_RULE: Final = (
    "pass 0 for no profile, the number of a batch, counted from 1, or the first and the last one, e.g. (10, 20) or '10,20'"
)
_NEVER: Final = sys.maxsize
_last: Final = threading.local()
"""`window`: the last one of this thread that has started the profiler."""


def check_profile_batch(value: object) -> tuple[int, int] | None:
    """Return the first and the last batch to profile, counted from 1 at the beginning of the fit; None for no profile.

    Args:
        value: 0, a batch, a pair as tuple or list, or the same as text, as `keras.callbacks.TensorBoard` takes it.

    Raises:
        ArgumentError: it is something else, or the last batch is before the first one.

    >>> check_profile_batch("500,520"), check_profile_batch(3), check_profile_batch(0)
    ((500, 520), (3, 3), None)
    """
    numbers = _numbers(value)
    if numbers in {(0,), (0, 0)}:
        return None
    if not numbers or len(numbers) > 2 or not 1 <= numbers[0] <= numbers[-1]:  # noqa: PLR2004  # a pair
        raise ArgumentError("profile_batch", value, _RULE)
    return numbers[0], numbers[-1]


def _numbers(value: object) -> tuple[int, ...]:
    """Return the integers of an argument, none if there is something else in it."""
    if isinstance(value, str):
        with contextlib.suppress(ValueError):
            return tuple(int(part) for part in value.split(","))
        return ()
    if not isinstance(value, (tuple, list)):
        return _numbers((value,))
    if any(isinstance(number, bool) or not isinstance(number, Integral) for number in value):
        return ()
    return tuple(map(int, value))


class Trace(Protocol):
    """A profiler of a backend that runs from its construction, which waits for the devices, until `stop`."""

    def step(self, batch: int) -> contextlib.AbstractContextManager[Any]:
        """Return what marks the work inside as that of a batch."""
        ...

    def stop(self) -> None:
        """Wait for the devices and write `<log_dir>/plugins/profile/<session>/`."""
        ...


def _start(log_dir: str | os.PathLike[str]) -> Trace:
    """Start the profiler of the backend; raises if one is running already."""
    backend = keras.backend.backend()
    if backend == "jax":
        from multiboard_keras.profile_jax import JaxTrace

        return JaxTrace(log_dir)
    if backend == "tensorflow":
        from multiboard_keras.profile_tensorflow import TensorFlowTrace

        return TensorFlowTrace(log_dir)
    if backend == "torch":
        from multiboard_keras.profile_torch import TorchTrace

        return TorchTrace(log_dir)
    raise RuntimeError(f"there is no profiler for the backend {backend!r}")


class Window:
    """Profiles some batches of one fit; all methods are called on the training thread and raise nothing.

    Outside of the window a batch costs two comparisons of integers. At both ends of it the training waits for the devices, so
    that all work of these batches is inside and no other; at its end also until the profiler has written its files, which may
    take seconds. If the fit ends in an exception, the window ends with `close`, when the next fit with a window begins, when
    this object goes, or with the program.

    Args:
        batches: the first and the last batch, counted from 1; None profiles none.
        log_dir: where the dashboard looks for `plugins/profile/<session>/`, as a rule the run directory.
        report: called with cause and message if there is no profile, e.g. because another profiler is running, which goes on.
    """

    def __init__(
        self, batches: tuple[int, int] | None, log_dir: str | os.PathLike[str], report: Callable[[str, str], None]
    ) -> None:
        self._first, self._last = batches or (_NEVER, _NEVER)
        self._range = f"batch {self._first}" if self._first == self._last else f"batches {self._first} to {self._last}"
        self._log_dir = log_dir
        self._report = report
        self._trace: Trace | None = None
        self._step: contextlib.AbstractContextManager[Any] | None = None
        self._late_stop: weakref.finalize[Any, Any] | None = None
        if batches is not None:
            _close_last()

    def before(self, batch: int) -> None:
        """Start the profiler if this is the first batch of the window, or the first after it, with several steps per call."""
        if batch >= self._first:
            self._leave_step()
            if batch > self._last and self._trace is not None:  # nobody has said that the last one is over
                self.close()
                return
            with self._reporting():
                trace = self._trace or self._open()
                step = trace.step(batch)
                step.__enter__()
                self._step = step

    def after(self, batch: int) -> None:
        """Stop the profiler if the window ends with this batch."""
        if batch >= self._first:
            self._leave_step()
            if batch >= self._last:
                self.close()

    def close(self) -> None:
        """Stop the profiler if it runs and keep what there is; a second call does nothing."""
        early, self._first = self._first != _NEVER, _NEVER
        trace, self._trace = self._trace, None
        if trace is None:
            if early:
                self._report("profile", f"{self._range}: there is no profile, because the fit ended before.")
            return
        self._leave_step()
        if self._late_stop is not None:
            self._late_stop.detach()
        with self._reporting():
            trace.stop()

    def _open(self) -> Trace:
        self._trace = trace = _start(self._log_dir)
        self._late_stop = weakref.finalize(self, _stop_late, trace)
        _last.window = weakref.ref(self)
        return trace

    def _leave_step(self) -> None:
        step, self._step = self._step, None
        if step is not None:
            with self._reporting():
                step.__exit__(None, None, None)

    @contextlib.contextmanager
    def _reporting(self) -> Any:
        """Let nothing that goes wrong with a profiler reach the training; after it the window is over."""
        try:
            yield
        except Exception as error:  # noqa: BLE001
            self._report("profile", f"{self._range}: there is no profile: {type(error).__name__}: {error}")
            if self._trace is None:
                self._first = _NEVER


def _close_last() -> None:
    """Close the window that this thread has left open: its fit ended in an exception, for here the next one begins."""
    last = getattr(_last, "window", None)
    window = None if last is None else last()
    if window is not None and window._trace is not None:  # noqa: SLF001  # another Window
        window.close()


def _stop_late(trace: Trace) -> None:
    """Stop the profiler of a window that nobody closed, and say what goes wrong where it can still be said."""
    try:
        trace.stop()
    except Exception as error:  # noqa: BLE001
        warnings.warn(f"the profile of a fit that ended early is lost: {error}", MultiboardWarning, stacklevel=2)
