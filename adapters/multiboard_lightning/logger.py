"""The logger: what Lightning logs goes into a run, under uniform tags and steps."""

from __future__ import annotations

import contextlib
import logging
import os
import weakref
from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from multiboard import tags
from multiboard.arguments import check_given, check_log_dir
from multiboard.errors import ArgumentError
from multiboard.last_step import last_step
from multiboard.metric_names import by_tag
from multiboard.run import Run
from multiboard.trainers import StepCounts, log_each
from multiboard.writer.runs import open_run
from multiboard_lightning import steps
from multiboard_lightning._compat import LightningLogger, rank, rank_zero_experiment, rank_zero_only
from multiboard_lightning.experiment import Experiment
from multiboard_lightning.metrics import split_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from torch import nn

    from multiboard_lightning._compat import Trainer


class Logger(LightningLogger):
    """Log what a Lightning Trainer or Fabric logs, under the tags and steps of all adapters of multiboard.

    'train_loss' becomes `train/loss`, 'val_acc' `val/acc`, 'test_x' `test/x` and 'epoch' `train/epoch`. A name with a '/' stays,
    any other goes under the split that is running. Step n is the n-th update, from 0: the batches that `accumulate_grad_batches`
    makes one update of share it, metrics of an evaluation and of an epoch are at the last update before them, and a fit that is
    resumed from a checkpoint goes on. With several optimizers a step is one training batch. What `self.log(..., on_step=True)`
    logs in an evaluation keeps Lightning's number, that of the evaluation batch.

    Logging raises nothing into a fit; what goes wrong is counted by the run and said once. Values that are tensors are read by
    the writer thread. But Lightning itself reads what `self.log` takes before it calls a logger, every `log_every_n_steps`; who
    wants no wait at all calls `self.logger.run.log({"train/loss": loss}, step)`.

    Only the first process of a distributed training writes. No graph is traced.

    With `Fabric(loggers=...)` the steps are those that `fabric.log` and `fabric.log_dict` are given; the n-th value of a name
    that comes without one is at step n. Fabric tells no logger of the end: `fabric.logger.finalize("success")` closes the run,
    and otherwise the end of the program does.

    Args:
        log_dir: the run directory, without `run`; checkpoints go below it. The run is opened at the start of a fit or an
            evaluation, and closed at its end; a further one goes on in it.
        run: an open run to write to; it stays open, and has the hyper-parameters that `mb.Run(log_dir, config=...)` was given.
        config: hyper-parameters, beside those that modules save with `save_hyperparameters()`.
        resume: go on where the directory ends, as in `mb.Run`; None does so in a fit from a checkpoint, and in evaluations.
        facts: as in `mb.Run`.

    Raises:
        ArgumentError: an argument is not one of the possible ones.
    """

    def __init__(
        self,
        log_dir: str | os.PathLike[str] = "runs/lightning",
        *,
        run: Run | None = None,
        config: Mapping[str, Any] | None = None,
        resume: bool | None = None,
        facts: bool | Mapping[str, Any] = True,
    ) -> None:
        super().__init__()
        self._log_dir = os.fspath(check_log_dir(log_dir))
        self._given = check_given(run, config)
        self._hparams: dict[str, Any] = {} if config is None else _as_dict("config", config)
        self._resume, self._facts = resume, facts
        self._start_over()

    def _start_over(self) -> None:
        """Begin with no run of this process."""
        self._run: Run | None = None
        self._written_hparams: dict[str, Any] | None = None
        self._trainer: Any = lambda: None
        self._counts: StepCounts | None = None
        self._without_trainer = True
        self._last = 0
        self._epoch_step: int | None = None
        self._experiment = Experiment(self.log_dir, self._open, self._add_hparams if self._given is None else None)

    def __getstate__(self) -> dict[str, Any]:
        """Return what a copy for another process needs: it opens the directory itself."""
        return {name: self.__dict__[name] for name in ("_log_dir", "_given", "_hparams", "_resume", "_facts")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._start_over()

    # ------------------------------------------------------------------ what it is

    @property
    def log_dir(self) -> str:
        """The run directory."""
        return self._log_dir if self._given is None else self._given.log_dir

    @property
    def save_dir(self) -> str:
        """The run directory, below which Lightning puts checkpoints."""
        return self.log_dir

    @property
    def root_dir(self) -> str:
        """The run directory."""
        return self.log_dir

    @property
    def name(self) -> str:
        """Empty: the run directory has no directories for names."""
        return ""

    @property
    def version(self) -> str:
        """Empty: the run directory has no directories for versions."""
        return ""

    @property
    def run(self) -> Run | None:
        """The run, opened if it is not; None in all processes but the first.

        Raises:
            LogDirError: the directory cannot be written.
        """
        return None if rank() else self._open()

    @property
    @rank_zero_experiment
    def experiment(self) -> Experiment:
        """A SummaryWriter over the run, e.g. for `self.logger.experiment.add_image(...)`."""
        return self._experiment

    # ------------------------------------------------------------------ what Lightning calls

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        """Log numbers.

        Args:
            metrics: by name: numbers or 0-d tensors.
            step: as Lightning counts; None is that of the update that is being made, or was made last. Without a Trainer None is
                the step after the last one of these names.
        """
        with self._reporting("metrics"):
            trainer = self._trainer()
            if self._without_trainer:
                self._log(metrics, self._counted(metrics, step), "train")
            elif trainer is None or not trainer.sanity_checking:  # it is before the first step
                self._log(metrics, self._step_of(trainer, metrics, step), split_of(trainer))

    @rank_zero_only
    def log_hyperparams(
        self, params: Mapping[str, Any] | Namespace, metrics: Mapping[str, Any] | None = None, step: int | None = None
    ) -> None:
        """Add hyper-parameters to those of the run, which are written with the first metrics.

        Args:
            params: may be nested.
            metrics: as in TensorBoardLogger: numbers to log, by tag.
            step: of the metrics; None is 0.
        """
        with self._reporting("hyper-parameters"):
            self._add_hparams(_as_dict("params", params))
            if metrics:
                self._log(metrics, step or 0, "train")

    @rank_zero_only
    def log_graph(self, model: nn.Module, input_array: Any = None) -> None:  # noqa: ARG002  # Lightning's signature
        """Take notice of the Trainer, which calls this at the start of a fit or an evaluation, and open the run. Traces nothing.

        The run of a fit from a checkpoint is opened later, by the first value: the step is not restored yet. A prediction, which
        logs nothing, opens none.

        Raises:
            LogDirError: the directory cannot be written.
        """
        try:
            trainer = getattr(model, "trainer", None)
        except RuntimeError:  # the module belongs to none
            trainer = None
        if trainer is not None:
            self._trainer, self._without_trainer = weakref.ref(trainer), False
        if trainer is None or not (_is_resumed(trainer) or trainer.predicting):
            self._open()

    @rank_zero_only
    def finalize(self, status: str) -> None:
        """Close the run, unless it was given.

        Args:
            status: 'success' or anything else, which is the end status in the HParams tab.
        """
        with self._reporting("run"):
            self._trainer = lambda: None
            if self._run is not None and not self._run.closed:
                self._write_hparams()
                self._run.close(success=status == "success")

    # ------------------------------------------------------------------ inside

    def _open(self) -> Run:
        if self._given is not None:
            return self._given
        if self._run is None:
            self._run, self._last = self._open_first()
        elif self._run.closed:  # by an earlier fit, or by a fork
            self._run = Run(self._log_dir, facts=False, per_rank=None)
        return self._run

    def _open_first(self) -> tuple[Run, int]:
        """Open the run; return it and the last step of the directory, if it goes on there."""
        trainer: Trainer | None = self._trainer()
        if self._resume is None and trainer is not None:
            done = steps.updates(trainer)
            if trainer.state.fn != "fit":  # it adds to the last step, and replaces nothing
                return open_run(self._log_dir, facts=self._facts), last_step(Path(self._log_dir)) or 0
            if _is_resumed(trainer) and done:
                return open_run(self._log_dir, first_step=done, facts=self._facts), done - 1
        resume = self._resume if self._resume is not None else trainer is None or _is_resumed(trainer)
        run = Run(self._log_dir, facts=self._facts, resume=resume, per_rank=None)
        return run, max(run.start_step - 1, 0)

    def _counted(self, metrics: Mapping[str, Any], step: int | None) -> int:
        if self._counts is None:
            self._counts = StepCounts(self._open().start_step)
        self._last = self._counts.step(metrics, step)
        return self._last

    def _step_of(self, trainer: Trainer | None, metrics: Mapping[str, Any], step: int | None) -> int:
        if trainer is None:
            return self._last if step is None else step
        automatic = "epoch" in metrics  # which the Trainer adds to what it logs at a step of its choice
        if split_of(trainer) == "train":
            number = steps.step_in_training(trainer, step, automatic=automatic)
            self._last = max(self._last, number)
            return number
        if step is not None and not automatic:
            return step
        number = steps.last_update(trainer)
        return number if trainer.state.fn == "fit" else max(number, self._last)

    def _log(self, metrics: Mapping[str, Any], step: int, split: str) -> None:
        run = self._open()
        self._write_hparams()
        numbers = by_tag(metrics, split)
        if step == self._epoch_step:
            numbers.pop(tags.EPOCH, None)
        elif tags.EPOCH in numbers:
            self._epoch_step = step
        if numbers:
            log_each(run, numbers, step)

    def _add_hparams(self, params: Mapping[str, Any]) -> None:
        self._hparams |= params
        if self._written_hparams is not None and self._hparams != self._written_hparams:
            added = sorted(
                name for name in params if name not in self._written_hparams or self._written_hparams[name] != params[name]
            )
            self._report("hyper-parameters", f"hyper-parameters {added} came after the first metrics, and are not written.")

    def _write_hparams(self) -> None:
        if self._hparams and self._written_hparams is None and self._given is None:
            self._written_hparams = dict(self._hparams)
            self._open().hparams(self._hparams)

    @contextlib.contextmanager
    def _reporting(self, what: str) -> Iterator[None]:
        """Let nothing of ours end a training."""
        try:
            yield
        except Exception as error:  # noqa: BLE001
            self._report(f"{what} {type(error).__name__}", f"{what} could not be logged: {type(error).__name__}: {error}")

    def _report(self, cause: str, message: str) -> None:
        run = self._given or self._run
        if run is None:
            logging.getLogger("multiboard").warning("%s", message)
        else:
            run.report(cause, message)


def _is_resumed(trainer: Trainer) -> bool:
    return trainer.state.fn == "fit" and trainer.ckpt_path is not None


def _as_dict(name: str, params: Any) -> dict[str, Any]:
    params = vars(params) if isinstance(params, Namespace) else params
    if not hasattr(params, "items"):
        raise ArgumentError(name, params, "pass hyper-parameters by name, e.g. {'lr': 3e-4}")
    return {str(key): value for key, value in params.items()}
