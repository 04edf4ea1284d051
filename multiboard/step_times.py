"""What a meter counts and sums between two writings."""

from __future__ import annotations

from time import perf_counter
from typing import NamedTuple

from multiboard import tags


class Counts(NamedTuple):
    """What a meter has seen: updates begun, updates finished and programs compiled, each since the start."""

    begun: int
    finished: int
    compiled: int

    def beyond(self, other: Counts) -> Counts:
        """Return what is there more than in another."""
        return Counts(self.begun - other.begun, self.finished - other.finished, self.compiled - other.compiled)


class Stopwatch:
    """A stopwatch as a context manager; nested, the outermost counts.

    Attributes:
        seconds: waited in this step so far.
        used: whether anybody asked for it.
    """

    def __init__(self) -> None:
        self.seconds = 0.0
        self.used = False
        self._depth = 0
        self._began = 0.0

    def __enter__(self) -> None:
        self._depth += 1
        if self._depth == 1:
            self._began = perf_counter()

    def __exit__(self, *_: object) -> None:
        self._depth -= 1
        if self._depth == 0:
            self.seconds += perf_counter() - self._began


class Sums:
    """Sums over the steps since the last writing.

    Attributes:
        begun: updates that were begun; examples and waiting belong to them.
        updates: updates that were finished; the time belongs to them.
    """

    __slots__ = ("all_counted", "begun", "examples", "seconds", "updates", "waited")

    def __init__(self) -> None:
        self.begun = self.updates = 0
        self.seconds = self.waited = 0.0
        self.examples: float = 0
        self.all_counted = True

    def first_step(self) -> dict[str, float]:
        """Return the scalar of a first update."""
        return {tags.FIRST_STEP_MS: 1000 * self.seconds / self.updates}

    def means(self, *, with_input: bool, with_rate: bool = False) -> dict[str, float]:
        """Return the means by tag.

        Args:
            with_input: whether waiting for data was measured.
            with_rate: whether the number of updates per second is wanted as well.
        """
        means = {tags.STEP_MS: 1000 * self.seconds / self.updates}
        if with_rate:
            means[tags.STEPS_PER_S] = self.updates / self.seconds
        if with_input and self.begun:
            means[tags.INPUT_WAIT_MS] = 1000 * self.waited / self.begun
            means[tags.INPUT_SHARE] = self.waited / self.seconds
        if self.all_counted and self.begun:
            means[tags.EXAMPLES_PER_S] = self.examples * (self.updates / self.begun) / self.seconds
        return means
