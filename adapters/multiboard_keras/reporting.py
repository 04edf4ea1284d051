"""What becomes of exceptions: a warning of the run, once per cause. Nothing of ours ends a training."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from multiboard.run import Run


class Reporting:
    """Tells a run what went wrong.

    Args:
        run: the run.
    """

    def __init__(self, run: Run) -> None:
        self._run = run

    @contextlib.contextmanager
    def of(self, what: str) -> Iterator[None]:
        """Report an exception that is raised inside, e.g. 'epoch not logged: ...'."""
        try:
            yield
        except Exception as error:  # noqa: BLE001
            self.report(f"{what} {type(error).__name__}", f"{what} not logged: {type(error).__name__}: {error}")

    def report(self, cause: str, message: str) -> None:
        """Count something that went wrong and warn of it once per cause."""
        self._run.report(cause, message)
