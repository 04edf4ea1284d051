"""What the methods of all kinds need of a writer."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from multiboard.run import Run


class WriterSurface(ABC):
    """A part of `SummaryWriter`."""

    @property
    @abstractmethod
    def run(self) -> Run:
        """The run that takes the values; opened again after `close`."""

    @abstractmethod
    def _at(self, step: object, walltime: float | None) -> tuple[Any, float | None]:
        """Return the step and the wall time that a call means, see `FileWriter.at`."""
