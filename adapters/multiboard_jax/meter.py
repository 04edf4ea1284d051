"""The meter of JAX loops: it counts updates when the device has finished them, and waits for none.

JAX returns from a jitted step before the device has run it, on CPUs as well: up to 32 steps may be under way (of jax 0.10 on a
CPU), and the first 32 calls of a step of 16 ms take 0.0 ms each. Only then does a call take as long as a step.
"""

from __future__ import annotations

import functools
from collections import deque
from typing import TYPE_CHECKING, Any, Final

import jax

import multiboard.meter
from multiboard.arguments import check_flag
from multiboard.meter import check_counter
from multiboard_jax.memory import memory_stats

if TYPE_CHECKING:
    from collections.abc import Callable

    from multiboard.meter import StepCounter
    from multiboard.run import Run

_COMPILED: Final = "/jax/core/compile/backend_compile_duration"


class Meter(multiboard.meter.Meter):
    """Measures the steps of a training loop and writes their means at every n-th update.

    Written are `perf/step_ms`, `perf/examples_per_s` (of this process; only if the examples of all steps are known) and, if
    `waiting` is used, `perf/input_wait_ms` and `perf/input_share` (0 to 1, of the host's time), each over all updates since the
    last writing, at the step of the last of them. A step in which something was compiled (the first of each variant of a wrapped
    step, and whenever a shape changes) is in no mean: its time on the host is a `perf/first_step_ms`. What goes wrong is counted
    by the run and said once.

    With `watching`, an update counts when the device has finished it: when a metric that the step returned is ready, which is
    asked at the end of later steps and never waited for. So the means are times of the device if the device is slower, and of
    the host if the host is; updates under way at the end of an epoch or in a pause are in no mean. Without `watching`, or if the
    step returns no metric on the device, calls are counted, whose times are right only when the queue of the device has filled.

    Args:
        run: the run to write to; None writes nothing, for processes of a distributed training that only take part.
        every: updates from one writing to the next, at least 1.
        start_step: number of updates made before, when a training is resumed; not used with `watching`.
        watching: what counts the updates, the step that `wrap_train_step` returns. Without it every call of `step` is one update.
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
        counter = None if watching is None else check_watching(watching)
        super().__init__(
            run,
            every=every,
            start_step=start_step,
            watching=counter,
            finished=None if counter is None else Finished(counter),
            compilations=count_compilations(),
            memory=memory_stats if check_flag("memory", memory) else None,
        )


def check_watching(watching: Any) -> StepCounter:
    """Return what counts the updates, or raise ArgumentError if it does not."""
    return check_counter(watching, "pass the step that mbj.wrap_train_step(train_step, run) returns")


class Finished:
    """Counts the updates that the device has finished, of those that a wrapped step has begun.

    Args:
        watching: counts the updates that were begun; its attribute `latest` is a value that the last of them returns.
    """

    def __init__(self, watching: StepCounter) -> None:
        self._watching = watching
        self._begun = self._over = watching.step
        self._under_way: deque[tuple[int, Any]] = deque()

    @property
    def step(self) -> int:
        """The global step of the first update that is not over; asks the device's runtime and does not wait."""
        begun, under_way = self._watching.step, self._under_way
        if begun != self._begun:
            self._begun = begun
            latest = getattr(self._watching, "latest", None)
            if hasattr(latest, "is_ready"):
                under_way.append((begun, latest))
            else:
                under_way.clear()
                self._over = begun
        while under_way and _is_over(under_way[0][1]):
            self._over = under_way.popleft()[0]
        return self._over


def _is_over(value: Any) -> bool:
    # Only the thread that trains may ask: `is_ready` ends the process if another one donates the array meanwhile.
    try:
        return bool(value.is_deleted() or value.is_ready())
    except Exception:  # noqa: BLE001  # a device that failed: the training will hear of it
        return True


class _Heard:
    """Counts the programs that this process compiles."""

    def __init__(self) -> None:
        self.count = 0

    def hear(self, event: str, duration_secs: float, **_: Any) -> None:  # noqa: ARG002  # called by name
        if event == _COMPILED:
            self.count += 1


def count_compilations() -> Callable[[], int]:
    """Return a function that tells how many programs were compiled so far."""
    heard = _listen()
    return lambda: heard.count


@functools.cache
def _listen() -> _Heard:
    heard = _Heard()
    jax.monitoring.register_event_duration_secs_listener(heard.hear)
    return heard
