"""What other installed packages offer, by the entry points that they declare; nothing is imported until it is loaded."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint


@cache
def declared(group: str) -> dict[str, EntryPoint]:
    """Return the entry points of a group by name; of two of one name the first on `sys.path` counts.

    The installed packages are searched once in a process: it takes tens of milliseconds.

    Args:
        group: 'multiboard.adapters' or 'multiboard.mirrors'.
    """
    from importlib.metadata import entry_points

    found: dict[str, EntryPoint] = {}
    for one in entry_points(group=group):
        found.setdefault(one.name, one)
    return found
