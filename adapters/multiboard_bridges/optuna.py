"""The trials of an Optuna study: one run each, with its hyper-parameters, its values and how it ended.

    import multiboard.optuna as mbo
    study.optimize(objective, n_trials=20, callbacks=[mbo.Callback("runs/sweep")])

An objective that trains may open the run of its trial itself, with `trial_run`, so that its curves are in the same run.
"""

from __future__ import annotations

import contextlib
import math
import os
import weakref
from typing import TYPE_CHECKING, Any, Final

from optuna import TrialPruned
from optuna.distributions import CategoricalDistribution
from optuna.trial import TrialState

from multiboard import tags, urls
from multiboard.arguments import check_flag, check_log_dir
from multiboard.directories import claim_directory
from multiboard.errors import ArgumentError
from multiboard.run import Run
from multiboard.trainers import log_each, reporting

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from optuna import Study, Trial
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial

__all__ = ["Callback", "trial_run"]

_GROUP: Final = "trial"


class Callback:
    """Write a run for each trial of a study, as soon as it has ended; also with `n_jobs`, and in several processes.

    A run has the parameters of its trial as hyper-parameters, with their ranges and choices; `trial/value`, or a scalar by the
    name that `study.set_metric_names` gave it; `trial/intermediate_value` at the steps of `trial.report`; `trial/duration_s`; and
    `run/trial_state`. In the HParams tab a trial that was pruned or failed has the status FAILURE. Nothing raises into a study.

    Args:
        log_dir: the directory of the study; the run of trial 7 is 'trial_0007' in it, or 'trial_0007_1' if there is one already.
        domains: state ranges and choices. TensorBoard takes them from one run and hides parameters that this run does not have;
            False is for studies whose trials differ in their parameters.
        metrics: tags of further scalars to compare trials by, which `trial_run` writes, e.g. ['val/accuracy']. With `domains`
            TensorBoard shows no others.
        options: further arguments of `mb.Run`, e.g. `facts=False`.

    Raises:
        ArgumentError: an argument is not one of the possible ones.
    """

    def __init__(
        self, log_dir: str | os.PathLike[str], *, domains: bool = True, metrics: Iterable[str] = (), **options: Any
    ) -> None:
        self._sweep = os.fspath(check_log_dir(log_dir))
        self._stated = _Stated(domains, metrics)
        self._options = options
        _callbacks.add(self)

    def __call__(self, study: Study, trial: FrozenTrial) -> None:
        """Write the run of a trial that has ended; `study.optimize` calls this."""
        ending = _waiting.pop((_place(self._sweep), study.study_name, trial.number), None)
        with reporting("trial", lambda: None if ending is None else ending.run):
            if ending is None:
                directory = _directory(self._sweep, trial.number, self._options)
                run = _open(directory, trial.number, study, self._options)
                ending = _Ending(run, directory, study, self._stated, self._options)
            ending.stated = self._stated
            ending.finish(trial)

    def follows(self, log_dir: str) -> bool:
        """Tell whether the trials of a directory are brought to this callback."""
        return _place(log_dir) == _place(self._sweep)


@contextlib.contextmanager
def trial_run(
    trial: Trial, log_dir: str | os.PathLike[str], *, domains: bool = True, metrics: Iterable[str] = (), **options: Any
) -> Iterator[Run]:
    """Open the run of a trial inside its objective, for the curves of a training.

    At the end of the block the hyper-parameters are written, with what the trial was asked for until then. If the study has a
    `Callback` for the same directory, that one adds the values and closes the run. An exception of the block makes the trial
    pruned or failed, as in Optuna. A `FixedTrial`, or `study.best_trial` once more, gets a run of its own.

    Args:
        trial: that the objective was given.
        log_dir: the directory of the study, as in `Callback`.
        domains: as in `Callback`, whose choice counts if there is one.
        metrics: as in `Callback`, whose choice counts if there is one.
        options: further arguments of `mb.Run`.

    Yields:
        The run.

    Raises:
        ArgumentError: an argument is not one of the possible ones.
        LogDirError: the directory cannot be written.

    Example:
        def objective(trial):
            lr = trial.suggest_float("lr", 1e-5, 1e-1, log=True)
            with mbo.trial_run(trial, "runs/sweep") as run:
                return train(lr, run)
    """
    sweep, stated = os.fspath(check_log_dir(log_dir)), _Stated(domains, metrics)
    study: Study | None = getattr(trial, "study", None)
    directory = _directory(sweep, trial.number, options)
    run = _open(directory, trial.number, study, options)
    ending = _Ending(run, directory, study, stated, options)
    run.before_close(lambda: ending.write(trial.params, trial.distributions, ending.state))
    try:
        yield run
        ending.state = TrialState.COMPLETE
    except BaseException as error:
        ending.state = TrialState.PRUNED if isinstance(error, TrialPruned) else TrialState.FAIL
        raise
    finally:
        followed = study is not None and any(callback.follows(sweep) for callback in list(_callbacks))
        if study is not None and followed:
            _waiting[_place(sweep), study.study_name, trial.number] = ending
        if not followed or ending.state is TrialState.FAIL:  # Optuna calls nobody for an exception that ends the study
            run.close(success=ending.state is TrialState.COMPLETE)


