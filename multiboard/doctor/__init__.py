"""What can go wrong with multiboard on this computer, found without importing a framework: `multiboard doctor`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from multiboard.doctor.findings import Finding, State
from multiboard.urls import is_url

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator

__all__ = ["Finding", "State", "examine"]


def examine(log_dir: str | os.PathLike[str] | None = None) -> Iterator[Finding]:
    """Yield what is found, area by area.

    Args:
        log_dir: of a run or above runs, which is looked at as well; it need not exist. Of a URL it is only found out whether it
            can be reached. None looks at none.
    """
    from multiboard.doctor import adapters, directory, machine, packages, remote, viewer
    from multiboard.doctor.installed import Installed

    installed = Installed()
    yield from packages.examine(installed)
    yield from adapters.examine(installed)
    yield from viewer.examine(installed, log_dir)
    yield from machine.examine(installed)
    yield from remote.examine(installed)
    if is_url(log_dir):
        yield remote.reached(str(log_dir))
    elif log_dir is not None:
        yield from directory.examine(log_dir)
