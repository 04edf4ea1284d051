"""The command line of this process, without secrets."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from multiboard.urls import shown as shown_url

if TYPE_CHECKING:
    from collections.abc import Sequence

MASK: Final = "***"
LIMIT: Final = 1000
"""Characters of a line; the rest is cut."""
_SECRET: Final = r"(?:key|token(?!i[sz])|passw|pwd|secret|credential)"  # noqa: S105  # names, not a password
_OPTION: Final = re.compile(rf"-.*{_SECRET}[^=:]*", re.IGNORECASE)
_ASSIGNED: Final = re.compile(rf"(.*?{_SECRET}[^=:]*[=:])(.+)", re.IGNORECASE | re.DOTALL)
_URL: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://.*", re.DOTALL)
_LOGIN: Final = re.compile(r"(?<=://)[^/@\s]+(?=@)")


def line() -> dict[str, str]:
    """Return the command line that started Python."""
    arguments = [Path(sys.orig_argv[0]).name, *sys.orig_argv[1:]]
    if not hasattr(sys.modules["__main__"], "__file__"):
        arguments = _without_code(arguments)
    return {"command": join(arguments)}


def _without_code(arguments: list[str]) -> list[str]:
    """Return the arguments with '...' for the program in `python -c program`."""
    place = next((i for i, argument in enumerate(arguments[:-1], 1) if re.fullmatch("-[A-Za-z]*c", argument)), None)
    return arguments if place is None else [*arguments[:place], "...", *arguments[place + 1 :]]


def _open_part(argument: str) -> str:
    """Return an argument without what is secret in a URL."""
    return _LOGIN.sub(MASK, _URL.sub(lambda url: shown_url(url[0]), argument))


def join(arguments: Sequence[str]) -> str:
    """Return arguments as one line for a shell, with '***' for the values of those whose names sound like secrets.

    >>> join(["--out", "https://host/runs?sig=abc"])
    "--out 'https://host/runs?sig=***'"
    >>> join(["train.py", "--lr=0.1", "--api-key", "abc", "hf.token=abc", "--data", "s3://me:abc@host/a b"])
    "train.py --lr=0.1 --api-key *** hf.token=*** --data 's3://***@host/a b'"
    """
    shown: list[str] = []
    hide = False
    for argument in arguments:
        assigned = _ASSIGNED.fullmatch(argument)
        if hide and not argument.startswith("-"):
            shown.append(MASK)
        elif assigned:
            shown.append(shlex.quote(_open_part(assigned[1])) + MASK)
        else:
            shown.append(shlex.quote(_open_part(argument)))
        hide = _OPTION.fullmatch(argument) is not None
    text = " ".join(shown)
    return text if len(text) <= LIMIT else f"{text[:LIMIT]}..."