class _Stated:
    """What the runs of a study state of their hyper-parameters.

    Args:
        domains: whether they state ranges and choices.
        metrics: tags of further scalars to compare runs by.
    """

    def __init__(self, domains: object, metrics: object) -> None:
        self.domains = check_flag("domains", domains)
        if isinstance(metrics, str) or not all(isinstance(tag, str) for tag in metrics):  # type: ignore[attr-defined]
            raise ArgumentError("metrics", metrics, "pass tags, e.g. ['val/accuracy']")
        self.metrics: tuple[str, ...] = tuple(metrics)  # type: ignore[arg-type]


class _Ending:
    """What is written at the end of the run of a trial.

    Args:
        run: of the trial.
        directory: of the run, or its URL.
        study: of the trial; None if it is of none.
        stated: what the run says of its hyper-parameters.
        options: that the run was opened with.

    Attributes:
        state: of the trial, as far as it is known.
    """

    def __init__(self, run: Run, directory: str, study: Study | None, stated: _Stated, options: Mapping[str, Any]) -> None:
        self.run, self.stated, self.state = run, stated, TrialState.RUNNING
        self._tags = [] if study is None else _value_tags(study)
        self._directory, self._remote = directory, options.get("remote")
        self._written = False

    def write(self, params: Mapping[str, Any], distributions: Mapping[str, BaseDistribution], state: TrialState) -> None:
        """Write the hyper-parameters; a second call does nothing."""
        if self._written:
            return
        self._written = True
        config = {**params, f"{tags.FACTS}trial_state": state.name.lower()}
        if not (self.stated.domains and self._tags):  # a run of no study would state that there are no values
            self.run.hparams(config)
            return
        self._tell_hidden(frozenset(params))
        domains = {name: domain for name, kind in distributions.items() if (domain := _domain(kind))}
        self.run.hparams(config, domains=domains, metrics=[*self._tags, *self.stated.metrics])

    def finish(self, trial: FrozenTrial) -> None:
        """Write all that a trial has come to, and close the run; one that is closed already is opened once more."""
        if self.run.closed:
            self.run = Run(self._directory, facts=False, resume="add", per_rank=None, remote=self._remote)
        try:
            self._write_end(trial)
        finally:
            self.run.close(success=trial.state is TrialState.COMPLETE)

    def _write_end(self, trial: FrozenTrial) -> None:
        self.write(trial.params, trial.distributions, trial.state)
        for step, value in sorted(trial.intermediate_values.items()):
            log_each(self.run, {f"{_GROUP}/intermediate_value": value}, step)
        last = max(trial.intermediate_values, default=0)
        numbers: dict[str, Any] = dict(zip(self._tags, trial.values or (), strict=False))
        if trial.duration is not None:
            numbers[f"{_GROUP}/duration_s"] = trial.duration.total_seconds()
        log_each(self.run, numbers, last)

    def _tell_hidden(self, names: frozenset[str]) -> None:
        sweep = os.path.dirname(self._directory)  # noqa: PTH120  # it may be a URL
        first = _parameters.setdefault(_place(sweep), names)
        if names != first:
            message = (
                f"trials of {urls.shown(sweep)!r} differ in the parameters {sorted(names ^ first)}, and TensorBoard hides those "
                "that the first run does not have; pass domains=False."
            )
            self.run.report("trials differ in their parameters", message)


_callbacks: Final[weakref.WeakSet[Callback]] = weakref.WeakSet()
_waiting: Final[dict[tuple[str, str, int], _Ending]] = {}
"""By place, study and trial: runs whose objective is over, and whose callback is to come."""
_parameters: Final[dict[str, frozenset[str]]] = {}
"""By place: the parameters of the first trial that stated ranges."""


def _place(log_dir: str) -> str:
    return log_dir.rstrip("/") if urls.is_url(log_dir) else os.path.abspath(log_dir)  # noqa: PTH100  # a link that is followed would be another name


def _directory(sweep: str, number: int, options: Mapping[str, Any]) -> str:
    return claim_directory(sweep, f"trial_{number:04d}", options.get("remote"))


def _open(directory: str, number: int, study: Study | None, options: Mapping[str, Any]) -> Run:
    facts = options.get("facts", True)
    if facts is not False:
        own = {"trial": number} | ({} if study is None else {"study": study.study_name})
        facts = own | ({} if facts is True else dict(facts))
    # A job of several processes has a study of several: whichever runs a trial writes it.
    return Run(directory, **{"per_rank": None, **options, "facts": facts})


def _value_tags(study: Study) -> list[str]:
    if study.metric_names is not None:
        return [f"{_GROUP}/{name}" for name in study.metric_names]
    several = len(study.directions) > 1
    return [f"{_GROUP}/value_{number}" if several else f"{_GROUP}/value" for number in range(len(study.directions))]


def _domain(distribution: BaseDistribution) -> tuple[float, float] | list[Any] | None:
    """Return what `Run.hparams` takes as a domain; None for choices of several types."""
    if isinstance(distribution, CategoricalDistribution):
        kinds = {_kind(choice) for choice in distribution.choices}
        return list(distribution.choices) if len(kinds) == 1 else None
    low, high = getattr(distribution, "low", None), getattr(distribution, "high", None)
    return None if low is None or high is None else (low, high)


def _kind(choice: object) -> type:
    """Return the type that a choice has as a hyper-parameter, where infinity and what is no number are texts."""
    if isinstance(choice, bool):
        return bool
    return float if isinstance(choice, (int, float)) and math.isfinite(choice) else str
