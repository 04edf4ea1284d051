"""What the methods of all kinds need of a run."""

from __future__ import annotations

from time import time
from types import MappingProxyType
from typing import TYPE_CHECKING

from multiboard.errors import ValueKindError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sized

    from multiboard.intake import Intake
    from multiboard.protocols import Lane, Logged
    from multiboard.reports import Reports
    from multiboard.session import Session
    from multiboard.values import Value


class Surface:
    """A part of `Run`.

    Attributes:
        log_dir: the run directory.
    """

    log_dir: str
    _intake: Intake
    _session: Session
    _lane: Lane
    _reports: Reports
    _once: set[str]
    """Tags of values of which there is one in a run."""
    _known: set[str]
    """Tags of scalars that need no check any more."""
    _again: tuple[str, ...] | None = None
    """Those of them that an adapter handed over last, if there were any."""
    _numbers: Sized
    """Scalar calls that wait in the lane."""
    _append: Callable[[Logged], None]
    """Puts one there, if there are fewer than the lane's limit."""

    def report(self, cause: str, message: str) -> None:
        """Count something that went wrong and warn of it once per cause; raises nothing."""
        self._reports.add(cause, message)

    def _log_value(
        self,
        tag: str,
        kind: str,
        step: object,
        wall_time: float | None,
        build: Callable[[int, float], Value],
        also: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """Check step and tags, then build the value and enqueue it.

        Args:
            tag: as the caller passed it.
            kind: of the tag.
            step: as the caller passed it.
            wall_time: None is now.
            build: called with step and wall time; may raise a MultiboardError for a mistake of the caller.
            also: kind by tag, of further tags that the value becomes.
        """
        now = time() if wall_time is None else self._intake.moment(wall_time)

        def accept() -> None:
            number = self._intake.step(step)
            self._intake.claim(tag, kind)
            for other, kind_of_other in also.items():
                self._intake.claim(other, kind_of_other)
            value = build(number, now)
            self._intake.accepted(number)
            self._session.start()
            self._lane.put(value, kind, tag, number)

        self._intake.attempt(accept, step)

    def _log_without_step(
        self, tag: str, kind: str, once: bool, build: Callable[[float], Value], also: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        """Do the same for a value of the whole run.

        Args:
            tag: of the value.
            kind: of the tag.
            once: a second value of this tag is a mistake.
            build: called with the wall time.
            also: kind by tag, of further tags that the value becomes.
        """
        tags = {tag: kind, **also}

        def accept() -> None:
            self._intake.check_open()
            for name, kind_of_name in tags.items():
                self._intake.claim(name, kind_of_name)
                if once and name in self._once:
                    rule = f"this run has this {kind_of_name} already; one run takes one, e.g. use run.child(...)."
                    raise ValueKindError(name, kind_of_name, rule)
            value = build(time())
            self._session.start()
            self._lane.put_once(value)
            self._once.update(tags)

        self._intake.attempt(accept, None)
