"""The mirror 'wandb': sends the scalars and hyper-parameters of a run on to Weights & Biases.

W&B drops what comes with a smaller step than the row before. So its own step is left alone, and the step of the run is the metric
`global_step`, over which all others are drawn: evaluations that end late lose nothing.
"""

from __future__ import annotations

import atexit
import logging
import os
import sys
import threading
import weakref
from collections import deque
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import wandb

from multiboard.forks import ForkableLock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from multiboard.buckets import Statistics
    from multiboard.run import Run

__all__ = ["Mirror"]

STEP: Final = "global_step"
NUMBERS: Final = 200_000
"""Numbers that wait for W&B at most."""
CLOSE_TIMEOUT: Final = 60.0
"""Seconds that the end of a run waits for W&B."""
_ROUND: Final = 0.2
"""Seconds between two looks at what waits; what one step logs in several calls becomes one row."""


class _Row(NamedTuple):
    numbers: Mapping[str, float]
    step: int
    wall_time: float


class Mirror:
    """Sends scalars on in a thread of its own, so that no call of the run waits for W&B; its start and its end do.

    It writes into the run of W&B that is active (`wandb.run`), and leaves it open; without one it begins one, which takes the
    environment's WANDB_PROJECT, WANDB_MODE, WANDB_DIR and so on. The project is 'multiboard' if none is stated, the name that of
    the run directory. What W&B does not take in time is dropped, newest first, counted and said.

    In a run of your own, call `wandb.log` without `step=`: the rows of the mirror count as steps of W&B, too.

    Args:
        run: that is mirrored.
    """

    def __init__(self, run: Run) -> None:
        self._run = weakref.ref(run)  # one that is forgotten is closed, which ends this mirror
        self._rows: deque[_Row | Mapping[str, Any]] = deque()
        self._taken = self._dropped = 0  # by the writer thread
        self._sent = self._refused = 0  # by the thread of this mirror
        self._closing = threading.Event()
        self._defined: set[str] = set()
        self._is_ours = False
        self._theirs: Any
        self._theirs = self._begin(os.fspath(run.url or run.log_dir))
        self._thread = threading.Thread(target=self._send_all, name="multiboard-wandb", daemon=True)
        if self._theirs is not None:
            self._thread.start()
            atexit.register(self._close_run)  # before that of W&B, which ends its run

    # ------------------------------------------------------------------ what the run calls, in its writer thread

    def saw_scalars(self, numbers: Mapping[str, float], step: int, wall_time: float) -> None:
        """Take the numbers of one call, or count them as dropped."""
        if self._theirs is None:
            return
        if self._taken - self._sent + len(numbers) > NUMBERS:
            self._dropped += len(numbers)
            message = f"W&B does not take the scalars of this run in time; from step {step} on some are not sent to it."
            self._report("mirror wandb dropped", message)
            return
        self._taken += len(numbers)
        self._rows.append(_Row(numbers, step, wall_time))

    def saw_histogram(self, tag: str, statistics: Statistics, step: int, wall_time: float) -> None:
        """Do nothing: only scalars are sent."""

    def saw_hparams(self, values: Mapping[str, Any]) -> None:
        """Send hyper-parameters and facts as the configuration."""
        if self._theirs is not None:
            self._rows.append(values)

    def close(self) -> None:
        """Send the rest and end the run of W&B, if it was begun here; waits for a minute at most."""
        if self._theirs is None:
            return
        atexit.unregister(self._close_run)
        self._closing.set()
        self._thread.join(CLOSE_TIMEOUT)
        if lost := self._dropped + self._refused:
            self._report("mirror wandb lost", f"{lost} scalars of this run are not in W&B.")
        if self._thread.is_alive():
            message = f"W&B has not taken all scalars of this run in {CLOSE_TIMEOUT:g} seconds; `wandb sync` sends what it holds."
            self._report("mirror wandb late", message)

    # ------------------------------------------------------------------ inside

    def _begin(self, directory: str) -> Any:
        """Return the run of W&B to write into, None if none can be begun."""
        try:
            with _beginning.current:
                self._is_ours = wandb.run is None or wandb.run.id in _begun
                theirs: Any = _new(directory) if self._is_ours else wandb.run
            theirs.define_metric(STEP)
            if self._is_ours:
                theirs.define_metric("*", step_metric=STEP)
        except Exception as error:  # noqa: BLE001  # no key, no network: a training goes on without its mirror
            self._report("mirror wandb", f"W&B could not be started, and gets nothing of this run: {error}")
            return None
        return theirs

    def _send_all(self) -> None:
        while not (self._closing.wait(_ROUND) and not self._rows):
            taken = [self._rows.popleft() for _ in range(len(self._rows))]
            for one in taken:
                if not isinstance(one, _Row):
                    self._guard(partial(self._theirs.config.update, dict(one), allow_val_change=True))
            for row in _joined(one for one in taken if isinstance(one, _Row)):
                if not self._guard(partial(self._send, row)):
                    self._refused += len(row.numbers)
            self._sent += sum(len(one.numbers) for one in taken if isinstance(one, _Row))
        if self._is_ours:
            self._guard(self._theirs.finish)

    def _send(self, row: _Row) -> None:
        self._guard(partial(self._define, row.numbers))
        self._theirs.log({**row.numbers, STEP: row.step, "_timestamp": row.wall_time})

    def _define(self, tags: Iterable[str]) -> None:
        """Draw metrics over the step of the run; in a run of the user's own only those of this run."""
        for tag in () if self._is_ours else set(tags) - self._defined:
            self._defined.add(tag)
            self._theirs.define_metric(tag, step_metric=STEP)

    def _close_run(self) -> None:
        run = self._run()
        if run is not None:
            run.close(success=getattr(sys, "last_value", None) is None)

    def _report(self, cause: str, message: str) -> None:
        run = self._run()
        if run is None:
            logging.getLogger("multiboard").warning("%s", message)
        else:
            run.report(cause, message)

    def _guard(self, action: Callable[[], object]) -> bool:
        try:
            action()
        except Exception as error:  # noqa: BLE001  # nothing of W&B's may end the thread
            self._report(f"mirror wandb {type(error).__name__}", f"W&B did not take what this run sent: {error}")
            return False
        return True


def _new(directory: str) -> Any:
    """Begin a run of W&B, beside those of other mirrors."""
    others: dict[str, Any] = {} if wandb.run is None else {"reinit": "create_new"}
    project = os.environ.get("WANDB_PROJECT", "multiboard")
    theirs = wandb.init(project=project, name=os.environ.get("WANDB_NAME", Path(directory).name), **others)
    _begun.add(theirs.id)
    return theirs


_begun: Final[set[str]] = set()
"""The runs of W&B that mirrors have begun; each is of one run."""
_beginning: Final = ForkableLock()


def _joined(rows: Iterable[_Row]) -> Iterator[_Row]:
    """Yield rows, with those that follow each other at one step in one, as far as they differ in their tags."""
    last: _Row | None = None
    for row in rows:
        if last is not None and last.step == row.step and last.numbers.keys().isdisjoint(row.numbers):
            last = _Row({**last.numbers, **row.numbers}, row.step, row.wall_time)
            continue
        if last is not None:
            yield last
        last = row
    if last is not None:
        yield last
