"""tensorboardX's `GlobalSummaryWriter`: one writer for a whole process that counts the steps of each tag itself."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from multiboard.forks import ForkableLock
from multiboard.summary_writer import SummaryWriter

if TYPE_CHECKING:
    import os

    from multiboard.values import Foreign
    from multiboard.writer.files import FileWriter


class GlobalSummaryWriter:
    """Logs from anywhere in a process; the n-th value of a tag is at step n, counted from 0.

    Usable from many threads. A forked or spawned process opens its own writer, in its own directory.

    Args:
        logdir: the run directory; None is as in `SummaryWriter`, and so are all other arguments.
        comment: end of the default name.
        purge_step: see `SummaryWriter`.
        max_queue: see `SummaryWriter`.
        flush_secs: see `SummaryWriter`.
        filename_suffix: see `SummaryWriter`.
        write_to_disk: see `SummaryWriter`.
        log_dir: another name of `logdir`.
        coalesce_process: accepted: processes do not share a writer.

    Raises:
        LogDirError: the directory cannot be written.
    """

    def __init__(
        self,
        logdir: str | os.PathLike[str] | None = None,
        comment: str = "",
        purge_step: int | None = None,
        max_queue: int = 10,
        flush_secs: float = 120,
        filename_suffix: str = "",
        write_to_disk: bool = True,
        log_dir: str | os.PathLike[str] | None = None,
        coalesce_process: bool = True,  # noqa: ARG002  # of tensorboardX's signature
    ) -> None:
        log_dir = log_dir or logdir
        self.smw = SummaryWriter(log_dir, comment, purge_step, max_queue, flush_secs, filename_suffix, write_to_disk)
        self._lock = ForkableLock()
        self._next: Counter[str] = Counter()

    def _step(self, tag: Any) -> int:
        with self._lock.current:
            step = self._next[str(tag)]
            self._next[str(tag)] += 1
            return step

    def add_scalar(self, tag: str, scalar_value: Foreign, walltime: float | None = None) -> None:
        """Log one number at the next step of the tag, see `SummaryWriter.add_scalar`."""
        self.smw.add_scalar(tag, scalar_value, self._step(tag), walltime)

    def add_image(self, tag: str, img_tensor: Foreign, walltime: float | None = None, dataformats: str = "CHW") -> None:
        """Log a picture at the next step of the tag, see `SummaryWriter.add_image`."""
        self.smw.add_image(tag, img_tensor, self._step(tag), walltime, dataformats)

    def add_text(self, tag: str, text_string: str, walltime: float | None = None) -> None:
        """Log a text at the next step of the tag, see `SummaryWriter.add_text`."""
        self.smw.add_text(tag, text_string, self._step(tag), walltime)

    @staticmethod
    def getSummaryWriter() -> GlobalSummaryWriter:  # noqa: N802  # tensorboardX's name
        """Return the writer of the process; the first call creates it in the default directory."""
        with _lock.current:
            if not _writers:
                _writers.append(GlobalSummaryWriter())
            return _writers[0]

    @property
    def file_writer(self) -> FileWriter:
        """Writes finished messages into the event file."""
        return self.smw.file_writer

    def close(self) -> None:
        """Write all that was logged and close the file; a second call does nothing."""
        self.smw.close()


_lock = ForkableLock()
_writers: list[GlobalSummaryWriter] = []
