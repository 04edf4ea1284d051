"""The trials of an Optuna study are runs: parameters with their domains, values, and how they ended."""

import os
import subprocess
import sys

import numpy as np
import pytest

import multiboard as mb
from multiboard import directories

optuna = pytest.importorskip("optuna")
mbo = pytest.importorskip("multiboard.optuna")


@pytest.fixture(autouse=True)
def quiet():
    optuna.logging.set_verbosity(optuna.logging.ERROR)


def make_study(**options):
    return optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0), **options)


def suggest(trial):
    return trial.suggest_float("lr", 1e-5, 1e-1, log=True), trial.suggest_categorical("optimizer", ["sgd", "adam"])


def objective(trial):
    lr, _ = suggest(trial)
    return lr * trial.suggest_int("width", 1, 8)


def test_every_trial_is_a_run_with_its_parameters_and_its_value(tmp_path):
    study = make_study()
    study.optimize(objective, n_trials=3, callbacks=[mbo.Callback(tmp_path)])
    runs = mb.read(tmp_path)
    assert sorted(runs) == ["trial_0000", "trial_0001", "trial_0002"]
    for trial in study.trials:
        run = runs[f"trial_{trial.number:04d}"]
        assert run.hparams == pytest.approx(trial.params)
        assert run.status == "success"
        assert run.facts["trial_state"] == "complete"
        assert run.facts["trial"] == trial.number
        np.testing.assert_allclose(run.scalars["trial/value"].value, [trial.value], rtol=1e-6)


def test_the_ranges_and_choices_of_a_study_are_those_of_the_hparams_tab(tmp_path):
    loaders = pytest.importorskip("tensorboard.backend.event_processing.event_file_loader")
    metadata = pytest.importorskip("tensorboard.plugins.hparams.metadata")
    make_study().optimize(objective, n_trials=1, callbacks=[mbo.Callback(tmp_path, metrics=["val/accuracy"])])
    (path,) = (tmp_path / "trial_0000").glob("events*")
    values = [value for event in loaders.EventFileLoader(str(path)).Load() for value in event.summary.value]
    (stated,) = [value for value in values if value.tag == metadata.EXPERIMENT_TAG]
    experiment = metadata.parse_experiment_plugin_data(stated.metadata.plugin_data.content)
    infos = {info.name: info for info in experiment.hparam_infos}
    assert (infos["lr"].domain_interval.min_value, infos["lr"].domain_interval.max_value) == (1e-5, 1e-1)
    assert (infos["width"].domain_interval.min_value, infos["width"].domain_interval.max_value) == (1, 8)
    assert list(infos["optimizer"].domain_discrete) == ["sgd", "adam"]
    assert [info.name.tag for info in experiment.metric_infos] == ["trial/value", "val/accuracy"]


def test_trials_of_several_threads_are_all_written(tmp_path):
    study = make_study()
    study.optimize(objective, n_trials=12, n_jobs=4, callbacks=[mbo.Callback(tmp_path)])
    runs = mb.read(tmp_path)
    assert len(runs) == 12
    found = sorted(float(run.scalars["trial/value"].value[0]) for run in runs.values())
    np.testing.assert_allclose(found, sorted(trial.value for trial in study.trials), rtol=1e-6)


def test_pruned_and_failed_trials_have_their_state_and_their_reports(tmp_path):
    def ending(trial):
        suggest(trial)
        for step in range(3):
            trial.report(step / 10, step)
        if trial.number == 1:
            raise optuna.TrialPruned
        if trial.number == 2:
            raise ValueError
        return 1.0

    make_study().optimize(ending, n_trials=3, catch=(ValueError,), callbacks=[mbo.Callback(tmp_path)])
    runs = mb.read(tmp_path)
    assert [runs[f"trial_000{number}"].facts["trial_state"] for number in range(3)] == ["complete", "pruned", "fail"]
    assert [runs[f"trial_000{number}"].status for number in range(3)] == ["success", "failure", "failure"]
    for run in runs.values():
        assert run.scalars["trial/intermediate_value"].step.tolist() == [0, 1, 2]
    assert "trial/value" not in runs["trial_0002"].scalars


def test_several_values_have_the_names_that_the_study_gave_them(tmp_path):
    study = make_study(directions=["minimize", "maximize"])
    with pytest.warns(optuna.exceptions.ExperimentalWarning):
        study.set_metric_names(["loss", "speed"])
    study.optimize(lambda trial: (objective(trial), 2.0), n_trials=1, callbacks=[mbo.Callback(tmp_path)])
    assert mb.read(tmp_path)["trial_0000"].scalars["trial/speed"].value.tolist() == [2.0]


