"""Scalars: the calls of every training step, and so the one place that is written for speed.

Once the first step is over, a call whose tags are known and whose values need no care is appended to a queue as it is; the writer
thread does the rest. Whatever is unusual goes through the checks of `Intake`.
"""

from __future__ import annotations

from collections.abc import Mapping
from operator import countOf
from time import time
from typing import TYPE_CHECKING, Any, Final

from multiboard.arrays import REFERENCES, stack_scalars, stack_unchecked, take_scalar
from multiboard.errors import TagError, ValueKindError
from multiboard.intake import STEP_END
from multiboard.surface.base import Surface
from multiboard.torch_values import on_host
from multiboard.values import IMMEDIATE, Row, Scalars

if TYPE_CHECKING:
    from multiboard.protocols import Logged
    from multiboard.values import Foreign

_record: Final = tuple.__new__
"""Makes a named tuple in two thirds of the time that its class takes."""


class ScalarsSurface(Surface):
    """Methods of `Run` for scalars."""

    def log(self, metrics: Mapping[str, Foreign], step: int, *, wall_time: float | None = None) -> None:
        """Log several scalars of one step; they share an event.

        Args:
            metrics: by tag: Python or NumPy numbers, or 0-d tensors of PyTorch, JAX, TensorFlow or Keras. What is on a device is
                read later by the writer thread: this call never waits for it. Written as float32.
            step: number of optimizer steps taken before this one, 64-bit.
            wall_time: when it was measured, seconds since the epoch; None is now.
        """
        now = time() if wall_time is None else self._intake.moment(wall_time)
        if (
            type(metrics) is dict
            and metrics
            and self._known.issuperset(metrics)
            and type(step) is int
            and -1 < step < STEP_END
            and self._log_known(metrics, step, now)
        ):
            return
        self._intake.attempt(lambda: self._log_each(metrics, self._intake.step(step), now), step)

    def _log_known(self, metrics: dict[str, Foreign], step: int, now: float) -> bool:
        """Take scalars whose tags are known without a look at each value, if that can be done; tell whether it was."""
        values = metrics.values()
        if countOf(map(type, values), float) == len(metrics) or IMMEDIATE.issuperset(map(type, values)):
            logged: Logged = (metrics.copy(), None, step, now)
        elif (foreign := _logged_foreign(metrics, step, now)) is not None:
            logged = foreign
        else:
            return False
        if len(self._numbers) < self._lane.limit:
            self._append(logged)
        else:
            self._lane.overflow(logged)
        return True

    def scalar(self, tag: str, value: Foreign, step: int, *, wall_time: float | None = None) -> None:
        """Log one scalar.

        Args:
            tag: e.g. 'train/loss'.
            value: as in `log`.
            step: as in `log`.
            wall_time: as in `log`.
        """
        now = time() if wall_time is None else self._intake.moment(wall_time)
        try:
            if tag in self._known and type(value) in IMMEDIATE and type(step) is int and -1 < step < STEP_END:
                if len(self._numbers) < self._lane.limit:
                    self._append((tag, value, step, now))
                else:
                    self._lane.overflow((tag, value, step, now))
                return
            metrics = {tag: value}
        except Exception:  # noqa: BLE001  # a tag that cannot be hashed
            self._intake.refuse(TagError(tag), step)
            return
        self.log(metrics, step, wall_time=now)

    def log_again(self, tags: tuple[str, ...], values: tuple[Foreign, ...] | Row, step: int, *, alike: bool = False) -> None:
        """Log scalars as `log` does, for an adapter that hands over the same tags at every step.

        Args:
            tags: of the scalars, all different; the same tuple each time spares a look at them.
            values: as many, as in `log`; or all of them in one array.
            step: as in `log`.
            alike: all values are of one class, which spares a look at each.
        """
        known = self._known  # empty when the run is closed
        if (
            known
            and (tags is self._again or (tags and known.issuperset(tags)))
            and (kind := type(values[0])) in REFERENCES
            and kind not in IMMEDIATE
            and (alike or countOf(map(type, values), kind) == len(values))
            and -1 < step < STEP_END
            and len(self._numbers) < self._lane.limit
        ):
            self._again = tags
            self._append(_record(Scalars, (tags, values, step, time())))
        else:
            self.log(dict(zip(tags, _elements(values.array, len(tags)) if type(values) is Row else values, strict=True)), step)

    def _log_each(self, metrics: Mapping[str, Foreign], step: int, now: float) -> None:
        if not isinstance(metrics, Mapping):
            raise ValueKindError("", metrics, "run.log takes a mapping of tags to numbers, e.g. {'train/loss': loss}.")
        taken: dict[str, Foreign] = {}
        known = self._known
        for tag, value in metrics.items():
            self._intake.attempt(lambda: self._take(taken, tag, value), step)  # noqa: B023  # called at once
        self._intake.accepted(step)
        self._session.start()
        if taken:
            self._lane.put_scalars(Scalars(tuple(taken), stack_scalars(taken.values()), step, now))
        if not self._intake.in_first_step:
            known.update(taken)
        if self._intake.closed:  # by another thread, meanwhile
            known.clear()

    def _take(self, taken: dict[str, Foreign], tag: str, value: Foreign) -> None:
        self._intake.claim(tag, "scalar")
        taken[tag] = take_scalar(tag, value)


def _elements(array: Any, count: int) -> list[Foreign]:
    return [array[place] for place in range(count)]


def _logged_foreign(metrics: dict[str, Foreign], step: int, now: float) -> Logged | None:
    """Return what is queued for scalars of which some are tensors; None if each needs a look."""
    values = metrics.values()
    if REFERENCES.issuperset(map(type, values)):
        return Scalars(tuple(metrics), tuple(values), step, now)
    numbers = on_host(values)
    if numbers is not None:
        return dict(zip(metrics, numbers, strict=True)), None, step, now
    stacked = stack_unchecked(tuple(values))
    return None if stacked is None else Scalars(tuple(metrics), stacked, step, now)
