"""A loop over batches that measures itself; the batches, their order and the loader's behaviour stay as they are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, Final, Generic, Protocol, TypeVar

from multiboard.arguments import check_start_step
from multiboard.arrays import framework_of
from multiboard.errors import ArgumentError
from multiboard.meter import Calls
from multiboard.profile.argument import check_profiler

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from multiboard.meter import Meter, StepCounter
    from multiboard.profile.profiler import Profiler
    from multiboard.run import Run

_Batch = TypeVar("_Batch")
_ARRAYS: Final = frozenset({"numpy", "torch", "jax", "tensorflow"})


class MeterMaker(Protocol):
    """Makes the meter of a loop."""

    def __call__(self, *, watching: StepCounter) -> Meter:
        """Return a meter that follows a counter."""
        ...


def measured_loop(
    loader: Iterable[_Batch],
    run: Run | None,
    make_meter: MeterMaker,
    *,
    start_step: int,
    watching: StepCounter | None,
    examples: float | Callable[[_Batch], float] | None,
    profiler: Profiler | None = None,
) -> Loop[_Batch]:
    """Return the loop of an adapter, which describes the arguments.

    Args:
        loader: the batches.
        run: where it is said that the examples of a batch cannot be counted.
        make_meter: called once, with what counts the updates.
        start_step: where to begin to count, without `watching`.
        watching: what counts the updates, checked already; None counts batches.
        examples: of a batch, a number or a function of the batch; None counts them.
        profiler: marks its waits for batches, and follows the batches if nothing else counts the updates.

    Raises:
        ArgumentError: an argument is not one of the possible ones.
    """
    if not hasattr(loader, "__iter__") and not hasattr(loader, "__getitem__"):
        raise ArgumentError("loader", loader, "pass an iterable of batches, e.g. a data loader")
    is_number = isinstance(examples, (int, float)) and not isinstance(examples, bool) and examples > 0
    if examples is not None and not is_number and not callable(examples):
        raise ArgumentError("examples", examples, "pass the number of examples of a batch, or a function of the batch")
    check_profiler(profiler)
    if watching is not None:
        profiler = profiler or getattr(watching, "profiler", None)
        return Loop(loader, run, make_meter(watching=watching), watching, None, examples, profiler)
    calls = Calls(check_start_step(start_step))
    return Loop(loader, run, make_meter(watching=calls), calls, calls, examples, profiler)


class Loop(Generic[_Batch]):
    """The batches of a loader, measured: made by the `loop` of an adapter.

    Attributes:
        step: the global step of the update that the current batch belongs to; before the first batch that of the next update.
    """

    def __init__(
        self,
        loader: Iterable[_Batch],
        run: Run | None,
        meter: Meter,
        counter: StepCounter,
        calls: Calls | None,
        examples: float | Callable[[_Batch], float] | None,
        profiler: Profiler | None = None,
    ) -> None:
        self.step = counter.step
        self._loader, self._run, self._meter = loader, run, meter
        self._counter, self._calls = counter, calls
        self._examples = examples
        self._unknown: set[str] = set()
        self._profiler = profiler

    def __iter__(self) -> Iterator[_Batch]:
        return _Pass(self._loader, self._meter, self._begin, self._counter, self._profiler, drives=self._calls is not None)

    def __len__(self) -> int:
        length: Any = self._loader
        return len(length)

    def __repr__(self) -> str:
        return f"Loop({type(self._loader).__name__}, {self._run!r}, step={self.step})"

    def paused(self) -> AbstractContextManager[None]:
        """Return a context manager that leaves out what happens inside, e.g. an evaluation in the middle of an epoch."""
        if self._profiler is not None and self._calls is None and self._counter.step > self.step:
            self._profiler.left(self._counter.step)
        return self._meter.paused()

    def _begin(self, batch: _Batch) -> float | None:
        """Number a batch that is handed out now, and return how many examples it has."""
        self.step = self._counter.step
        if self._calls is not None:
            self._calls.step += 1
        try:
            return self._count(batch)
        except Exception as error:  # noqa: BLE001  # a count may not end a training
            self._say_unknown(f"counting the examples of a batch raised {type(error).__name__}: {error}")
            return None

    def _count(self, batch: _Batch) -> float | None:
        if self._examples is None:
            count = count_examples(batch)
            if count is None:
                self._say_unknown(f"how many examples a batch of type {type(batch).__name__} has cannot be told")
            return count
        return self._examples(batch) if callable(self._examples) else self._examples

    def _say_unknown(self, problem: str) -> None:
        if self._run is not None and problem not in self._unknown:
            self._unknown.add(problem)
            remedy = "perf/examples_per_s is left out; pass loop(..., examples=) a number or a function of the batch"
            self._run.report("examples of a batch", f"{problem}: {remedy}.")


class _Pass(Iterator[_Batch]):
    """One epoch."""

    def __init__(
        self,
        loader: Iterable[_Batch],
        meter: Meter,
        begin: Callable[[_Batch], float | None],
        counter: StepCounter,
        profiler: Profiler | None,
        *,
        drives: bool,
    ) -> None:
        self._meter, self._begin, self._counter = meter, begin, counter
        self._profiler, self._drives = profiler, drives
        self._step = counter.step
        self._handed_out = False
        self._examples: float | None = None
        meter.start()
        with meter.waiting(), nullcontext() if profiler is None else profiler.waiting():
            self._batches = iter(loader)

    def __next__(self) -> _Batch:
        if self._handed_out:
            self._handed_out = False
            self._meter.step(self._examples)
        try:
            with self._meter.waiting():
                batch = next(self._batches) if self._profiler is None else self._draw(self._profiler)
        except StopIteration:
            if self._profiler is not None and self._counter.step > self._step:  # no update is half done
                self._profiler.left(self._counter.step)
            self._meter.write()
            raise
        self._step = self._counter.step
        self._examples = self._begin(batch)
        self._handed_out = True
        return batch

    def _draw(self, profiler: Profiler) -> _Batch:
        """Wait for a batch; with it begins the step that it belongs to, if nobody else counts the updates."""
        step = self._counter.step
        if step >= profiler.next_step and (self._drives or profiler.between):
            profiler.reached(step)
        with profiler.waiting():
            return next(self._batches)


def count_examples(batch: Any) -> int | None:
    """Return the number of examples of a batch, None if it cannot be told.

    An array on a device is not read, only its shape.

    >>> import numpy as np
    >>> count_examples((np.zeros((8, 3)), np.zeros(8))), count_examples({"text": ["a", "b"]}), count_examples(7)
    (8, 2, None)
    """
    if _is_array(batch):
        return len(batch) if batch.ndim else None
    if isinstance(batch, (tuple, list)):
        return _count_of_first(batch)
    return _count_of_first(batch.values()) if isinstance(batch, Mapping) else None


def _count_of_first(elements: Iterable[Any]) -> int | None:
    """Return the length of the first array, or else of the first element with a length that is no text."""
    first = None
    for element in elements:
        if _is_array(element):
            if element.ndim:
                return len(element)
        elif first is None and hasattr(element, "__len__") and not isinstance(element, (str, bytes)):
            first = len(element)
    return first


def _is_array(value: Any) -> bool:
    return framework_of(type(value)) in _ARRAYS
