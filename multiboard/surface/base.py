"""What the methods of all kinds need of a run."""

from __future__ import annotations

from abc import ABC, abstractmethod
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sized

    from multiboard.intake import Intake
    from multiboard.protocols import Lane, Logged
    from multiboard.session import Session
    from multiboard.values import Value


class Surface(ABC):
    """A part of `Run`.

    Attributes:
        log_dir: the run directory.
    """

    log_dir: str
    _intake: Intake
    _session: Session
    _lane: Lane
    _known: set[str]
    """Tags of scalars that need no check any more."""
    _numbers: Sized
    """Scalar calls that wait in the lane."""
    _append: Callable[[Logged], None]
    """Puts one there, if there are fewer than the lane's limit."""

    @abstractmethod
    def report(self, cause: str, message: str) -> None:
        """Count something that went wrong and warn of it once per cause; raises nothing."""

    @abstractmethod
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

    @abstractmethod
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
