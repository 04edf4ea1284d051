"""What becomes of exceptions: a warning of the run, once per cause. Nothing of ours ends a training."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from multiboard.run import Run


class Reporting:
    """Tells a run what went wrong.

    Args:
        run: the run.
    """

    def __init__(self, run: Run) -> None:
        self._run = run

    def of(self, what: str) -> Reported:
        """Return a context manager that reports an exception that is raised inside, e.g. 'epoch not logged: ...'."""
        return Reported(self, what)

    def report(self, cause: str, message: str) -> None:
        """Count something that went wrong and warn of it once per cause."""
        self._run.report(cause, message)


class Reported:
    """Ends exceptions that are raised inside.

    A class, because every batch enters it, and that of a generator takes three times as long.

    Args:
        reporting: gets them.
        what: is not logged if there is one.
    """

    __slots__ = ("_reporting", "_what")

    def __init__(self, reporting: Reporting, what: str) -> None:
        self._reporting, self._what = reporting, what

    def __enter__(self) -> None:
        """Do nothing."""

    def __exit__(self, _kind: object, error: object, _trace: object) -> bool:
        """Report an exception, but nothing that ends the program."""
        if not isinstance(error, Exception):
            return False
        what, kind = self._what, type(error).__name__
        self._reporting.report(f"{what} {kind}", f"{what} not logged: {kind}: {error}")
        return True
