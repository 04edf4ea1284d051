"""The git repository that the program runs from: commit, branch, and whether tracked files differ from the commit."""

from __future__ import annotations

import os
import signal
import sys
import threading
from functools import partial
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Final

from multiboard.forks import unforked

if TYPE_CHECKING:
    from subprocess import Popen

LIMIT: Final = 2.0
"""Seconds for all git commands together; one that hangs, e.g. in a network file system, is killed."""


def state() -> dict[str, bool | str]:
    """Return what git tells of the directory of the main script, or else of the current one; empty without a repository."""
    deadline = monotonic() + LIMIT
    for directory in _directories():
        head = _git(directory, deadline, "rev-parse", "HEAD", "--abbrev-ref", "HEAD")
        if head:
            commit, branch = head.splitlines()
            on_branch = {} if branch == "HEAD" else {"git/branch": branch}
            return {"git/commit": commit, **on_branch, **_dirty(directory, deadline)}
    return {}


def changes(limit: int) -> str:
    """Return the first characters of what tracked files differ in from the commit; empty without changes or a repository.

    Args:
        limit: how many.
    """
    deadline = monotonic() + LIMIT
    for directory in _directories():
        # Neither programs that the repository names for a diff, nor for the text of a file.
        printed = _beginning(directory, deadline, limit, "diff", "--no-ext-diff", "--no-textconv", "--no-color", "HEAD")
        if printed is not None:
            return printed
    return ""


def _directories() -> list[str]:
    script = getattr(sys.modules["__main__"], "__file__", None)
    return [*([str(Path(script).absolute().parent)] if script else []), str(Path.cwd())]


def _dirty(directory: str, deadline: float) -> dict[str, bool]:
    """Untracked files do not count: the run's own files may be among them."""
    changes = _git(directory, deadline, "status", "--porcelain", "--untracked-files=no")
    return {} if changes is None else {"git/dirty": changes != ""}


def _git(directory: str, deadline: float, *arguments: str) -> str | None:
    """Return what a git command prints; None if it fails or the time is over."""
    with unforked():
        from subprocess import TimeoutExpired  # 10 ms, which programs without a session need not spend

    with _started(directory, arguments) as process:
        try:
            printed, _ = process.communicate(timeout=max(0.0, deadline - monotonic()))
        except TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)  # with the programs that it has started
            return None
    return None if process.returncode else printed


def _beginning(directory: str, deadline: float, limit: int, *arguments: str) -> str | None:
    """Return the first characters of what a git command prints; None if it fails.

    At the limit, and when the time is over, the command is ended.
    """
    with _started(directory, arguments) as process:
        alarm = threading.Timer(max(0.0, deadline - monotonic()), partial(os.killpg, process.pid, signal.SIGKILL))
        alarm.daemon = True
        alarm.start()
        try:
            printed = process.stdout.read(limit) if process.stdout is not None else ""
        finally:
            alarm.cancel()
        if len(printed) == limit and process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    return printed if printed or not process.returncode else None


def _started(directory: str, arguments: tuple[str, ...]) -> Popen[str]:
    with unforked():
        from subprocess import DEVNULL, PIPE, Popen

    # fsmonitor would start a program that the repository names.
    command = ["git", "-C", directory, "-c", "core.fsmonitor=false", *arguments]
    environment = {**os.environ, "GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0"}
    return Popen(  # noqa: S603  # fixed arguments
        command, stdin=DEVNULL, stdout=PIPE, stderr=DEVNULL, env=environment, text=True, errors="replace", process_group=0
    )
