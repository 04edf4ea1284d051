"""A loop that waits for its data, or in which no step comes any more.

`perf/input_share`, which loops and meters write, is the share of the time that a loop waits for batches. It is told if it is
above one half three times in a row after it was below a quarter, or ten times in a row from the beginning. Waits of less than a
millisecond per update are none: in a tiny model everything takes a large share.

That no new step comes is seen by the writer thread when it wakes up, without a thread of its own: after a minute, and after ten
times the usual time between steps and three times the longest one, e.g. that of an evaluation.
"""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Final

from multiboard import tags as names
from multiboard.alerts.alert import Advice, Alert
from multiboard.alerts.rule import Cooldown
from multiboard.alerts.running import RunningMedian

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from multiboard.buckets import Statistics

_WINDOW: Final = 50
_HIGH: Final = 0.5
_LOW: Final = 0.25
_WAIT_MS: Final = 1.0
_IN_A_ROW: Final = 3
_FROM_THE_BEGINNING: Final = 10
_LEAST_SECONDS: Final = 60.0
_STEPS: Final = 5
"""Steps from which on the usual time between them is known."""
_TIMES_THE_MEDIAN: Final = 10.0
_TIMES_THE_LONGEST: Final = 3.0


class StalledInput:
    """Finds loops that wait.

    Args:
        cooldown: steps of silence after an alert.
        least_seconds: without a step before anything is said.
    """

    name = "stalled_input"
    advice = Advice(
        "Stalled input",
        (
            "a loader with too few worker processes, or without prefetching",
            "files on a disk or in a network that has become slow, or is shared with others",
            "an expensive transformation in the loader, or a first epoch that fills a cache",
            "no step at all: another process that has ended or waits, an evaluation, a checkpoint",
            "no step any more: the training is over, and the run was not closed",
        ),
        (
            "`perf/input_wait_ms` beside `perf/step_ms`",
            "`system/...`: are the CPUs busy, or do they wait for the disk or the network",
            "the loop without the model: how many batches a second does the loader make",
        ),
    )

    def __init__(self, cooldown: int, least_seconds: float = _LEAST_SECONDS) -> None:
        self._cooldown = Cooldown(cooldown)
        self._shares = RunningMedian(_WINDOW)
        self._high = 0
        self.pace = Pace(least_seconds)

    def wants(self, tag: str) -> bool:
        """Tell whether a tag is the share of waiting."""
        return tag == names.INPUT_SHARE

    def saw_scalars(self, numbers: Mapping[str, float], tags: Sequence[str], step: int) -> Iterator[Alert]:  # noqa: ARG002  # one tag
        """Look at how long the loop waits."""
        share, wait = numbers[names.INPUT_SHARE], numbers.get(names.INPUT_WAIT_MS, 0.0)
        if not (share > _HIGH and wait >= _WAIT_MS):
            self._high = 0
            self._shares.add(share if share == share else 0.0)  # noqa: PLR0124  # NaN would be in no order
            return
        self._high += 1
        was_low = len(self._shares) >= _IN_A_ROW and self._shares.median < _LOW
        if self._high == (_IN_A_ROW if was_low else _FROM_THE_BEGINNING) and self._cooldown.over(step):
            self._cooldown.start(step)
            before = f"; it was {100 * self._shares.median:.0f} % before" if was_low else ""
            time = f"{100 * share:.0f} % of its time up to step {step}, {wait:.1f} ms per update"
            message = f"the loop waits for data for {time}{before}."
            yield Alert(self.name, step, names.INPUT_SHARE, share, message)

    def saw_histogram(self, tag: str, statistics: Statistics, step: int) -> tuple[Alert, ...]:  # noqa: ARG002  # no time is one
        """Find nothing."""
        return ()

    def tick(self) -> Iterator[Alert]:
        """Look at the clock."""
        waited = self.pace.waited_too_long()
        if waited is not None:
            step = self.pace.last_step
            message = f"nothing was logged for {waited:.0f} s after step {step}; before, a step took {self.pace.usual:.3g} s."
            yield Alert(self.name, step, "", waited, message)


class Pace:
    """The time from one step to the next, as the writer sees it.

    Args:
        least_seconds: what is never too long.

    Attributes:
        last_step: the newest one.
    """

    def __init__(self, least_seconds: float) -> None:
        self.last_step = 0
        self._least = least_seconds
        self._times = RunningMedian(_WINDOW)
        self._seen: float | None = None
        self._longest = 0.0
        self._told = False

    @property
    def usual(self) -> float:
        """Seconds from step to step."""
        return self._times.median

    def saw(self, step: int) -> None:
        """Take the step of something that was logged; anything at all is a sign of life."""
        now = monotonic()
        self._told = self._told and step == self.last_step  # e.g. what `on_alert` logs is no new step
        if self._seen is not None and step > self.last_step:
            elapsed = now - self._seen
            self._times.add(elapsed / (step - self.last_step))
            self._longest = max(self._longest, elapsed)
        self.last_step = max(step, self.last_step) if self._seen is not None else step
        self._seen = now

    def waited_too_long(self) -> float | None:
        """Return for how many seconds nothing came if that is too long, once."""
        if self._told or self._seen is None or len(self._times) < _STEPS:
            return None
        waited = monotonic() - self._seen
        limit = max(self._least, _TIMES_THE_MEDIAN * self.usual, _TIMES_THE_LONGEST * self._longest)
        self._told = waited > limit
        return waited if self._told else None
