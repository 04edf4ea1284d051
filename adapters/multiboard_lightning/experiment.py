"""The SummaryWriter over the run of a logger, for code that was written for TensorBoardLogger."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from multiboard.summary_writer import SummaryWriter
from multiboard.writer.files import FileWriter
from multiboard.writer.runs import WriterRuns

if TYPE_CHECKING:
    from collections.abc import Callable

    from multiboard.run import Run


class Experiment(SummaryWriter):
    """Writes into the run of a logger, which is opened when something is written; `close` leaves it open.

    Args:
        log_dir: the run directory.
        open_run: returns the open run.
        add_hparams: takes hyper-parameters for the run; None writes them at once.
    """

    def __init__(
        self, log_dir: str, open_run: Callable[[], Run], add_hparams: Callable[[Mapping[str, Any]], None] | None
    ) -> None:
        # Not that of SummaryWriter, which opens a run of its own.
        self.log_dir = self.logdir = log_dir
        self.purge_step, self.max_queue, self.flush_secs, self.filename_suffix = None, 10, 120, ""
        self._sub_runs = False
        self._runs = _LoggerRuns(log_dir, open_run, add_hparams)
        self.file_writer = FileWriter(log_dir, self._runs.main, self.flush, self.close)


class _LoggerRuns(WriterRuns):
    """The run of the logger in the place of the writer's own."""

    def __init__(
        self, log_dir: str, open_run: Callable[[], Run], add_hparams: Callable[[Mapping[str, Any]], None] | None
    ) -> None:
        self._open_run, self._add_hparams = open_run, add_hparams
        super().__init__(log_dir, purge_step=None, suffix="", write_to_disk=True, facts=False)

    def _open(self, first_step: int | None) -> None:  # type: ignore[override]  # it opens when it is used
        """Open nothing yet."""

    def main(self) -> Run:
        """Return the open run of the logger; sub-runs of one that was closed are forgotten."""
        run, self._run = self._run, self._open_run()
        if run is not self._run:
            self._children = {}
        return self._run

    def start_session(self, run: Run, hparams: Mapping[str, Any], domains: Mapping[str, Any] | None, metrics: Any) -> None:
        """Add hyper-parameters to those that Lightning collects."""
        if self._add_hparams is not None and run is self._run and domains is None and isinstance(hparams, Mapping):
            self._add_hparams(hparams)
        else:
            super().start_session(run, hparams, domains, metrics)

    def close(self, *, success: bool) -> None:
        """Leave the run to the logger."""
