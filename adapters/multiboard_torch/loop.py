"""A loop over batches that measures itself; the batches, their order and the loader's behaviour stay as they are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np
import torch

from multiboard.arguments import check_start_step
from multiboard.errors import ArgumentError
from multiboard_torch.meter import Calls, Meter, check_watching

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from multiboard.run import Run
    from multiboard_torch.meter import StepCounter

_Batch = TypeVar("_Batch")


def loop(
    loader: Iterable[_Batch],
    run: Run | None,
    *,
    every: int = 10,
    start_step: int = 0,
    watching: StepCounter | None = None,
    examples: float | Callable[[_Batch], float] | None = None,
    memory: bool = True,
) -> Loop[_Batch]:
    """Return the batches of a loader as a loop that measures itself: make it once, and iterate over it in every epoch.

    At every n-th update the run gets `perf/step_ms`, `perf/input_wait_ms`, `perf/input_share`, `perf/examples_per_s` and the
    memory of accelerators (see `Meter`), and what is left at the end of an epoch. A step is what one batch takes, from asking for
    it until asking for the next; what happens between two epochs is not counted. A batch that the loop is left with (break) is
    in no mean. The loop keeps no reference to a batch, and starts no thread.

    Args:
        loader: the batches, e.g. a DataLoader.
        run: the run to write to; None writes nothing.
        every: updates from one writing to the next, at least 1.
        start_step: number of updates made before, when a training is resumed; not used with `watching`.
        watching: the handle of `watch`, which counts the updates. Without it every batch is one update.
        examples: of a batch, a number or a function of the batch. By default the length of the tensor, of the first tensor or
            array in a tuple, list or dict, or else of the first element that has a length. If it cannot be told,
            `perf/examples_per_s` is left out, which is said once.
        memory: write the memory of accelerators.

    Raises:
        ArgumentError: an argument is not one of the possible ones.

    Example:
        >>> import tempfile, multiboard as mb
        >>> with mb.Run(tempfile.mkdtemp()) as run:
        ...     batches = loop([torch.ones(8, 2)] * 3, run)
        ...     for epoch in range(2):
        ...         for batch in batches:
        ...             run.log({"train/loss": batch.sum()}, batches.step)
        >>> batches.step
        5
    """
    if not hasattr(loader, "__iter__") and not hasattr(loader, "__getitem__"):
        raise ArgumentError("loader", loader, "pass an iterable of batches, e.g. a torch.utils.data.DataLoader")
    is_number = isinstance(examples, (int, float)) and not isinstance(examples, bool) and examples > 0
    if examples is not None and not is_number and not callable(examples):
        raise ArgumentError("examples", examples, "pass the number of examples of a batch, or a function of the batch")
    calls = Calls(check_start_step(start_step)) if watching is None else None
    counter = check_watching(watching) if calls is None else calls
    return Loop(loader, run, Meter(run, every=every, watching=counter, memory=memory), counter, calls, examples)


class Loop(Generic[_Batch]):
    """The batches of a loader, measured: made by `loop`.

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
    ) -> None:
        self.step = counter.step
        self._loader, self._run, self._meter = loader, run, meter
        self._counter, self._calls = counter, calls
        self._examples = examples
        self._unknown: set[str] = set()

    def __iter__(self) -> Iterator[_Batch]:
        return _Pass(self._loader, self._meter, self._begin)

    def __len__(self) -> int:
        length: Any = self._loader
        return len(length)

    def __repr__(self) -> str:
        return f"Loop({type(self._loader).__name__}, {self._run!r}, step={self.step})"

    def paused(self) -> AbstractContextManager[None]:
        """Return a context manager that leaves out what happens inside, e.g. an evaluation in the middle of an epoch."""
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

    def __init__(self, loader: Iterable[_Batch], meter: Meter, begin: Callable[[_Batch], float | None]) -> None:
        self._meter, self._begin = meter, begin
        self._handed_out = False
        self._examples: float | None = None
        meter.start()
        with meter.waiting():
            self._batches = iter(loader)

    def __next__(self) -> _Batch:
        if self._handed_out:
            self._handed_out = False
            self._meter.step(self._examples)
        try:
            with self._meter.waiting():
                batch = next(self._batches)
        except StopIteration:
            self._meter.write()
            raise
        self._examples = self._begin(batch)
        self._handed_out = True
        return batch


def count_examples(batch: Any) -> int | None:
    """Return the number of examples of a batch, None if it cannot be told.

    A tensor on a device is not read, only its shape.

    >>> count_examples((torch.zeros(8, 3), torch.zeros(8))), count_examples({"text": ["a", "b"]}), count_examples(7)
    (8, 2, None)
    """
    if isinstance(batch, (torch.Tensor, np.ndarray)):
        return len(batch) if batch.ndim else None
    if isinstance(batch, (tuple, list)):
        return _count_of_first(batch)
    return _count_of_first(batch.values()) if isinstance(batch, Mapping) else None


def _count_of_first(elements: Iterable[Any]) -> int | None:
    """Return the length of the first tensor or array, or else of the first element with a length that is no text."""
    first = None
    for element in elements:
        if isinstance(element, (torch.Tensor, np.ndarray)):
            if element.ndim:
                return len(element)
        elif first is None and hasattr(element, "__len__") and not isinstance(element, (str, bytes)):
            first = len(element)
    return first
