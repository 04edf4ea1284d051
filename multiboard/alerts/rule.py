"""What the rules of alerts have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from multiboard.alerts.alert import Advice, Alert
    from multiboard.buckets import Statistics

OWN: Final = ("nonfinite/", "norm/", "update_ratio", "perf/", "system/", "multiboard/")
"""Beginnings of tags that multiboard writes itself: no metrics of the training."""


class Rule(Protocol):
    """Looks at what a run writes and finds what is wrong. Called by one thread at a time.

    Attributes:
        name: of the rule, as in `Alert.rule`.
        advice: goes with each of its alerts.
    """

    name: str
    advice: Advice

    def wants(self, tag: str) -> bool:
        """Tell whether the rule looks at the scalars of a tag; asked once per tag."""
        ...

    def saw_scalars(self, numbers: Mapping[str, float], tags: Sequence[str], step: int) -> Iterable[Alert]:
        """Look at the numbers of one call.

        Args:
            numbers: all of them.
            tags: those that the rule wants, at least one.
            step: of the call.
        """
        ...

    def saw_histogram(self, tag: str, statistics: Statistics, step: int) -> Iterable[Alert]:
        """Look at a distribution."""
        ...


class Cooldown:
    """Keeps a rule silent for some steps after it has said something.

    Args:
        steps: how many.
    """

    def __init__(self, steps: int) -> None:
        self._steps = steps
        self._told: int | None = None

    def over(self, step: int) -> bool:
        """Tell whether the rule may say something at a step; captures come late, so that earlier steps are silent, too."""
        return self._told is None or abs(step - self._told) >= self._steps

    def start(self, step: int) -> None:
        """Begin to be silent."""
        self._told = step
