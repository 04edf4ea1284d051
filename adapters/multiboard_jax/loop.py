"""The loop over batches that measures itself, for JAX."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, TypeVar

from multiboard.loop import Loop, measured_loop
from multiboard.profile.argument import check_profiler
from multiboard_jax.capture import WrappedStep
from multiboard_jax.meter import Meter, check_watching

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
    memory of accelerators (see `Meter`, also for what the times mean when the device runs behind), and what is left at the end of
    an epoch. What happens between two epochs is not counted. A batch that the loop is left with (break) is in no mean. The loop
    waits for no device, keeps no reference to a batch, and starts no thread.

    Args:
        loader: the batches: a grain loader, the NumPy iterator of a tf.data.Dataset, a DataLoader of PyTorch, a generator.
        run: the run to write to; None writes nothing.
        every: updates from one writing to the next, at least 1.
        start_step: number of updates made before, when a training is resumed; not used with `watching`.
        watching: the step that `wrap_train_step` returns, which counts the updates and tells when the device has finished them.
            Without it every batch is one update, and finished when its call is.
        examples: of a batch, a number or a function of the batch. By default the length of the array, of the first array in a
            tuple, list or dict, or else of the first element that has a length. If it cannot be told, `perf/examples_per_s` is
            left out, which is said once.
        memory: write the memory of accelerators.
        profiler: a `multiboard.Profiler` whose waits for input are those of the loop. The step that is watched drives it, and
            without `watching` the loop does. A step that was wrapped with a profiler needs none here.

    Raises:
        ArgumentError: an argument is not one of the possible ones.

    Example:
        >>> import tempfile, numpy as np, multiboard as mb
        >>> with mb.Run(tempfile.mkdtemp()) as run:
        ...     batches = loop([np.ones((8, 2))] * 3, run)
        ...     for epoch in range(2):
        ...         for batch in batches:
        ...             run.log({"train/loss": batch.sum()}, batches.step)
        >>> batches.step
        5
    """
    counter = None if watching is None else check_watching(watching)
    driven = check_profiler(profiler)
    if driven is not None and isinstance(watching, WrappedStep):
        watching.drive(driven)
    elif driven is not None:
        driven.attach(run, "jax")
    make_meter = partial(Meter, run, every=every, memory=memory)
    return measured_loop(loader, run, make_meter, start_step=start_step, watching=counter, examples=examples, profiler=driven)
