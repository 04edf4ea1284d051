"""The user's object: one short method per kind, which checks, takes what must not change, and enqueues."""

from __future__ import annotations

import os
import weakref
from collections.abc import Mapping
from pathlib import Path
from time import time
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Self

from multiboard.arrays import stack_scalars, take_array, take_scalar
from multiboard.captures import scalar_tags
from multiboard.errors import TagError, ValueKindError
from multiboard.intake import STEP_MAX, STEP_MIN, Intake
from multiboard.kinds import pictures
from multiboard.pipeline import Pipeline
from multiboard.reports import Reports
from multiboard.session import Session, check_facts
from multiboard.sink import open_sink
from multiboard.surface.measures import MeasuresSurface
from multiboard.surface.media import MediaSurface
from multiboard.surface.structures import StructuresSurface
from multiboard.values import PLAIN, Capture, Histogram, Raw, Scalars, Text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from types import TracebackType

    from multiboard.buckets import Statistics
    from multiboard.protocols import Sink
    from multiboard.values import Foreign, Image, Value

_KNOWN_SETS: Final = 4096


class Run(MediaSurface, MeasuresSurface, StructuresSurface):
    """One training job: one directory, one live event file, one row in the HParams table.

    Usable as a context manager; thread-safe. Logging never waits for a device or a disk and never raises because of data.
    A mistake in a call (a tag with two kinds, a step that is not an integer, an array for a scalar, a closed run) raises in the
    first step of the run; later it becomes one warning per cause and the value is left out and counted.

    Args:
        log_dir: the run directory; created if missing.
        config: hyper-parameters, may be nested; shown in the HParams tab and as columns in Time Series. `hparams` takes more.
        facts: write what the run was made with, as hyper-parameters 'run/...': frameworks and versions, device, seed, git commit,
            command line (values of arguments that sound like secrets are masked) and host, see `multiboard.facts.gather`. The
            writer thread gathers them before the first value, or at the end if there are no hyper-parameters. False writes none;
            a mapping adds to them or replaces them, e.g. {'dataset': 'cifar10', 'host': None}, where None leaves one out.
        on_error: called with cause and message for everything that was counted instead of raised.
        open_sink: opens the place where the values of a directory go; by default a new event file in it.

    Raises:
        LogDirError: the directory cannot be written.
        ArgumentError: `facts` is something else.

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
        on_error: Callable[[str, str], None] | None = None,
        open_sink: Callable[[Path, Reports], Sink] = open_sink,
    ) -> None:
        stated = check_facts(facts)
        reports = Reports(on_error)
        sink = open_sink(Path(log_dir), reports)
        self._open_sink = open_sink
        self._attach(Path(log_dir), Pipeline(reports), sink, reports)
        self._session = Session(self._put, stated)
        self._finalizer = weakref.finalize(self, _let_go, self._pipeline, self._session)
        self._finalizer.atexit = False  # the pipeline closes itself at the end of the process, and waits for its writer
        if config is not None:
            self.hparams(config)

    def _attach(self, log_dir: Path, pipeline: Pipeline, sink: Sink, reports: Reports) -> None:
        self.log_dir = os.fspath(log_dir)
        self._pipeline, self._reports = pipeline, reports
        self._sink = sink
        self._put = pipeline.add_sink(sink)
        self._intake = Intake(self.log_dir, reports)
        self._known: set[tuple[str, ...]] = set()
        self._captured: set[tuple[str, ...]] = set()
        self._once: set[str] = set()
        self._parent: Run | None = None
        self._children: list[Run] = []
        _RUNS.add(self)

    # ------------------------------------------------------------------ scalars

    def log(self, metrics: Mapping[str, Foreign], step: int, *, wall_time: float | None = None) -> None:
        """Log several scalars of one step; they share an event.

        Args:
            metrics: by tag: Python or NumPy numbers, or 0-d tensors of PyTorch, JAX, TensorFlow or Keras. Tensors on a device
                are read later by the writer thread: this call never waits for them. Written as float32.
            step: number of optimizer steps taken before this one, 64-bit.
            wall_time: when it was measured, seconds since the epoch; None is now.
        """
        now = time() if wall_time is None else self._intake.moment(wall_time)
        try:
            tags, values = tuple(metrics), tuple(metrics.values())
            # One set look-up for all tags and one C loop over all types: this is the path of every training step.
            if tags in self._known and type(step) is int and STEP_MIN <= step <= STEP_MAX and PLAIN.issuperset(map(type, values)):
                self._intake.last_step = step
                self._put((tags, values, step, now))
                return
        except (AttributeError, TypeError):
            pass  # not a mapping, or a tag that cannot be hashed: the checks below say it
        self._log_checked(metrics, step, now)

    def scalar(self, tag: str, value: Foreign, step: int, *, wall_time: float | None = None) -> None:
        """Log one scalar.

        Args:
            tag: e.g. 'train/loss'.
            value: as in `log`.
            step: as in `log`.
            wall_time: as in `log`.
        """
        now = time() if wall_time is None else self._intake.moment(wall_time)
        tags = (tag,)
        try:
            known = tags in self._known
        except TypeError:  # a tag that cannot be hashed
            self._intake.refuse(TagError(tag), step)
            return
        if known and type(value) in PLAIN and type(step) is int and STEP_MIN <= step <= STEP_MAX:
            self._intake.last_step = step
            self._put((tags, (value,), step, now))
        else:
            self._log_checked({tag: value}, step, now)

    def _log_checked(self, metrics: Mapping[str, Foreign], step: object, now: float) -> None:
        self._intake.attempt(lambda: self._log_each(metrics, self._intake.step(step), now), step)

    def _log_each(self, metrics: Mapping[str, Foreign], step: int, now: float) -> None:
        if not isinstance(metrics, Mapping):
            raise ValueKindError("", metrics, "run.log takes a mapping of tags to numbers, e.g. {'train/loss': loss}.")
        taken: dict[str, Foreign] = {}
        for tag, value in metrics.items():
            self._intake.attempt(lambda: self._take(taken, tag, value), step)  # noqa: B023  # called at once
        self._enqueue(Scalars(tuple(taken), stack_scalars(taken.values()), step, now))
        if len(taken) == len(metrics) and len(self._known) < _KNOWN_SETS:
            self._known.add(tuple(taken))

    def _take(self, taken: dict[str, Foreign], tag: str, value: Foreign) -> None:
        self._intake.claim(tag, "scalar")
        taken[tag] = take_scalar(tag, value)

    # ------------------------------------------------------------------ other kinds

    def histogram(
        self, tag: str, values: Foreign | Statistics, step: int, *, description: str = "", wall_time: float | None = None
    ) -> None:
        """Log the distribution of an array of any shape; NaN and infinities are counted apart.

        Args:
            tag: e.g. 'activations/encoder'.
            values: NumPy, PyTorch, JAX, TensorFlow, Keras or nested lists; or finished `Statistics`.
            step: as in `log`.
            description: markdown, shown with the card; the first one of a tag counts.
            wall_time: as in `log`.
        """
        self._log_value(
            tag, "histogram", step, wall_time, lambda n, now: Histogram(tag, _take_values(tag, values), n, now, description)
        )

    def image(
        self,
        tag: str,
        pixels: Foreign,
        step: int,
        *,
        dataformats: str | None = None,
        boxes: Foreign | None = None,
        box_labels: Sequence[object] | None = None,
        description: str = "",
        wall_time: float | None = None,
    ) -> None:
        """Log one picture or a batch of pictures, with or without boxes on it.

        Args:
            tag: e.g. 'val/predictions'.
            pixels: uint8 (0 to 255) or float (0 to 1); array of any framework, or a PIL image.
            step: as in `log`.
            dataformats: the axes, one of HW, HWC, CHW, NHW, NHWC, NCHW. By default inferred: two axes are HW; an axis of 1 to 4
                at the end is C, else one in front of the image axes; a remaining first axis is N.
            boxes: `[K, 4]` of x0, y0, x1, y1 in pixels, drawn into every picture in turning colours.
            box_labels: one text for each box. Needs Pillow: `multiboard[media]`.
            description: markdown, shown with the card; the first one of a tag counts.
            wall_time: as in `log`.
        """

        def build(number: int, now: float) -> Value:
            image, _ = pictures.take(tag, pixels, dataformats, number, now, description)
            return image if boxes is None else _boxed(image, boxes, box_labels)

        self._log_value(tag, "image", step, wall_time, build)

    def text(self, tag: str, text: str, step: int, *, description: str = "", wall_time: float | None = None) -> None:
        """Log a markdown text.

        Args:
            tag: e.g. 'run/notes'.
            text: markdown; HTML in it is escaped by TensorBoard.
            step: as in `log`.
            description: markdown, shown with the card; the first one of a tag counts.
            wall_time: as in `log`.
        """
        self._log_value(tag, "text", step, wall_time, lambda n, now: Text(tag, _check_text(tag, text), n, now, description))

    def hparams(
        self,
        config: Mapping[str, Any],
        *,
        domains: Mapping[str, Any] | None = None,
        metrics: Iterable[str] | Mapping[str, str] | None = None,
    ) -> None:
        """Record the hyper-parameters of this run, once: TensorBoard reads one set per run.

        Without domains and metrics TensorBoard infers both from all runs. If one run states them, they are valid for all runs of
        the dashboard, and the HParams tab shows no other metrics, and no hyper-parameters that this run does not have: state them
        in runs that share their hyper-parameters, and the same in each.

        Args:
            config: may be nested (joined with '/'). Bools, numbers and strings keep their type; all else becomes a string.
            domains: the values that a hyper-parameter can take: a tuple (low, high) is an interval, a list holds all values, e.g.
                {'lr': (1e-5, 1e-1), 'optimizer': ['sgd', 'adam']}. Needs metrics.
            metrics: tags of the scalars to compare runs by, e.g. ['val/accuracy'], or their display names by tag.
        """
        self._intake.attempt(lambda: self._configure(config, domains, metrics), None)

    def _configure(self, config: object, domains: object, metrics: object) -> None:
        self._intake.check_open()
        self._session.configure(config, domains, metrics)

    # ------------------------------------------------------------------ life

    def flush(self, timeout: float | None = None) -> bool:
        """Wait until all that was logged before is in the file.

        Args:
            timeout: seconds to wait at most; None waits as long as the writer lives.

        Returns:
            Whether it is; False after the timeout, while the disk refuses it, and on a closed run.
        """
        for run in (self, *self._children):
            run._session.start()  # noqa: SLF001  # another Run
        return not self.closed and self._pipeline.flush(timeout)

    def close(self, *, success: bool = True) -> None:
        """Write all that was logged and close the file; a second call does nothing.

        Args:
            success: the end status of the session in the HParams tab.
        """
        if self.closed:
            return
        for child in tuple(self._children):
            child.close(success=success)
        self._session.end(success=success)
        self._refuse_all()
        if self._parent is None:
            self._pipeline.close()
            self._say_summary()
        else:
            self._pipeline.close_sink(self._sink)
            self._parent._children.remove(self)  # noqa: SLF001  # another Run

    @property
    def closed(self) -> bool:
        """Whether the run takes no more values; always so in a forked child process."""
        return self._intake.closed

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
        path = Path(self.log_dir, name)
        child._open_sink = self._open_sink
        child._attach(path, self._pipeline, self._open_sink(path, self._reports), self._reports)
        child._session = self._session.child(child._put)
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

    def capture(self, capture: Capture) -> None:
        """Log a measurement of an adapter; its tensors may still be on a device."""
        self._intake.attempt(lambda: self._accept_capture(capture), capture.step)

    def _accept_capture(self, capture: Capture) -> None:
        self._intake.step(capture.step)
        if capture.tags not in self._captured:
            for tag in capture.tags:
                self._intake.claim(tag, "histogram")
            for tag in scalar_tags(capture.tags):
                self._intake.claim(tag, "scalar")
            self._captured.add(capture.tags)
        self._enqueue(capture)

    def raw(self, event: bytes, step: int) -> None:
        """Write a finished Event message of another writer as it is; its tags are not checked against those of this run.

        Args:
            event: serialised, with its own step and wall time.
            step: the same step once more.
        """
        self._intake.attempt(lambda: self._enqueue(Raw(event, self._intake.step(step))), step)

    def report(self, cause: str, message: str) -> None:
        """Count something that went wrong and warn of it once per cause; raises nothing."""
        self._reports.add(cause, message)

    # ------------------------------------------------------------------ inside

    def _log_value(
        self,
        tag: str,
        kind: str,
        step: object,
        wall_time: float | None,
        build: Callable[[int, float], Value],
        also: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        now = time() if wall_time is None else self._intake.moment(wall_time)

        def accept() -> None:
            number = self._intake.step(step)
            self._intake.claim(tag, kind)
            for other, kind_of_other in also.items():
                self._intake.claim(other, kind_of_other)
            value = build(number, now)
            self._intake.accepted(number)
            self._session.start()
            self._put(value)

        self._intake.attempt(accept, step)

    def _log_without_step(self, tag: str, kind: str, once: bool, build: Callable[[float], Value]) -> None:
        def accept() -> None:
            self._intake.check_open()
            self._intake.claim(tag, kind)
            if once and tag in self._once:
                raise ValueKindError(tag, kind, f"this run has this {kind} already; one run takes one, e.g. use run.child(...).")
            value = build(time())
            self._session.start()
            self._put(value)
            self._once.add(tag)

        self._intake.attempt(accept, None)

    def _enqueue(self, value: Scalars | Raw | Capture) -> None:
        self._intake.accepted(value.step)
        self._session.start()
        self._put(value)

    def _refuse_all(self) -> None:
        self._intake.closed = True
        self._known.clear()  # sends later calls to the checks

    def _say_summary(self) -> None:
        repeated = {cause: count for cause, count in self._reports.counts.items() if count > 1}
        if repeated:
            self._reports.add("summary", f"run {self.log_dir!r} closed; counted while it ran: {self._reports.summary()}.")


def _let_go(pipeline: Pipeline, session: Session) -> None:
    """Write what a forgotten run has logged; its session has no end."""
    session.start()
    pipeline.stop_soon()


def _take_values(tag: str, values: Foreign | Statistics) -> Foreign:
    from multiboard.buckets import Statistics

    return values if isinstance(values, Statistics) else take_array(tag, values)


def _boxed(image: Image, boxes: Foreign, labels: Sequence[object] | None) -> Value:
    from multiboard.kinds import boxes as boxed

    return boxed.take(image, boxes, labels)


def _check_text(tag: str, text: object) -> str:
    if not isinstance(text, str):
        raise ValueKindError(tag, text, "a text is a string; format the value first, e.g. str(value).")
    return text


_RUNS: Final[weakref.WeakSet[Run]] = weakref.WeakSet()


def _close_in_child() -> None:
    for run in list(_RUNS):
        run._refuse_all()  # noqa: SLF001


os.register_at_fork(after_in_child=_close_in_child)
