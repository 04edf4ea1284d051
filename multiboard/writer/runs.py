"""The runs behind a `SummaryWriter`: opened with it, again when it is used after `close`, and one for each named sub-run."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from multiboard.arrays import fetch_array, framework_of
from multiboard.event_writer import FileOptions
from multiboard.forks import ForkableLock
from multiboard.kinds.hparams import flatten
from multiboard.nowhere import Nowhere
from multiboard.run import Run
from multiboard.sink import EventSink
from multiboard.urls import is_url

if TYPE_CHECKING:
    from collections.abc import Callable

    from multiboard.protocols import Sink
    from multiboard.reports import Reports


class WriterRuns:
    """The run of a writer and its sub-runs.

    Args:
        log_dir: the run directory.
        purge_step: TensorBoard's Python reader drops what earlier files hold from this step on; None drops nothing.
        suffix: goes to the end of the event file's name.
        write_to_disk: False takes all values and writes none; no directory is created.
        facts: as in `Run`.

    Raises:
        LogDirError: the directory cannot be written.
    """

    def __init__(
        self, log_dir: str, *, purge_step: int | None, suffix: str, write_to_disk: bool, facts: bool | Mapping[str, Any]
    ) -> None:
        self.log_dir = log_dir
        self._suffix = suffix
        self._write_to_disk = write_to_disk
        self._facts = facts
        self._lock = ForkableLock()
        self._children: dict[str, Run] = {}
        self._hparams: dict[str, str] = {}
        self._metrics: set[tuple[str, str]] = set()
        self._closed: dict[str, set[str]] = {}
        self._run: Run | None = self._open(purge_step)

    def _open(self, first_step: int | None) -> Run:
        return open_run(
            self.log_dir,
            first_step=first_step,
            suffix=self._suffix,
            write_to_disk=self._write_to_disk,
            facts=self._facts,
        )

    def main(self) -> Run:
        """Return the run of the writer; after `close` it continues in a new event file, as both peers do, and says so."""
        return self._run or self._reopen()

    def _reopen(self) -> Run:
        with self._lock.current:
            if self._run is None:
                self._run = self._open(None)
                self._run.report(
                    "writer used after close",
                    f"the SummaryWriter of {self.log_dir!r} is used after close(); it goes on in a new event file.",
                )
            return self._run

    def child(self, name: str) -> Run:
        """Return the sub-run of a name, opened at the first call; a name that leads to the writer's directory is its run.

        Raises:
            LogDirError: the directory cannot be written.
        """
        run = self.main()
        path = os.path.normpath(Path(self.log_dir, name))
        if path == os.path.normpath(self.log_dir):
            return run
        with self._lock.current:
            if path not in self._children:
                self._children[path] = run.child(name)
            return self._children[path]

    def opened(self) -> dict[str, Run]:
        """Return the runs that are open now, by directory."""
        main = {} if self._run is None else {self.log_dir: self._run}
        return main | {run.log_dir: run for run in self._children.values()}

    def start_session(self, run: Run, hparams: Mapping[str, Any], domains: Mapping[str, Any] | None, metrics: Any) -> None:
        """Record the hyper-parameters of a run; the same once more change nothing, others are a mistake that `Run` tells.

        Args:
            run: of this writer.
            hparams: by name.
            domains: as in `Run.hparams`; None leaves domains and metrics to TensorBoard.
            metrics: by tag, what to compare runs by.
        """
        plain = {name: _plain(value) for name, value in hparams.items()} if isinstance(hparams, Mapping) else hparams
        written = repr((flatten(plain), domains)) if isinstance(plain, Mapping) else ""
        if self._hparams.get(run.log_dir) != written:
            run.hparams(plain, domains=domains, metrics=None if domains is None else list(metrics))
            self._hparams.setdefault(run.log_dir, written)

    def beside_curves(self, run: Run, metrics: Any) -> Any:
        """Return the metrics of hyper-parameters; one whose tag has other values as `hparam/<tag>`, which is said.

        At step 0, where the peers write metrics, TensorBoard's data server would show it in place of the curve.

        Args:
            run: of this writer.
            metrics: by tag; what is no mapping is returned as it is.
        """
        if not isinstance(metrics, Mapping):
            return metrics
        before = self._closed.get(run.log_dir, set())
        curves = {tag for tag in metrics if (tag in run.kinds or tag in before) and (run.log_dir, tag) not in self._metrics}
        self._metrics.update((run.log_dir, tag) for tag in metrics if tag not in curves)
        for tag in curves:
            run.report(
                f"metric of a taken tag {tag}",
                f"add_hparams: {tag!r} has other values in this run, which stay; the metric is written as 'hparam/{tag}'.",
            )
        return {f"hparam/{tag}" if tag in curves else tag: value for tag, value in metrics.items()}

    def close(self, *, success: bool) -> None:
        """Close all runs; a second call does nothing."""
        for opened in self.opened().values():
            self._closed.setdefault(opened.log_dir, set()).update(opened.kinds)
        run, self._run = self._run, None
        self._children, self._hparams = {}, {}
        if run is not None:
            run.close(success=success)


def open_run(
    log_dir: str,
    *,
    first_step: int | None = None,
    suffix: str = "",
    write_to_disk: bool = True,
    facts: bool | Mapping[str, Any] = False,
) -> Run:
    """Open a run that goes on behind what a directory holds, as the writers of all peers do, on every rank that asks for one.

    Args:
        log_dir: the run directory, or a URL.
        first_step: TensorBoard's Python reader drops what earlier files hold from this step on; None drops nothing. A run on a
            URL goes on behind its last step instead.
        suffix: goes to the end of the event file's name; not on a URL.
        write_to_disk: False takes all values and writes none; no directory is created.
        facts: as in `Run`.

    Raises:
        LogDirError: the directory cannot be written.
    """
    if write_to_disk and is_url(log_dir):
        return Run(log_dir, facts=facts, resume="add" if first_step is None else True, per_rank=None)
    sink: Callable[[str, Reports], Sink] = Nowhere
    if write_to_disk:
        sink = partial(EventSink, options=FileOptions(first_step, suffix=suffix))
    return Run(log_dir, facts=facts, open_sink=sink, per_rank=None)


def default_log_dir(comment: str) -> str:
    """Return 'runs/<month><day>_<time>_<host><comment>', the name that both peers give."""
    now = time.strftime("%b%d_%H-%M-%S")
    return str(Path("runs", f"{now}_{socket.gethostname()}{comment}"))


def _plain(value: Any) -> Any:
    """Return the number in an array of one element, anything else as it is."""
    if not framework_of(type(value)):
        return value
    array = fetch_array(value)
    return array.item() if array.size == 1 else array.tolist()
