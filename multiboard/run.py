"""The user's object: opens, closes, and puts what the methods of its parts have checked on the way to the file."""

from __future__ import annotations

import os
import weakref
from typing import TYPE_CHECKING, Any, Self

from multiboard import exits
from multiboard.budget import MEMORY_BYTES, MemoryBudget
from multiboard.destination import destination
from multiboard.errors import ArgumentError, cause_of
from multiboard.event_writer import FileSettings
from multiboard.intake import Intake
from multiboard.kinds.checks import positive_integer
from multiboard.media_budget import check_media_bytes
from multiboard.pipeline import Pipeline
from multiboard.reports import Reports
from multiboard.session import Session, check_facts
from multiboard.surface.captures import CapturesSurface
from multiboard.surface.hparams import HParamsSurface
from multiboard.surface.layers import aligned_names, inherit
from multiboard.surface.measures import MeasuresSurface
from multiboard.surface.media import MediaSurface
from multiboard.surface.scalars import ScalarsSurface
from multiboard.surface.structures import StructuresSurface

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType

    from multiboard.alerts import Alerts
    from multiboard.direct import DirectPipeline
    from multiboard.protocols import Lane, Observer, Sink
    from multiboard.remote import RemoteOptions


class Run(HParamsSurface, ScalarsSurface, MediaSurface, MeasuresSurface, StructuresSurface, CapturesSurface):
    """One training job: one directory, one live event file, one row in the HParams table.

    Usable as a context manager; thread-safe. Logging never waits for a device or a disk and never raises because of data.
    A mistake in a call (a tag with two kinds, a step that is not an integer, an array for a scalar, a closed run) raises in the
    first step of the run; later it becomes one warning per cause and the value is left out and counted.

    What was logged is in the file after `flush` or `close`, at the end of the program (also by an exception, SIGINT, and, in
    programs without a handler of their own, SIGTERM and SIGHUP), and otherwise 0.2 seconds after a device has computed it. A
    forked or spawned process takes no values for the runs of its parent.

    What waits for the writer (a disk that refuses, a device that hangs) takes `memory_bytes` at most. As it fills, distributions
    of large arrays on the host are counted by their callers, which leaves 8 kB of each. Then histograms and media are thinned
    out: of each tag one in two, then in four, and so on; they never take more than three quarters. Scalars go last, the newest
    first. Every value that had to go is counted in the scalar `multiboard/dropped/<kind>` and said once.

    Args:
        log_dir: the run directory; created if missing.
        config: hyper-parameters, may be nested; shown in the HParams tab and as columns in Time Series. `hparams` takes more.
        facts: write what the run was made with, as hyper-parameters 'run/...': frameworks and versions, device, seed, git commit,
            command line (values of arguments that sound like secrets are masked) and host, see `multiboard.facts.gather`. The
            writer thread gathers them before the first value, or at the end if there are no hyper-parameters. False writes none;
            a mapping adds to them or replaces them, e.g. {'dataset': 'cifar10', 'host': None}, where None leaves one out.
        resume: go on where the event files of the directory end, see `start_step`. Steps that are written again replace the old
            ones in TensorBoard. 'add' writes beside what is there and replaces nothing, e.g. to evaluate a training that has
            ended. Without it, a directory that another process has written starts again at step 0.
        align_to: directory of another run, also of another framework, whose layers and parameters are those of this one under
            other names: distributions and norms of layers are written under its names, so that a dashboard shows both runs in one
            chart. Layers of which it is not sure that they belong together keep their names, which is said once.
        durable: every call returns when its values are in the file, so that they survive any end of the process; no thread.
            Costs tens of microseconds a call, and values on a device are waited for.
        overflow: 'drop' thins out and drops values as said above when memory is full; 'block' makes the caller wait instead.
        memory_bytes: for what waits for the writer.
        max_file_bytes: begin a new event file when one gets larger; None is one file.
        max_media_bytes: bytes that the run writes of images, videos and audio each, or by kind, e.g. `{'image': 10**9}`.
            As a limit comes near, values are thinned out, so that there are some from all of the run.
        on_error: called with cause and message for everything that was counted instead of raised.
        on_drop: called with kind, number of values and step for everything that had to go.
        open_sink: opens the place where the values of a directory go; by default a new event file in it.
        per_rank: of the processes of one job, see `multiboard.ranks`: False, only rank 0 writes, and the others take all calls
            and write nothing; True, each writes a run `rank_<number>` below `log_dir`; None, this process writes, whatever its
            rank.
        remote: `RemoteOptions`, or the storage options of fsspec, of a run on a URL, e.g. 's3://bucket/runs/first'.
        system: log CPU, memory, disk, network and accelerators as `system/...` every so many seconds; True is 10.
        alerts: tell non-finite values, spikes of a loss, waiting for input, exploding gradients and dead units as texts
            `alerts/...`; `multiboard.Alerts` chooses.
        console: log what the process prints as texts `console`.
        environment: log the machine, installed packages and environment variables (without secrets) as a text, once; 'diff' adds
            the uncommitted changes of the git repository.
        mirror: sends scalars on, too, e.g. 'wandb'; or an `Observer`.

    Attributes:
        log_dir: the run directory; of a run on a URL the local one from which it is uploaded.
        url: of a run on a URL, without credentials; else None.
        writes: whether this process writes the run, see `per_rank`.
        start_step: with `resume=True`, the step after the last one that the directory held; else 0.

    Raises:
        ArgumentError: an argument is not one of the possible ones, or `align_to` is not a directory of one run that holds layers.
        LogDirError: the directory cannot be written.
        MissingFrameworkError: the package for a URL, for `system` or for `mirror` is missing.

    Example:
        >>> import tempfile, multiboard as mb
        >>> with mb.Run(tempfile.mkdtemp(), config={"lr": 0.1}) as run:
        ...     for step in range(3):
        ...         run.log({"train/loss": 1 / (step + 1)}, step)
    """

    def __init__(
        self,
        log_dir: str | os.PathLike[str],
        *,
        config: Mapping[str, Any] | None = None,
        facts: bool | Mapping[str, Any] = True,
        resume: bool | str = False,
        align_to: str | os.PathLike[str] | None = None,
        durable: bool = False,
        overflow: str = "drop",
        memory_bytes: int = MEMORY_BYTES,
        max_file_bytes: int | None = None,
        max_media_bytes: int | Mapping[str, int] | None = None,
        on_error: Callable[[str, str], None] | None = None,
        on_drop: Callable[[str, int, int], None] | None = None,
        open_sink: Callable[[str, Reports], Sink] | None = None,
        per_rank: bool | None = False,
        remote: RemoteOptions | Mapping[str, Any] | None = None,
        system: bool | float = False,
        alerts: bool | Alerts = False,
        console: bool = False,
        environment: bool | str = False,
        mirror: str | Observer | None = None,
    ) -> None:
        if overflow not in {"drop", "block"}:
            raise ArgumentError("overflow", overflow, "use 'drop' or 'block'")
        if not isinstance(resume, bool) and resume != "add":
            raise ArgumentError("resume", resume, "use True, False or 'add'")
        stated, aligned = check_facts(facts), aligned_names(align_to)
        budget = MemoryBudget(positive_integer("memory_bytes", memory_bytes))
        file_bytes = None if max_file_bytes is None else positive_integer("max_file_bytes", max_file_bytes)
        media_bytes = check_media_bytes(max_media_bytes)
        reports = Reports(on_error, on_drop)
        settings = FileSettings(resume, file_bytes, media_bytes)
        log_dir, self._open_sink, self.url, self.writes = destination(
            log_dir, settings, per_rank=per_rank, remote=remote, open_sink=open_sink
        )
        sink = self._open_sink(log_dir, reports)
        pipeline = _direct(reports, budget) if durable else Pipeline(reports, budget, block=overflow == "block")
        self._attach(log_dir, pipeline, sink, reports)
        self._aligned, self._resumed = aligned, bool(resume)
        self._session = Session(self._lane.put_once, stated if self.writes else None, at_once=durable)
        exits.watch_run(self)
        self._finalizer = weakref.finalize(self, _let_go, pipeline, self._session)
        self._finalizer.atexit = False  # at the end of the process all pipelines are closed, and waited for
        if config is not None:
            self.hparams(config)
        if self.writes and (system or alerts or console or environment or mirror):
            from multiboard.companions import accompany

            accompany(self, system=system, alerts=alerts, console=console, environment=environment, mirror=mirror)

    def _attach(self, log_dir: str, pipeline: Pipeline | DirectPipeline, sink: Sink, reports: Reports) -> None:
        self.log_dir = log_dir
        self.start_step = sink.start_step
        self._pipeline, self._reports = pipeline, reports
        self._lane: Lane = pipeline.add_lane(sink)
        self._numbers, self._append = self._lane.numbers, self._lane.append
        self._intake = Intake(self.log_dir, reports)
        self._known: set[str] = set()
        self._captured: set[tuple[tuple[str, ...], bool]] = set()
        self._once: set[str] = set()
        self._parent: Run | None = None
        self._children: list[Run] = []
        self._before_close: list[Callable[[], object]] = []
        self._may_close = [True]

    # ------------------------------------------------------------------ life

    def flush(self, timeout: float | None = None) -> bool:
        """Wait until all that was logged before is in the file.

        Args:
            timeout: seconds to wait at most; None waits as long as the writer lives.

        Returns:
            Whether it is; False after the timeout, while the disk refuses it, and on a closed run.
        """
        if self.closed:
            return False
        self._session.start_all()
        if self.url is not None:
            self._lane.sink.ask_upload()  # type: ignore[attr-defined]  # of a RemoteSink
        return self._pipeline.flush(timeout)

    def close(self, *, success: bool = True) -> None:
        """Write all that was logged and close the file; a second call does nothing.

        Args:
            success: the end status of the session in the HParams tab.
        """
        if self.closed or not self._claim_close():
            return
        try:
            for callback in self._before_close:
                self._attempt_before_close(callback)
        finally:
            self._close(success=success)

    def _close(self, *, success: bool) -> None:
        for child in tuple(self._children):
            child.close(success=success)
        self._session.end(success=success)
        self._refuse_all()
        if self._parent is None:
            self._pipeline.close()
            self._say_summary()
        else:
            self._pipeline.close_lane(self._lane)
            self._parent._children.remove(self)  # noqa: SLF001  # another Run

    def _claim_close(self) -> bool:
        """Tell one of several threads that it is the one to close."""
        try:
            return self._may_close.pop()
        except IndexError:
            return False

    def note_failure(self) -> None:
        """Enqueue the end of a session that a signal ends; takes no lock."""
        if not self.closed:
            self._session.end(success=False, put=self._lane.end)

    def abandon(self) -> None:
        """Take no more values: in a forked child they would go into the file of the parent."""
        self._intake.in_first_step = False  # a call is said once, and raises nothing in a worker
        self._refuse_all()

    def __reduce__(self) -> tuple[Callable[[str], Run], tuple[str]]:
        return _closed, (self.log_dir,)

    @property
    def closed(self) -> bool:
        """Whether the run takes no more values; always so in a forked child process."""
        return self._intake.closed

    @property
    def last_step(self) -> int | None:
        """The largest step that this run or one of its open child runs has taken, about; None before the first."""
        steps = [self._lane.newest_step(), *(child.last_step for child in tuple(self._children))]
        return max((step for step in steps if step is not None), default=None)

    @property
    def ending(self) -> bool:
        """Whether the last values are being written: the run is closed, or a signal ends the program."""
        return self.closed or self._pipeline.ending

    @property
    def kinds(self) -> Mapping[str, str]:
        """The kind of each tag that was logged so far; grows with them, and stays when the run is closed."""
        return self._intake.kinds

    def has_graph(self, tag: str | None = None) -> bool:
        """Whether the run has the graph of a tag; None for its own one."""
        return ("Default" if tag is None else tag) in self._once

    def child(self, name: str) -> Run:
        """Open a run in a sub-directory that shares this run's writer thread and is closed with it.

        Args:
            name: a relative path, e.g. 'validation'.

        Raises:
            ClosedRunError: this run is closed.
            LogDirError: the directory cannot be written.
        """
        self._intake.check_open()
        child = object.__new__(Run)
        path = os.path.join(self.log_dir, name)
        child._open_sink, child.writes = self._open_sink, self.writes
        child.url = None if self.url is None else f"{self.url}/{name}"
        child._attach(path, self._pipeline, self._open_sink(path, self._reports), self._reports)
        inherit(child, self)
        child._session = self._session.child(child._lane.put_once)
        exits.watch_run(child)
        child._parent = self
        self._children.append(child)
        return child

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close(success=kind is None)

    def __repr__(self) -> str:
        return f"Run({self.log_dir!r}{', closed' if self.closed else ''})"

    # ------------------------------------------------------------------ for adapters

    def before_close(self, callback: Callable[[], object]) -> None:
        """Call something when the run is closed, while it still takes values; what it raises is reported."""
        self._before_close.append(callback)

    def _attempt_before_close(self, callback: Callable[[], object]) -> None:
        try:
            callback()
        except Exception as error:  # noqa: BLE001  # the run is closed in any case
            self.report(cause_of(error, "before close"), f"what was to be done before the end of the run raised {error!r}.")

    def observe(self, observer: Observer) -> None:
        """Show an observer what this run writes from now on, without its child runs.

        Args:
            observer: called in the writer thread, see `multiboard.protocols.Observer`.

        Raises:
            ClosedRunError: this run is closed.
        """
        self._intake.check_open()
        self._lane.sink.observe(observer)

    # ------------------------------------------------------------------ inside

    def _refuse_all(self) -> None:
        self._intake.closed = True
        self._known = set()  # sends later calls to the checks; a new one, because a call may still add to the old one

    def _say_summary(self) -> None:
        repeated = {cause: count for cause, count in dict(self._reports.counts).items() if count > 1}
        if repeated:
            self._reports.add("summary", f"run {self.log_dir!r} closed; counted while it ran: {self._reports.summary()}.")


def _direct(reports: Reports, budget: MemoryBudget, *, watched: bool = True) -> DirectPipeline:
    from multiboard.direct import DirectPipeline

    return DirectPipeline(reports, budget, watched=watched)


def _let_go(pipeline: Pipeline | DirectPipeline, session: Session) -> None:
    """Write what a forgotten run has logged; its session has no end."""
    session.start_all()
    pipeline.stop_soon()


def _closed(log_dir: str) -> Run:
    """Return what a run becomes in another process that it is sent to: it takes no values, says so once and raises nothing."""
    from multiboard.nowhere import Nowhere

    reports = Reports()
    run = object.__new__(Run)
    run._open_sink, run.url, run.writes = Nowhere, None, False
    run._attach(log_dir, _direct(reports, MemoryBudget(), watched=False), Nowhere(log_dir, reports), reports)
    run._session = Session(run._lane.put_once, None)
    run.abandon()
    return run
