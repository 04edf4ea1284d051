"""With keras-tuner each trial is one run, on every backend."""

import copy

import keras
import keras_tuner as tuner
import pytest

import multiboard as mb
import multiboard.keras as mbk

# keras-tuner's own way of naming threads
pytestmark = pytest.mark.filterwarnings(r"ignore:(currentThread|getName)\(\) is deprecated:DeprecationWarning")

RATES = [0.5, 0.25]


class Sweep(tuner.HyperModel):
    """One layer, whose learning rate is tuned.

    Args:
        log_dir: where each trial is logged by a callback of its own; None for nowhere.
        callbacks: given to `search`.
    """

    def __init__(self, log_dir=None, callbacks=()):
        super().__init__()
        self.log_dir = log_dir
        self.callbacks = list(callbacks)

    def build(self, hp):
        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, name="fc")])
        model.compile(keras.optimizers.SGD(hp.Choice("lr", RATES)), loss="mse")
        return model

    def fit(self, hp, model, *args, callbacks=(), **options):
        own = [mbk.HParams(self.log_dir, hp)] if self.log_dir else []
        return model.fit(*args, callbacks=[*callbacks, *own], **options)


def search(directory, vectors, sweep, **options):
    found = tuner.RandomSearch(sweep, objective="loss", max_trials=2, directory=directory, project_name="p", **options)
    found.search(*vectors, batch_size=28, verbose=0, callbacks=sweep.callbacks)
    return found


def test_a_callback_made_in_fit_of_the_hyper_model_logs_each_execution_with_its_values(vectors, tmp_path):
    search(tmp_path, vectors, Sweep(tmp_path / "sweep"), executions_per_trial=2)
    runs = mb.read(tmp_path / "sweep")
    assert {name: run.hparams for name, run in runs.items()} == {
        f"lr={rate}{number}": {"lr": rate} for rate in RATES for number in ("", "_1")
    }
    assert {run.status for run in runs.values()} == {"success"}


def test_a_callback_given_to_search_has_one_run_for_each_trial(vectors, tmp_path):
    search(tmp_path, vectors, Sweep(callbacks=[mbk.TensorBoard(tmp_path / "logs", update_freq="batch")]))
    runs = {name: run for name, run in mb.read(tmp_path / "logs").items() if "train/loss" in run.scalars}
    on_tensorflow = keras.backend.backend() == "tensorflow"  # the one backend on which keras-tuner sets log_dir
    assert sorted(runs) == (["0/execution0", "1/execution0"] if on_tensorflow else ["copy_1", "copy_2"])
    assert all(run.scalars["train/loss"].step.tolist() == [0, 1] for run in runs.values())


def test_a_copy_of_a_callback_with_an_open_run_writes_to_that_run(dense, vectors, tmp_path):
    with mb.Run(tmp_path) as run:
        callback = copy.deepcopy([mbk.TensorBoard(run=run, update_freq="batch")])[0]
        dense().fit(*vectors, batch_size=28, verbose=0, callbacks=[callback])
    assert mb.read(tmp_path)["."].scalars["train/loss"].step.tolist() == [0, 1]


def test_a_copy_of_a_callback_that_has_logged_logs_a_run_of_its_own(dense, vectors, tmp_path):
    callback = mbk.TensorBoard(tmp_path, update_freq="batch")
    dense().fit(*vectors, batch_size=28, verbose=0, callbacks=[callback])
    dense().fit(*vectors, batch_size=14, verbose=0, callbacks=[copy.deepcopy(callback)])
    runs = mb.read(tmp_path)
    assert {name: run.scalars["train/loss"].step.tolist() for name, run in runs.items()} == {".": [0, 1], "copy_1": [0, 1, 2, 3]}