def test_the_curves_of_an_objective_share_the_run_of_its_trial(tmp_path):
    def training(trial):
        lr, _ = suggest(trial)
        with mbo.trial_run(trial, tmp_path) as run:
            for step in range(5):
                run.log({"train/loss": lr / (step + 1)}, step)
            return lr

    study = make_study()
    study.optimize(training, n_trials=4, n_jobs=2, callbacks=[mbo.Callback(tmp_path)])
    runs = mb.read(tmp_path)
    assert len(runs) == 4
    for trial in study.trials:
        run = runs[f"trial_{trial.number:04d}"]
        assert run.scalars["train/loss"].step.tolist() == [0, 1, 2, 3, 4]
        np.testing.assert_allclose(run.scalars["trial/value"].value, [trial.value], rtol=1e-6)
        assert run.hparams == pytest.approx(trial.params)
        assert run.status == "success"


def test_a_pruned_trial_whose_run_is_open_has_its_state_and_its_reports(tmp_path):
    def pruned(trial):
        suggest(trial)
        with mbo.trial_run(trial, tmp_path) as run:
            run.log({"train/loss": 1.0}, 0)
            trial.report(1.0, 0)
            raise optuna.TrialPruned

    make_study().optimize(pruned, n_trials=1, callbacks=[mbo.Callback(tmp_path)])
    run = mb.read(tmp_path)["trial_0000"]
    assert (run.status, run.facts["trial_state"]) == ("failure", "pruned")
    assert run.scalars["trial/intermediate_value"].value.tolist() == [1.0]
    assert run.scalars["train/loss"].value.tolist() == [1.0]


def test_a_failed_trial_of_a_study_that_goes_on_is_one_run(tmp_path):
    def failing(trial):
        suggest(trial)
        trial.report(1.0, 0)
        with mbo.trial_run(trial, tmp_path) as run:
            run.log({"train/loss": 1.0}, 0)
            raise ValueError

    make_study().optimize(failing, n_trials=2, catch=(ValueError,), callbacks=[mbo.Callback(tmp_path)])
    runs = mb.read(tmp_path)
    assert sorted(runs) == ["trial_0000", "trial_0001"]
    for run in runs.values():
        assert (run.status, run.facts["trial_state"]) == ("failure", "fail")
        assert set(run.hparams) == {"lr", "optimizer"}
        assert {"train/loss", "trial/intermediate_value", "trial/duration_s"} <= set(run.scalars)


def test_a_trial_without_a_callback_has_its_parameters_and_its_end(tmp_path):
    def training(trial):
        with mbo.trial_run(trial, tmp_path) as run:
            suggest(trial)
            run.log({"train/loss": 1.0}, 0)
            if trial.number == 1:
                raise optuna.TrialPruned
            return 1.0

    study = make_study()
    study.optimize(training, n_trials=2)
    runs = mb.read(tmp_path)
    assert [run.facts["trial_state"] for _, run in sorted(runs.items())] == ["complete", "pruned"]
    assert runs["trial_0001"].hparams == pytest.approx(study.trials[1].params)


def test_an_objective_that_raises_ends_its_run_as_a_failure(tmp_path):
    def failing(trial):
        suggest(trial)
        with mbo.trial_run(trial, tmp_path):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        make_study().optimize(failing, n_trials=1, callbacks=[mbo.Callback(tmp_path)])
    assert mb.read(tmp_path)["trial_0000"].status == "failure"


def test_trials_that_differ_in_their_parameters_are_said_to_be_hidden(tmp_path):
    def conditional(trial):
        return trial.suggest_float("a" if trial.number else "b", 0, 1)

    with pytest.warns(mb.MultiboardWarning, match="domains=False"):
        make_study().optimize(conditional, n_trials=2, callbacks=[mbo.Callback(tmp_path)])
    make_study().optimize(conditional, n_trials=2, callbacks=[mbo.Callback(tmp_path / "free", domains=False)])
    assert set(mb.read(tmp_path / "free")["trial_0001"].hparams) == {"a"}


def test_choices_of_several_types_are_hyper_parameters_all_the_same(tmp_path):
    def mixed(trial):
        trial.suggest_categorical("depth", [None, 1, 2])
        return trial.suggest_categorical("flag", [True, False]) * 1.0

    make_study().optimize(mixed, n_trials=3, callbacks=[mbo.Callback(tmp_path)])
    assert all("depth" in run.hparams for run in mb.read(tmp_path).values())


