"""How long steps take, on whichever backend: the meter that all adapters share, and what it has to know of this one."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final

from multiboard.meter import Meter
from multiboard_keras.backend import BACKEND

if TYPE_CHECKING:
    from collections.abc import Callable

    from multiboard.protocols import Pending
    from multiboard.run import Run

_EVERY: Final = 10
"""Updates in a mean, as with the other adapters, if metrics are logged more often."""


class Progress:
    """The updates that were begun so far.

    Attributes:
        step: the global step of the next update.
        latest: a number that the last train step returned, on the device.
    """

    def __init__(self, step: int) -> None:
        self.step = step
        self.latest: Any = None


class Times:
    """Measures the training part of epochs.

    On JAX an update counts when the device has finished it, on the other backends when the train function returns. Steps in which
    JAX or TensorFlow compile are apart, as `perf/first_step_ms`.

    Args:
        run: the run to write to.
        batches: every how many batches metrics are logged; 0 for epochs only, and then the means are of whole epochs.
        rate: write steps per second as well.
        step: the global step of the first update.
        traces: returns how often train steps were traced so far.
    """

    def __init__(self, run: Run, batches: int, *, rate: bool, step: int, traces: Callable[[], int]) -> None:
        every = max(batches, _EVERY) if batches else sys.maxsize
        self._progress = Progress(step)
        self._meter = Meter(run, every=every, watching=self._progress, rate=rate, **_of_backend(self._progress, traces))
        self._running = False

    def begin(self) -> None:
        """Begin an epoch."""
        self._running = True
        self._meter.start()

    def step(self, step: int, logs: dict[str, Any], examples: int | Pending[float] | None) -> None:
        """Take note that a train function has returned.

        Args:
            step: the global step of the next update.
            logs: what the train function returned, on the device.
            examples: in the batches of the call, None if that is not known.
        """
        self._progress.latest = next(iter(logs.values()), None)
        self._progress.step = step
        self._meter.step(examples)

    def end(self) -> None:
        """End the training part of an epoch, if it has not ended yet."""
        if self._running:
            self._running = False
            self._meter.step(0)  # what the device has finished by now
            self._meter.write()


def count_compilations(traces: Callable[[], int]) -> Callable[[], int] | None:
    """Return what counts how often programs were compiled so far; None where nothing is compiled.

    Args:
        traces: returns how often train steps were traced so far.
    """
    if BACKEND == "jax":
        from multiboard_jax.meter import count_compilations as count

        return count()
    return None if BACKEND == "torch" else traces


def _of_backend(progress: Progress, traces: Callable[[], int]) -> dict[str, Any]:
    if BACKEND == "jax":
        from multiboard_jax.memory import memory_stats
        from multiboard_jax.meter import Finished

        return {"finished": Finished(progress), "compilations": count_compilations(traces), "memory": memory_stats}
    if BACKEND == "torch":
        from multiboard_torch.memory import memory_stats as torch_memory_stats

        return {"memory": torch_memory_stats}
    return {"compilations": traces}
