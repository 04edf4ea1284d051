"""The meter of PyTorch loops, by the clock of the host.

No device is waited for. A loop that launches kernels runs ahead of the device only until the queue is full or something is read
back, so that the mean over many updates is the time that one takes, although a single step may look shorter or longer.
A step costs a few microseconds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import multiboard.meter
from multiboard.arguments import check_flag
from multiboard.meter import check_counter
from multiboard_torch.memory import memory_stats

if TYPE_CHECKING:
    from multiboard.meter import StepCounter
    from multiboard.run import Run


class Meter(multiboard.meter.Meter):
    """Measures the steps of a training loop and writes their means at every n-th update.

    Written are `perf/step_ms`, `perf/examples_per_s` (of this process; only if the examples of all steps are known) and, if
    `waiting` is used, `perf/input_wait_ms` and `perf/input_share` (0 to 1), each over all updates since the last writing, at the
    step of the last of them. The first update, which compiles and warms up, is in no mean: it is `perf/first_step_ms`, or left
    out if nothing was called before its end. What goes wrong is counted by the run and said once.

    Args:
        run: the run to write to; None writes nothing, for processes of a distributed training that only take part.
        every: updates from one writing to the next, at least 1.
        start_step: number of updates made before, when a training is resumed; not used with `watching`.
        watching: what counts the updates, the handle of `watch`: `step` may then be called after every batch, also if several
            batches make one update. Without it every call of `step` is one update.
        memory: write `memory_stats` as well.

    Raises:
        ArgumentError: an argument is not one of the possible ones.

    Example:
        >>> import tempfile, multiboard as mb
        >>> with mb.Run(tempfile.mkdtemp()) as run:
        ...     meter = Meter(run, every=10)
        ...     batches = iter([[1.0, 2.0]] * 20)
        ...     for _ in range(20):
        ...         with meter.waiting():
        ...             batch = next(batches)
        ...         meter.step(examples=len(batch))
    """

    def __init__(
        self,
        run: Run | None,
        *,
        every: int = 10,
        start_step: int = 0,
        watching: StepCounter | None = None,
        memory: bool = True,
    ) -> None:
        super().__init__(
            run,
            every=every,
            start_step=start_step,
            watching=None if watching is None else check_watching(watching),
            memory=memory_stats if check_flag("memory", memory) else None,
        )


def check_watching(watching: Any) -> StepCounter:
    """Return what counts the updates, or raise ArgumentError if it does not."""
    return check_counter(watching, "pass the handle that mbt.watch(model, optimizer, run) returns")
