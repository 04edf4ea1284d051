"""What a meter counts and sums between two writings."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from multiboard import tags

if TYPE_CHECKING:
    from collections.abc import Sequence

    from multiboard.protocols import Pending

_MOST_PENDING: Final = 1024
"""Numbers of examples that are kept at most; then the older half is read, which no device computes any more."""


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
        examples: of which the number is known on the host.
    """

    __slots__ = ("_pending", "all_counted", "begun", "examples", "seconds", "updates", "waited")

    def __init__(self) -> None:
        self.begun = self.updates = 0
        self.seconds = self.waited = 0.0
        self.examples: float = 0
        self.all_counted = True
        self._pending: list[Pending[float]] = []

    def add_pending(self, examples: Pending[float]) -> None:
        """Add examples whose number is read later."""
        self._pending.append(examples)
        if len(self._pending) >= _MOST_PENDING:
            older, self._pending = self._pending[: _MOST_PENDING // 2], self._pending[_MOST_PENDING // 2 :]
            try:
                self.examples += sum([one.fetch() for one in older])
            except Exception:  # noqa: BLE001  # of a device, which will fail everywhere else as well
                self.all_counted = False

    def first_step(self) -> dict[str, Any]:
        """Return the scalar of a first update."""
        return {tags.FIRST_STEP_MS: 1000 * self.seconds / self.updates}

    def means(self, *, with_input: bool, with_rate: bool = False) -> dict[str, Any]:
        """Return the means by tag, pending ones among them.

        Args:
            with_input: whether waiting for data was measured.
            with_rate: whether the number of updates per second is wanted as well.
        """
        means: dict[str, Any] = {tags.STEP_MS: 1000 * self.seconds / self.updates}
        if with_rate:
            means[tags.STEPS_PER_S] = self.updates / self.seconds
        if with_input and self.begun:
            means[tags.INPUT_WAIT_MS] = 1000 * self.waited / self.begun
            means[tags.INPUT_SHARE] = self.waited / self.seconds
        if self.all_counted and self.begun:
            rate = Rate(self.examples, self._pending, self.begun / self.updates * self.seconds)
            means[tags.EXAMPLES_PER_S] = rate if self._pending else rate.fetch()
        return means


class Rate:
    """Examples per second, to be computed by the writer.

    Args:
        examples: of which the number is known.
        pending: the number of others.
        seconds: in which there were so many.
    """

    def __init__(self, examples: float, pending: Sequence[Pending[float]], seconds: float) -> None:
        self._examples, self._pending, self._seconds = examples, pending, seconds

    def fetch(self) -> float:
        """Return the rate."""
        return sum([one.fetch() for one in self._pending], self._examples) / self._seconds