def test_a_choice_that_is_infinite_is_a_hyper_parameter_as_a_text(tmp_path):
    study = make_study()
    study.optimize(
        lambda trial: min(trial.suggest_categorical("clip", [float("inf"), 1.0]), 5.0), 4, callbacks=[mbo.Callback(tmp_path)]
    )
    runs = mb.read(tmp_path)
    assert {run.hparams["clip"] for run in runs.values()} == {"inf", 1.0}
    values = [run.scalars["trial/value"].value[0] for _, run in sorted(runs.items())]
    assert values == [trial.value for trial in study.trials]


def test_a_trial_of_no_study_has_a_run_of_its_own(tmp_path):
    def training(trial):
        lr = trial.suggest_float("lr", 0, 1)
        with mbo.trial_run(trial, tmp_path) as run:
            run.log({"train/loss": lr}, 0)
        return lr

    study = make_study()
    callback = mbo.Callback(tmp_path)
    study.optimize(training, 1, callbacks=[callback])
    for trial in (study.best_trial, optuna.trial.FixedTrial({"lr": 0.5}, number=7)):
        training(trial)
    runs = mb.read(tmp_path)
    assert sorted(runs) == ["trial_0000", "trial_0000_1", "trial_0007"]
    assert runs["trial_0007"].hparams == {"lr": 0.5}
    assert runs["trial_0007"].status == "success"


def test_a_second_study_in_a_directory_adds_runs_and_mixes_none(tmp_path):
    for _ in range(2):
        make_study().optimize(objective, n_trials=1, callbacks=[mbo.Callback(tmp_path)])
    assert sorted(mb.read(tmp_path)) == ["trial_0000", "trial_0000_1"]


def test_a_second_study_on_a_url_adds_runs_and_mixes_none_also_in_another_process(tmp_path, monkeypatch):
    pytest.importorskip("fsspec")
    monkeypatch.setenv("MULTIBOARD_SPOOL", str(tmp_path))
    url = f"memory://{tmp_path.name}"
    for _ in range(2):
        make_study().optimize(objective, n_trials=1, callbacks=[mbo.Callback(url)])
        directories._claimed.clear()  # as another process has it
    assert sorted(mb.read(url)) == ["trial_0000", "trial_0000_1"]


def test_a_trial_on_a_url_with_a_stroke_at_its_end_is_one_run(tmp_path, monkeypatch):
    pytest.importorskip("fsspec")
    monkeypatch.setenv("MULTIBOARD_SPOOL", str(tmp_path))
    url = f"memory://{tmp_path.name}"

    def training(trial):
        with mbo.trial_run(trial, url) as run:
            run.log({"train/loss": suggest(trial)[0]}, 0)
        return 1.0

    make_study().optimize(training, n_trials=1, callbacks=[mbo.Callback(f"{url}/")])
    (run,) = mb.read(url).values()
    assert {"train/loss", "trial/value"} <= set(run.scalars)


def test_a_directory_that_cannot_be_written_does_not_end_a_study(tmp_path, caplog):
    (tmp_path / "file").write_text("")
    study = make_study()
    study.optimize(objective, n_trials=2, callbacks=[mbo.Callback(tmp_path / "file" / "sweep")])
    assert len(study.trials) == 2
    assert "the trial was left out" in caplog.text


PROCESS = """
import sys, optuna, multiboard.optuna as mbo
from optuna.storages.journal import JournalFileBackend
storage = optuna.storages.JournalStorage(JournalFileBackend(sys.argv[1]))
study = optuna.create_study(study_name="sweep", storage=storage, load_if_exists=True)
study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=3, callbacks=[mbo.Callback(sys.argv[2])])
"""


def test_processes_that_share_a_study_write_each_trial_once(tmp_path):
    command = [sys.executable, "-W", "ignore", "-c", PROCESS, str(tmp_path / "study.log"), str(tmp_path / "runs")]
    processes = [
        subprocess.Popen(command, env={**os.environ, "RANK": str(rank), "WORLD_SIZE": "2"}, stderr=subprocess.PIPE, text=True)
        for rank in range(2)
    ]
    outputs = [process.communicate(timeout=120)[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], outputs
    assert sorted(mb.read(tmp_path / "runs")) == [f"trial_000{number}" for number in range(6)]


@pytest.mark.parametrize("options", [{"domains": 1}, {"metrics": "val/loss"}])
def test_an_argument_that_is_none_of_a_study_is_refused(tmp_path, options):
    with pytest.raises(mb.ArgumentError, match=next(iter(options))):
        mbo.Callback(tmp_path, **options)
