"""What becomes of exceptions: a warning of the run, once per cause. Nothing of ours ends a training."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from multiboard.run import Run


class Reporting:
    """Tells a run what went wrong. What runs at every batch has a `try` of its own and says what it caught.

    Args:
        run: the run.
    """

    def __init__(self, run: Run) -> None:
        self._run = run

    def of(self, what: str) -> Reported:
        """Return a context manager that reports an exception that is raised inside, e.g. 'epoch not logged: ...'."""
        return Reported(self, what)

    def caught(self, what: str, error: Exception) -> None:
        """Report an exception, e.g. 'batch not logged: ...'."""
        kind = type(error).__name__
        self._run.report(f"{what} {kind}", f"{what} not logged: {kind}: {error}")

    def report(self, cause: str, message: str) -> None:
        """Count something that went wrong and warn of it once per cause."""
        self._run.report(cause, message)


class Reported:
    """Ends exceptions that are raised inside.

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
        self._reporting.caught(self._what, error)
        return True
