"""The trials of a sweep: one run each, with its hyper-parameters and how it ended."""

from __future__ import annotations

import atexit
import os
import threading
import weakref
from collections.abc import Mapping
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, Final, Self

from multiboard.arguments import check_log_dir
from multiboard.directories import claim_directory, trial_name
from multiboard.errors import ArgumentError
from multiboard.kinds.hparams import flatten, take_experiment
from multiboard.urls import is_url, join
from multiboard_keras.capture import TensorBoard

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import TracebackType

    from multiboard.run import Run
    from multiboard_keras.naming import Naming

_HPARAMS_RULE: Final = "pass a mapping of names to values, e.g. {'lr': 1e-3}, or keras-tuner's HyperParameters"
_TRIAL_RULE: Final = "pass the name of a directory below log_dir, e.g. 'trial_07', or leave it out for one made of the hparams"


class HParams(TensorBoard):
    """Log one trial of a sweep: a run of its own below `log_dir`, a row of the HParams tab.

    The row says SUCCESS after a fit, and FAILURE if the fit ended in an exception or was interrupted. Keras tells nobody of that:
    it is written at the end of the `with` block, or when the next trial of the same thread begins, the callback is forgotten, or
    the program ends. Several fits of one callback are one run, and in a `with` block one session; otherwise each fit ends it, and
    TensorBoard keeps the status of the first. With keras-tuner make the callback in `HyperModel.fit`, where the trial's values
    are known.

    Args:
        log_dir: the directory of the sweep.
        hparams: by name, may be nested; or what has them as `values`, as keras-tuner's HyperParameters. Keys may be objects with
            a `name`, as `hp.HParam` of TensorBoard's own plugin.
        trial: the name of the run; by default one made of the hyper-parameters, as 'lr=0.001,units=64', with a number behind it
            if there is such a directory already.
        domains: as in `Run.hparams`.
        metrics: as in `Run.hparams`, e.g. ['val/accuracy'].
        options: all other arguments of `TensorBoard`.

    Raises:
        ArgumentError: an argument is not one of the possible ones.

    Example:
        for lr in (1e-3, 1e-2):
            with mbk.HParams("runs/sweep", {"lr": lr}) as callback:
                make_model(lr).fit(x, y, callbacks=[callback])
    """

    def __init__(
        self,
        log_dir: str | os.PathLike[str],
        hparams: Any,
        *,
        trial: str | None = None,
        domains: Mapping[Any, Any] | None = None,
        metrics: Iterable[str] | Mapping[str, str] | None = None,
        **options: Any,
    ) -> None:
        if "run" in options:
            raise ArgumentError("run", options["run"], "a trial opens a run of its own; give an open run to TensorBoard")
        super().__init__(log_dir, **options)
        self._sweep = check_log_dir(log_dir)
        self._values = _take(hparams)
        self._domains = None if domains is None else _by_name("domains", domains)
        self._metrics = metrics if metrics is None or isinstance(metrics, (str, Mapping)) else list(metrics)
        take_experiment(self._values, self._domains, self._metrics)  # said here rather than in the fit
        self._name = None if trial is None else _check_trial(trial)
        self._claimed = self._held = False
        self._trial = _Trial()
        weakref.finalize(self, self._trial.let_go).atexit = False

    def __enter__(self) -> Self:
        self._held = True
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._held = False
        self._trial.end(success=kind is None and not self._trial.fitting)
        self._close_runs()

    def on_train_begin(self, logs: Mapping[str, Any] | None = None) -> None:
        """End the trial before this one if its fit was cut off, and begin or go on with this one."""
        if self._trial.begin():
            self._forget_runs()
        super().on_train_begin(logs)

    def on_train_end(self, logs: Mapping[str, Any] | None = None) -> None:
        """End the trial, unless it goes on until the end of the `with` block."""
        self._trial.fitting = False
        super().on_train_end(logs)

    # ------------------------------------------------------------------ what TensorBoard calls

    def _open(self, resume: bool | str) -> Naming:
        if not self._claimed:
            self._claimed = True
            self.log_dir = self._directory()
        return super()._open(resume)

    def _open_run(self, log_dir: str, resume: bool | str) -> Run:
        run = super()._open_run(log_dir, resume)
        if resume != "add" and not self._trial.runs:
            run.hparams(self._values, domains=self._domains, metrics=self._metrics)
        self._trial.runs.append(run)
        return run

    def _close_runs(self) -> None:
        of_fit = self._naming is not None
        if not (self._held and of_fit):
            self._forget_runs()

    # ------------------------------------------------------------------ inside

    def _forget_runs(self) -> None:
        super()._close_runs()
        self._trial.runs.clear()

    def _directory(self) -> str:
        if self._name is not None:
            below = os.fspath(self._sweep)
            return join(below, self._name) if is_url(below) else os.fspath(Path(below, self._name))
        return claim_directory(self._sweep, trial_name(self._values))


class _Trial:
    """The open runs of a trial, apart from its callback, so that they can still be ended when that is gone.

    Attributes:
        runs: that are open; the first one has the hyper-parameters.
        fitting: whether a fit has begun and not ended.
    """

    def __init__(self) -> None:
        self.runs: list[Run] = []
        self.fitting = False
        _trials.add(self)

    def begin(self) -> bool:
        """Begin a fit, after the end of the last one of this thread if that was cut off; return whether the runs are closed."""
        last = getattr(_last, "trial", None)
        if last is not None and last is not self and last.fitting:
            last.end(success=False)
        _last.trial = self
        self.fitting = True
        return any(run.closed for run in self.runs)

    def end(self, *, success: bool) -> None:
        """Close the runs."""
        self.fitting = False
        for run in self.runs:
            run.close(success=success)

    def let_go(self) -> None:
        """Write the end of a fit that was cut off; takes no lock and waits for nothing, as a garbage collection may call it."""
        if self.fitting:
            for run in self.runs:
                run.note_failure()


_trials: Final[weakref.WeakSet[_Trial]] = weakref.WeakSet()
_last: Final = threading.local()


@atexit.register  # before the core closes all runs: what was registered last is called first
def _end_cut_off() -> None:
    for trial in tuple(_trials):
        if trial.fitting:
            trial.end(success=False)


def _take(hparams: object) -> dict[str, Any]:
    """Return hyper-parameters of any form, flat and by name."""
    values = hparams if isinstance(hparams, Mapping) else getattr(hparams, "values", None)
    if not isinstance(values, Mapping):
        raise ArgumentError("hparams", hparams, _HPARAMS_RULE)
    return {**flatten(_by_name("hparams", values))}


def _by_name(argument: str, values: object) -> dict[str, Any]:
    """Return a mapping with the names of its keys."""
    if not isinstance(values, Mapping):
        raise ArgumentError(argument, values, _HPARAMS_RULE)
    named: dict[Any, Any] = {getattr(key, "name", key): value for key, value in values.items()}
    if strange := [key for key in named if not isinstance(key, str)]:
        raise ArgumentError(argument, strange[0], "names are strings, or objects with a name, as hp.HParam('lr')")
    return named


def _check_trial(trial: object) -> str:
    if not isinstance(trial, str) or not trial or PurePath(trial).is_absolute() or ".." in PurePath(trial).parts:
        raise ArgumentError("trial", trial, _TRIAL_RULE)
    return trial
