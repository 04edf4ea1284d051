"""A drop-in `SummaryWriter`: the methods of torch.utils.tensorboard and of tensorboardX together, each one call of a `Run`.

What differs from both on purpose: `add_hparams` and `add_scalars` stay in the run unless sub-runs are asked for, NaN and empty
data raise nothing, no call waits for a queue, bfloat16 keeps its values, and everything is written in TensorBoard's tensor form.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from multiboard.writer.files import FileWriter
from multiboard.writer.measures import MeasuresMethods
from multiboard.writer.media import MediaMethods
from multiboard.writer.runs import WriterRuns, default_log_dir
from multiboard.writer.structures import StructuresMethods

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

    from multiboard.run import Run
    from multiboard.values import Foreign


class SummaryWriter(MediaMethods, MeasuresMethods, StructuresMethods):
    """Logs with the signatures of torch.utils.tensorboard and tensorboardX; see `Run` for what each kind takes.

    Arguments that nearly all methods share:

    - `tag`: one tag has one kind in a run.
    - `global_step`: an integer, '3', or an array of one element; None is step 0 (or that of `use_metadata`). May go back.
    - `walltime`: seconds since the epoch; None is now.

    A method that is used after `close` goes on in a new event file of the same directory. Every process that makes a writer
    writes, whatever its rank: code for the peers does not make one, or logs nothing, on other ranks than 0.

    Args:
        log_dir: the run directory; None is 'runs/<month><day>_<time>_<host><comment>'.
        comment: end of the default name; without effect if `log_dir` is given.
        purge_step: TensorBoard's Python reader drops what earlier files of the directory hold from this step on.
        max_queue: accepted and not needed: the queue has no bound and never blocks.
        flush_secs: accepted and not needed: a writer thread brings values to the file ten times a second.
        filename_suffix: goes to the end of the event file's name.
        write_to_disk: False takes all calls and writes nothing.
        logdir: another name of `log_dir`.
        sub_runs: `add_hparams` and `add_scalars` open a sub-run per call or series, as both peers do.
        facts: as in `Run`, but off unless asked for.

    Raises:
        LogDirError: the directory cannot be written.

    Example:
        >>> import tempfile, multiboard as mb
        >>> with mb.SummaryWriter(tempfile.mkdtemp()) as writer:
        ...     for step in range(3):
        ...         writer.add_scalar("train/loss", 1 / (step + 1), step)
    """

    def __init__(
        self,
        log_dir: str | os.PathLike[str] | None = None,
        comment: str = "",
        purge_step: int | None = None,
        max_queue: int = 10,
        flush_secs: float = 120,
        filename_suffix: str = "",
        write_to_disk: bool = True,
        logdir: str | os.PathLike[str] | None = None,
        *,
        sub_runs: bool = False,
        facts: bool | Mapping[str, Any] = False,
    ) -> None:
        self.log_dir = os.fspath(log_dir or logdir or default_log_dir(comment))
        self.logdir = self.log_dir
        self.purge_step, self.max_queue, self.flush_secs = purge_step, max_queue, flush_secs
        self.filename_suffix = filename_suffix
        self._sub_runs = sub_runs
        self._runs = WriterRuns(
            self.log_dir, purge_step=purge_step, suffix=filename_suffix, write_to_disk=write_to_disk, facts=facts
        )
        self.file_writer = FileWriter(self.log_dir, self._runs.main, self.flush, self.close)

    @property
    def run(self) -> Run:
        """The run that takes the values."""
        return self._runs.main()

    @property
    def all_writers(self) -> dict[str, FileWriter]:
        """File writers of the open runs by directory."""
        runs = self._runs.opened()
        return {log_dir: self._file_writer_of(run) for log_dir, run in runs.items()}

    def _file_writer_of(self, run: Run) -> FileWriter:
        return self.file_writer if run.log_dir == self.log_dir else FileWriter(run.log_dir, lambda: run, run.flush, run.close)

    def _at(self, step: object, walltime: float | None) -> tuple[Any, float | None]:
        return self.file_writer.at(step, walltime)

    def _get_file_writer(self) -> FileWriter:
        return self.file_writer

    def get_logdir(self) -> str:
        """Return the run directory."""
        return self.log_dir

    # ------------------------------------------------------------------ scalars and hyper-parameters

    def add_scalar(
        self,
        tag: str,
        scalar_value: Foreign,
        global_step: Any = None,
        walltime: float | None = None,
        new_style: bool | str = False,
        double_precision: bool | str = False,
        *,
        display_name: str = "",
        summary_description: str = "",
    ) -> None:
        """Log one number as float32, see `Run.scalar`.

        Args:
            tag: the name of the chart.
            scalar_value: a number, or an array of one element of any framework.
            global_step: see the class.
            walltime: see the class.
            new_style: accepted: the tensor form is always used. A string is tensorboardX's `display_name`.
            double_precision: accepted: TensorBoard shows float32 only. A string is tensorboardX's `summary_description`.
            display_name: not written, which is said once: a chart is named by its tag.
            summary_description: not written, which is said once.
        """
        step, when = self._at(global_step, walltime)
        if any(isinstance(text, str) and text for text in (new_style, double_precision, display_name, summary_description)):
            self.run.report("description of a scalar", f"tag {tag!r}: display names and descriptions of scalars are not written.")
        self.run.scalar(tag, _flat(scalar_value), step, wall_time=when)

    def add_scalars(
        self,
        main_tag: str,
        tag_scalar_dict: Mapping[str, Foreign],
        global_step: Any = None,
        walltime: float | None = None,
        *,
        sub_runs: bool = False,
    ) -> None:
        """Log several numbers of one step as `<main_tag>/<name>`, see `Run.log`.

        Args:
            main_tag: the part of the tags that they share.
            tag_scalar_dict: numbers by name.
            global_step: see the class.
            walltime: see the class.
            sub_runs: a run `<main_tag>_<name>` for each, in which the tag is `main_tag`: TensorBoard draws them into one chart.
        """
        step, when = self._at(global_step, walltime)
        apart = (sub_runs or self._sub_runs) and isinstance(tag_scalar_dict, Mapping)
        if not apart:
            self.run.log(_flat_values(tag_scalar_dict, f"{main_tag}/"), step, wall_time=when)
            return
        for name, value in tag_scalar_dict.items():
            run = self._runs.child(f"{main_tag.replace('/', '_')}_{name}")
            run.scalar(main_tag, _flat(value), step, wall_time=when)

    def add_hparams(
        self,
        hparam_dict: Mapping[str, Any],
        metric_dict: Mapping[str, Foreign],
        hparam_domain_discrete: Mapping[str, Any] | str | None = None,
        run_name: str | int | None = None,
        global_step: Any = None,
        *,
        name: str | None = None,
        sub_runs: bool = False,
    ) -> None:
        """Record the hyper-parameters of the run, once, and log metrics, see `Run.hparams` and `Run.log`.

        Args:
            hparam_dict: bools, numbers and strings by name.
            metric_dict: scalars by tag. One that is a curve of the run is written as `hparam/<tag>`, so that the curve stays.
            hparam_domain_discrete: lists of all values that a hyper-parameter can take, by name: they and the metrics of this
                call are then stated, not inferred, see `Run.hparams`. A string is tensorboardX's `name`.
            run_name: a sub-run that takes both; None is the run of the writer. A number is tensorboardX's `global_step`.
            global_step: step of the metrics, see the class.
            name: another name of `run_name`.
            sub_runs: without a name, open a sub-run named by the time.
        """
        domains = hparam_domain_discrete or None
        if isinstance(domains, str):
            name, domains = domains, None
        if run_name is not None and not isinstance(run_name, str):
            run_name, global_step = None, run_name
        step, when = self._at(global_step, None)
        unnamed = str(time.time()) if sub_runs or self._sub_runs else "."
        run = self._runs.child(run_name or name or unnamed)
        metrics = self._runs.beside_curves(run, _flat_values(metric_dict))
        self._runs.start_session(run, hparam_dict, domains, metrics)
        run.log(metrics, step, wall_time=when)

    # ------------------------------------------------------------------ life

    @contextlib.contextmanager
    def use_metadata(self, *, global_step: Any = None, walltime: float | None = None) -> Iterator[Self]:
        """Use a step and a wall time for all calls inside the block that state none.

        Args:
            global_step: None leaves the default.
            walltime: None leaves the default.
        """
        with self.file_writer.use_metadata(global_step=global_step, walltime=walltime):
            yield self

    def export_scalars_to_json(self, path: str | os.PathLike[str]) -> None:
        """Write all scalars of the directory and of the writer's sub-runs as `{tag: [[wall time, step, value], ...]}`.

        Args:
            path: the file; a tag of a sub-run is written behind the name of the sub-run.
        """
        from multiboard.errors import ReadError
        from multiboard.reader import read

        self.flush()
        exported: dict[str, list[list[float]]] = {}
        for log_dir in self._runs.opened() or [self.log_dir]:
            with contextlib.suppress(ReadError):  # nothing is written to the disk
                prefix = "" if log_dir == self.log_dir else f"{os.path.relpath(log_dir, self.log_dir)}/"
                for tag, column in read(log_dir)["."].scalars.items():
                    points = zip(column.wall_time.tolist(), column.step.tolist(), column.value.tolist(), strict=True)
                    exported[prefix + tag] = [list(point) for point in points]
        Path(path).write_text(json.dumps(exported))

    def flush(self) -> None:
        """Wait until all that was logged is in the file; returns at once on a closed writer."""
        for run in self._runs.opened().values():
            run.flush()

    def close(self) -> None:
        """Write all that was logged and close the file; a second call does nothing."""
        self._runs.close(success=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._runs.close(success=kind is None)


def _flat(value: Foreign) -> Foreign:
    """Return an array of one element without axes, anything else as it is."""
    shape = getattr(value, "shape", ())
    return value.reshape(()) if len(shape) > 1 and set(shape) == {1} and hasattr(value, "reshape") else value


def _flat_values(metrics: Any, prefix: str = "") -> Any:
    """Return numbers by tag; what is no mapping as it is, for `Run.log` to refuse."""
    return {f"{prefix}{tag}": _flat(value) for tag, value in metrics.items()} if isinstance(metrics, Mapping) else metrics
