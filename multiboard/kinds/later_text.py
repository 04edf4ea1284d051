"""Texts that are made in the writer thread, e.g. of numbers that are still on a device."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from multiboard.values import Text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from multiboard.protocols import Pending


class LaterText(NamedTuple):
    """One markdown text that is not there yet.

    Attributes:
        awaited: returns it; called once.
    """

    tag: str
    awaited: Pending[str]
    step: int
    wall_time: float
    description: str

    def expand(self) -> Iterable[Text]:
        """Return the text."""
        return (Text(self.tag, self.awaited.fetch(), self.step, self.wall_time, self.description),)
