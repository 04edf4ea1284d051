"""Those who see what a run writes: alerts, mirrors, and whoever calls `Run.observe`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from multiboard.encode import float32
from multiboard.errors import cause_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from multiboard.buckets import Statistics
    from multiboard.protocols import Logged, Observer
    from multiboard.reports import Reports
    from multiboard.values import Histogram, HParams, Scalars


class Observers:
    """Calls the observers of one run; what they raise is reported and stops nobody.

    Args:
        reports: receives what they raise.
    """

    def __init__(self, reports: Reports) -> None:
        self._reports = reports
        self._all: tuple[Observer, ...] = ()
        self._clocked: tuple[Any, ...] = ()
        self._written: dict[int, Scalars | None] = {}
        self._calling = False

    def add(self, observer: Observer) -> None:
        """Show an observer what is written from now on."""
        self._all = (*self._all, observer)
        if hasattr(observer, "tick"):
            self._clocked = (*self._clocked, observer)

    def note(self, record: Logged, written: Scalars | None = None) -> None:
        """Keep what became of a call, for `saw_calls`.

        Args:
            record: the call.
            written: its numbers, on the host; None if they are those of the call.
        """
        self._written[id(record)] = written

    def saw_calls(self, logged: Iterable[Logged]) -> None:
        """Show what was noted of some calls.

        Args:
            logged: the calls, in their order; they are written in another one.
        """
        noted = self._written
        for record in logged:
            if id(record) in noted:
                written = noted.pop(id(record))
                if written is not None:
                    self.saw_scalars(written)
                else:
                    _, _, step, wall_time = record
                    self._show_numbers(_numbers(record), step, wall_time)

    def saw_scalars(self, written: Scalars) -> None:
        """Show the numbers of one event."""
        if written.tags:
            self._show_numbers(dict(zip(written.tags, written.values, strict=True)), written.step, written.wall_time)

    def _show_numbers(self, numbers: dict[str, float], step: int, wall_time: float) -> None:
        self._each(lambda observer: observer.saw_scalars(numbers, step, wall_time))

    def saw_histogram(self, written: Histogram) -> None:
        """Show a distribution, whose values are statistics."""
        statistics: Statistics = written.values
        self._each(lambda observer: observer.saw_histogram(written.tag, statistics, written.step, written.wall_time))

    def saw_hparams(self, written: HParams) -> None:
        """Show the hyper-parameters to those who want to see them."""
        self._each(lambda observer: getattr(observer, "saw_hparams", _ignore)(written.values))

    def tick(self) -> None:
        """Let observers that have a clock look at it."""
        if self._clocked:
            self._each(lambda observer: observer.tick(), self._clocked)

    def close(self) -> None:
        """Tell that nothing more comes, and forget them."""
        self._each(lambda observer: observer.close())
        self._all = self._clocked = ()

    def _each(self, show: Callable[[Any], None], observers: Iterable[Observer] | None = None) -> None:
        if self._calling:  # a durable run writes what an observer logs at once: showing it could go on without end
            return
        self._calling = True
        try:
            for observer in self._all if observers is None else observers:
                self._call(show, observer)
        finally:
            self._calling = False

    def _call(self, show: Callable[[Any], None], observer: Observer) -> None:
        try:
            show(observer)
        except (Exception, SystemExit) as error:  # noqa: BLE001  # it is the user's, and would end the writer thread
            name = type(observer).__name__
            self._reports.add(cause_of(error, f"observer {name}"), f"the observer {name} raised {type(error).__name__}: {error}")


def _numbers(record: Logged) -> dict[str, float]:
    """Return the numbers of a call, which are all on the host."""
    tags, values, _, _ = record
    if isinstance(tags, str):
        return {tags: float32(values)}  # type: ignore[arg-type]
    return {tag: float32(value) for tag, value in tags.items()}  # type: ignore[union-attr]


def _ignore(_: object) -> None:
    """Be the method that an observer does not have."""
