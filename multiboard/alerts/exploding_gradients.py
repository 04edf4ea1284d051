"""Gradients whose norm rises by orders of magnitude.

Looked at are the norms of captures, `norm/grads` and those of each tensor, and tags with 'grad_norm' in them, as trainers write.
A norm explodes if two values in a row are more than 30 times the median of the last 50 before them, and more than 3 times all
that was there before the last 10: noisy gradients of a model that is nearly trained jump as far, but not beyond those of its
beginning. One tensor alone explodes only if it matters: if it is a tenth of the usual norm of all.
"""

from __future__ import annotations

import math
from collections import deque
from typing import TYPE_CHECKING, Final

from multiboard import tags as names
from multiboard.alerts.alert import Advice, Alert
from multiboard.alerts.rule import Cooldown
from multiboard.alerts.running import RunningMedian

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from multiboard.buckets import Statistics

_WINDOW: Final = 50
_WARM_UP: Final = 10
"""Values from which on there are alerts."""
_IN_A_ROW: Final = 2
_TIMES_THE_MEDIAN: Final = 30.0
_TIMES_THE_LARGEST: Final = 3.0
_RISE: Final = 10
"""Values that may belong to the rise itself."""
_SHARE: Final = 0.1
"""Of the usual norm of all gradients, from which on a tensor alone counts."""
_TOTAL: Final = names.norm(names.GRADS)
_TENSORS: Final = f"{_TOTAL}/"


class ExplodingGradients:
    """Finds gradients that explode.

    Args:
        cooldown: steps of silence after an alert.
    """

    name = "exploding_gradients"
    advice = Advice(
        "Exploding gradients",
        (
            "a learning rate that is too high, or a schedule that has just raised it",
            "no clipping, in a recurrent or a very deep model",
            "a norm or a softmax that divides by something close to 0",
            "parameters that have grown for a while without decay",
        ),
        (
            "`norm/grads/...`: the layer that rises first, not the one that rises most",
            "`norm/params` and `update_ratio`: an update of 1e-1 of its parameter is large, 1e-3 is usual",
            "the learning rate at this step",
        ),
    )

    def __init__(self, cooldown: int) -> None:
        self._cooldown = Cooldown(cooldown)
        self._series: dict[str, _Norm] = {}

    def wants(self, tag: str) -> bool:
        """Tell whether a tag is the norm of gradients, before they are clipped."""
        named = "grad_norm" in tag and not tag.startswith("nonfinite/")
        return tag == _TOTAL or tag.startswith(_TENSORS) or (named and "after_clip" not in tag)

    def saw_scalars(self, numbers: Mapping[str, float], tags: Sequence[str], step: int) -> Iterator[Alert]:
        """Look at norms."""
        total = self._series.get(_TOTAL)
        least = _SHARE * total.usual if total is not None and total.usual else 0.0
        exploded = {tag: usual for tag in tags if (usual := self._usual_if_exploded(tag, numbers[tag], least))}
        if not exploded or not self._cooldown.over(step):
            return
        self._cooldown.start(step)
        tensors = {tag: usual for tag, usual in exploded.items() if tag.startswith(_TENSORS)}
        tag = next((tag for tag in exploded if tag not in tensors), None) or next(iter(tensors))
        value = numbers[tag]
        usual = exploded[tag]
        message = f"{tag!r} rose to {value:.4g} at step {step}, {value / usual:.0f} times its median of {usual:.4g}"
        if tensors and tag not in tensors:
            worst = max(tensors, key=lambda each: numbers[each] / tensors[each])
            times = numbers[worst] / tensors[worst]
            message += f"; the gradient of {worst.removeprefix(_TENSORS)!r} rose most, {times:.0f} times"
        yield Alert(self.name, step, tag, value, f"{message}.")

    def saw_histogram(self, tag: str, statistics: Statistics, step: int) -> tuple[Alert, ...]:  # noqa: ARG002  # norms come along
        """Find nothing: the norms of a capture come as scalars."""
        return ()

    def _usual_if_exploded(self, tag: str, value: float, least: float) -> float:
        """Take a norm; return what it usually was if it explodes, else 0."""
        series = self._series.setdefault(tag, _Norm())
        exploded = series.explodes(value)
        return series.usual if exploded and (value >= least or not tag.startswith(_TENSORS)) else 0.0


class _Norm:
    """The norm of one gradient.

    Attributes:
        usual: its median while it did not explode; 0 before there are enough values.
    """

    def __init__(self) -> None:
        self.usual = 0.0
        self._recent = RunningMedian(_WINDOW)
        self._largest = 0.0
        self._last: deque[float] = deque()
        self._in_a_row = 0

    def explodes(self, value: float) -> bool:
        """Take the next value; tell whether it has risen far, not for the first time."""
        if not math.isfinite(value):
            return False
        self._last.append(value)
        if len(self._last) > _RISE:
            self._largest = max(self._largest, self._last.popleft())
        if self.usual and value > max(_TIMES_THE_MEDIAN * self.usual, _TIMES_THE_LARGEST * self._largest):
            self._in_a_row += 1
            return self._in_a_row >= _IN_A_ROW
        self._in_a_row = 0
        self._recent.add(value)
        if len(self._recent) >= _WARM_UP:
            self.usual = self._recent.median
        return False
