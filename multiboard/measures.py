"""Bytes and times as a person writes and reads them."""

from __future__ import annotations

import re
from typing import Final

from multiboard.errors import ArgumentError

_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_LENGTH: Final = re.compile(r"(\d+(?:\.\d+)?)\s*([smhdw])")


def shown_bytes(size: float) -> str:
    """Return a number of bytes in its largest unit.

    >>> shown_bytes(999), shown_bytes(145_538), shown_bytes(80e9)
    ('999 B', '146 kB', '80.0 GB')
    """
    number = float(size)
    for unit in ("B", "kB", "MB", "GB"):
        if number < 999.5:  # noqa: PLR2004  # what would be shown with four digits has a larger unit
            return f"{number:.0f} {unit}" if unit == "B" or number >= 99.95 else f"{number:.1f} {unit}"  # noqa: PLR2004
        number /= 1000
    return f"{number:.1f} TB"


def shown_age(seconds: float) -> str:
    """Return how long ago something was.

    >>> shown_age(5), shown_age(7200), shown_age(10 * 86400)
    ('5 s ago', '2 h ago', '10 d ago')
    """
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size:.0f} {unit} ago"
    return f"{max(0, seconds):.0f} s ago"


def seconds_of(text: str, argument: str) -> float:
    """Return the seconds of a length of time such as '30d'.

    Args:
        text: a number and one of the units s, m, h, d, w.
        argument: named in the error.

    Raises:
        ArgumentError: it is no such text.

    >>> seconds_of("30d", "older-than"), seconds_of("1.5h", "older-than")
    (2592000.0, 5400.0)
    """
    found = _LENGTH.fullmatch(text.strip())
    if not found:
        raise ArgumentError(argument, text, "write a number and a unit, e.g. 90s, 10m, 12h, 30d or 4w")
    return float(found[1]) * _SECONDS[found[2]]
