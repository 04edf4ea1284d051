"""A loss that jumps far above what it was, measured by its own noise.

A value is a spike if it lies, all at once,
- 10 robust standard deviations (of the median absolute deviation) above the median of the last 64 values, and
- for positive losses above 2.5 times that median, and 4 such deviations above it on a logarithmic scale, and
- twice as many deviations above as any value of the last thousands of steps: some losses, e.g. of small batches that are nearly
  learned, jump to tens of times their median every hundred steps, and that is how they are.

A falling loss is none, and neither is anything in the first 100 values.
"""

from __future__ import annotations

import math
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Final

from multiboard.alerts.alert import Advice, Alert
from multiboard.alerts.rule import OWN, Cooldown
from multiboard.alerts.running import RunningMedian

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from multiboard.buckets import Statistics

_WINDOW: Final = 64
_MEASURED: Final = 16
"""Values from which on the largest deviation is remembered."""
_WARM_UP: Final = 100
"""Values from which on there are alerts."""
_DEVIATIONS: Final = 10.0
_TIMES_THE_MEDIAN: Final = 2.5
_LOG_DEVIATIONS: Final = 4.0
_TIMES_THE_LARGEST: Final = 2.0
_FORGETTING: Final = 0.5 ** (1 / 4000)
"""Per value: what was the largest deviation counts half after 4000 of them."""
_SMALLEST_SPREAD: Final = 1e-3
"""Of the median: a loss that hardly moves must not make a spike of every digit."""


class LossSpike:
    """Finds spikes of losses.

    Args:
        losses: patterns of tags.
        cooldown: steps of silence after an alert.
    """

    name = "loss_spike"
    advice = Advice(
        "Loss spike",
        (
            "a batch that is unlike the others: wrong labels, a broken file, inputs on another scale",
            "a learning rate that is too high for what is learned now, or the end of a warm-up",
            "gradients that are not clipped, or clipped too late",
            "in float16 or bfloat16: a layer close to the largest number",
        ),
        (
            "`norm/grads` and `update_ratio` at this step and before it",
            "the examples of this batch",
            "whether the loss comes back: if it does, it was the batch",
        ),
    )

    def __init__(self, losses: Sequence[str], cooldown: int) -> None:
        self._patterns = losses
        self._cooldown = Cooldown(cooldown)
        self._series: dict[str, _Series] = {}

    def wants(self, tag: str) -> bool:
        """Tell whether a tag is a loss."""
        return is_loss(tag, self._patterns)

    def saw_scalars(self, numbers: Mapping[str, float], tags: Sequence[str], step: int) -> Iterator[Alert]:
        """Look at losses."""
        for tag in tags:
            series = self._series.setdefault(tag, _Series())
            before = series.jump(numbers[tag])
            if before is not None and self._cooldown.over(step):
                self._cooldown.start(step)
                value = numbers[tag]
                times = f", {value / before:.1f} times" if before > 0 else " beside"
                message = f"{tag!r} jumped to {value:.4g} at step {step}{times} its median of {before:.4g} before."
                yield Alert(self.name, step, tag, value, message)

    def saw_histogram(self, tag: str, statistics: Statistics, step: int) -> tuple[Alert, ...]:  # noqa: ARG002  # no loss is one
        """Find nothing."""
        return ()


def is_loss(tag: str, patterns: Sequence[str]) -> bool:
    """Tell whether a tag is one of the losses.

    >>> is_loss("val/Loss", ["*loss*"]), is_loss("nonfinite/train/loss", ["*loss*"])
    (True, False)
    """
    return not tag.startswith(OWN) and any(fnmatchcase(tag.lower(), pattern.lower()) for pattern in patterns)


class _Series:
    """One loss."""

    def __init__(self) -> None:
        self._recent = RunningMedian(_WINDOW)
        self._seen = 0
        self._last = math.inf
        self._largest = 0.0

    def jump(self, value: float) -> float | None:
        """Take the next value; return the median before it if it is a spike."""
        if not math.isfinite(value):
            return None
        recent, last, self._last = self._recent, self._last, value
        self._seen += 1
        self._largest *= _FORGETTING
        found = None
        if len(recent) >= _MEASURED and value > (median := recent.median):
            spread = recent.spread()
            deviations = (value - median) / max(spread, _SMALLEST_SPREAD * abs(median), 1e-12)
            enough = deviations > max(_DEVIATIONS, _TIMES_THE_LARGEST * self._largest)
            if enough and self._seen > _WARM_UP and value >= last and self._stands_out(value, median):
                found = median
            self._largest = max(self._largest, deviations)
        recent.add(value)
        return found

    def _stands_out(self, value: float, median: float) -> bool:
        """Tell whether a value of a positive loss is large by ratio, too."""
        if median <= 0:
            return True
        if value <= _TIMES_THE_MEDIAN * median:
            return False
        return self._recent.smallest <= 0 or math.log(value / median) > _LOG_DEVIATIONS * self._recent.log_spread()
