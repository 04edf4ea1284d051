"""Sinks that keep nothing: of a run that takes no values, and of a rank that does not write."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    from multiboard.protocols import Logged, Observer
    from multiboard.reports import Reports
    from multiboard.values import Value


class Nowhere:
    """A sink that takes values and keeps nothing."""

    start_step = 0

    def __init__(self, log_dir: str | os.PathLike[str], reports: Reports) -> None:
        pass

    def observe(self, observer: Observer) -> None:
        """Forget an observer: there is nothing to see."""

    def accept(self, value: Value) -> None:
        """Forget a value."""

    def accept_scalars(self, logged: Sequence[Logged]) -> None:
        """Forget scalars."""

    def flush(self) -> bool:
        """Do nothing."""
        return True

    def held_bytes(self) -> int:
        """Return 0."""
        return 0

    def close(self) -> None:
        """Do nothing."""

    def abandon(self) -> None:
        """Do nothing."""


class Silent(Nowhere):
    """The sink of a rank that does not write: it forgets all values.

    Args:
        log_dir: the run directory, which is only read.
        reports: receives what this rank cannot know.
        resume: as in `Run`.
        url: of a run on a URL, without credentials.

    Attributes:
        start_step: with `resume=True` that of rank 0, so that all ranks count the same steps. What rank 0 has begun to write by
            now is left out, where the file system has locks. Of a run on a URL only rank 0 knows it, which finishes what an
            earlier start has left on its machine: 0, which is said.
    """

    def __init__(self, log_dir: str, reports: Reports, *, resume: bool | str = False, url: str | None = None) -> None:
        super().__init__(log_dir, reports)
        if resume is True and url is not None:
            message = f"where the run {url!r} goes on is known to rank 0 alone: send run.start_step of rank 0 to the other ranks."
            reports.add("start step of a silent rank", message)
        elif resume is True:
            from pathlib import Path

            from multiboard.last_step import last_step

            last = last_step(Path(log_dir), live=False)
            self.start_step = 0 if last is None else last + 1
