"""The loop over batches that measures itself, for PyTorch."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, TypeVar

from multiboard.loop import Loop, measured_loop
from multiboard.profile.argument import check_profiler
from multiboard_torch.meter import Meter, check_watching

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from multiboard.meter import StepCounter
    from multiboard.profile.profiler import Profiler
    from multiboard.run import Run

__all__ = ["Loop", "loop"]

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
    profiler: Profiler | None = None,
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
        profiler: a `multiboard.Profiler` that marks the waits for batches, and follows the batches as its steps without
            `watching`. With it, it is that of the handle by default.

    Raises:
        ArgumentError: an argument is not one of the possible ones.

    Example:
        >>> import tempfile, torch, multiboard as mb
        >>> with mb.Run(tempfile.mkdtemp()) as run:
        ...     batches = loop([torch.ones(8, 2)] * 3, run)
        ...     for epoch in range(2):
        ...         for batch in batches:
        ...             run.log({"train/loss": batch.sum()}, batches.step)
        >>> batches.step
        5
    """
    counter = None if watching is None else check_watching(watching)
    make_meter = partial(Meter, run, every=every, memory=memory)
    if profiler is not None and counter is None:
        check_profiler(profiler)
        profiler.attach(run, "torch")
    return measured_loop(loader, run, make_meter, start_step=start_step, watching=counter, examples=examples, profiler=profiler)
