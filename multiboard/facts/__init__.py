"""Run facts: what a run was made with and from, as far as this process can tell without changing anything.

No framework is imported and no device is initialised for it. What cannot be told is left out, never guessed.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Final

from multiboard import tags
from multiboard.facts import command, devices, frameworks, repository

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def _host() -> dict[str, str]:
    return {"host": os.uname().nodename}


_SOURCES: Final[tuple[Callable[[], Mapping[str, bool | float | str]], ...]] = (
    frameworks.names,
    devices.names,
    frameworks.seed,
    repository.state,
    command.line,
    _host,
    frameworks.versions,
)


def gather() -> dict[str, bool | float | str]:
    """Return the facts of this process by name, each behind the prefix 'run/'.

    `run/framework`, `run/device`, `run/seed`, `run/git/commit`, `run/git/branch`, `run/git/dirty`, `run/command`, `run/host` and
    `run/version/<package>`, as far as they are known now: of what is loaded and initialised. Raises nothing; takes milliseconds,
    and at most `repository.LIMIT` seconds if git hangs.
    """
    found: dict[str, bool | float | str] = {}
    for source in _SOURCES:
        with contextlib.suppress(Exception):  # a framework that is half imported, private names that have moved, no git
            found |= {f"{tags.FACTS}{name}": value for name, value in source().items()}
    return found
