"""Writers of `multiboard.summary`: one that writes into a run directory, and one that does nothing."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Any, Self

from multiboard.errors import ArgumentError
from multiboard.summary.state import defaults, replaced
from multiboard.writer.runs import open_run

if TYPE_CHECKING:
    from collections.abc import Iterator

    from multiboard.run import Run


class SummaryWriter:
    """Takes what is logged while it is the default writer of a thread; see `create_file_writer`.

    Args:
        run: the run behind it; None for a writer that does nothing.

    Attributes:
        run: the same.
    """

    def __init__(self, run: Run | None) -> None:
        self.run = run

    @contextlib.contextmanager
    def as_default(self, step: Any = None) -> Iterator[Self]:
        """Make this the default writer of the thread inside a block; a writer that does nothing leaves the default alone.

        Leaving the block does not wait for the file, as TensorFlow does: values are there within a tenth of a second, and
        `flush` waits for them.

        Args:
            step: the default step inside the block; None leaves it.
        """
        new = {} if self.run is None else {"run": self.run}
        with replaced(**new, **({} if self.run is None or step is None else {"step": step})):
            yield self

    def set_as_default(self, step: Any = None) -> None:
        """Make this the default writer of the thread from now on; a writer that does nothing leaves the default alone.

        Args:
            step: the default step from now on; None leaves it.
        """
        if self.run is not None:
            defaults.run = self.run
            defaults.step = defaults.step if step is None else step

    def init(self) -> None:
        """Do nothing: the file is open."""

    def flush(self) -> None:
        """Wait until all that was logged is in the file; returns at once on a closed writer."""
        if self.run is not None:
            self.run.flush()

    def close(self) -> None:
        """Write all that was logged and close the file; a second call does nothing."""
        if self.run is not None:
            self.run.close()


def create_file_writer(
    logdir: str | os.PathLike[str],
    max_queue: int | None = None,  # noqa: ARG001  # of TensorFlow's signature
    flush_millis: int | None = None,  # noqa: ARG001
    filename_suffix: str | None = None,
    name: str | None = None,  # noqa: ARG001
    experimental_trackable: bool = False,  # noqa: ARG001
    experimental_mesh: object = None,  # noqa: ARG001
) -> SummaryWriter:
    """Open a writer of a run directory.

    Args:
        logdir: the directory; created if missing. What it holds already stays, and the writer goes on behind it.
        max_queue: accepted and not needed: the queue has no bound and never blocks.
        flush_millis: accepted and not needed: a writer thread brings values to the file ten times a second.
        filename_suffix: end of the event file's name; None is '.v2'.
        name: accepted: there is no operation to name.
        experimental_trackable: accepted.
        experimental_mesh: accepted.

    Raises:
        ArgumentError: `logdir` is no path.
        LogDirError: the directory cannot be written.
    """
    if not isinstance(logdir, (str, os.PathLike)):
        raise ArgumentError("logdir", logdir, "pass the path of a directory; create_noop_writer() makes a writer without one")
    return SummaryWriter(open_run(os.fspath(logdir), suffix=".v2" if filename_suffix is None else filename_suffix))


def create_noop_writer() -> SummaryWriter:
    """Return a writer that does nothing."""
    return SummaryWriter(None)
