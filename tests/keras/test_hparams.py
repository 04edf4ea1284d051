"""Each trial of a sweep is one run with its hyper-parameters and the status that it ended with."""

import gc
import subprocess
import sys
import time

import keras
import pytest

import multiboard as mb
import multiboard.keras as mbk


class Bomb(keras.callbacks.Callback):
    """Ends a fit at its second batch."""

    def __init__(self, error):
        super().__init__()
        self.error = error

    def on_train_batch_begin(self, batch, **_):
        if batch == 1:
            raise self.error


def fit(model, vectors, callback, *others, **options):
    model.fit(*vectors, batch_size=28, verbose=0, callbacks=[callback, *others], **options)


def ends(log_dir):
    """The status of each trial of a sweep, by its name; '' for one that goes on."""
    return {name: run.status for name, run in mb.read(log_dir).items()}


def test_a_loop_over_trials_makes_one_run_each_with_hyper_parameters_and_success(dense, vectors, tmp_path):
    for lr in (0.1, 0.01):
        fit(dense(keras.optimizers.SGD(lr)), vectors, mbk.HParams(tmp_path, {"lr": lr, "layer": {"units": 3}}, every=1))
    runs = mb.read(tmp_path)
    assert {name: run.hparams for name, run in runs.items()} == {
        f"lr={lr},layer_units=3": {"lr": lr, "layer/units": 3} for lr in (0.1, 0.01)
    }
    assert ends(tmp_path) == dict.fromkeys(runs, "success")
    assert all(run.histograms["grads/fc/kernel"].step.tolist() == [0, 1] for run in runs.values())


def test_trials_with_the_same_values_are_different_runs(dense, vectors, tmp_path):
    for _ in range(3):
        fit(dense(), vectors, mbk.HParams(tmp_path, {"lr": 0.5}))
    assert sorted(mb.read(tmp_path)) == ["lr=0.5", "lr=0.5_1", "lr=0.5_2"]


def test_the_next_trial_ends_one_whose_fit_was_interrupted(dense, vectors, tmp_path):
    kept = mbk.HParams(tmp_path, {"lr": 0.1})
    with pytest.raises(KeyboardInterrupt):
        fit(dense(), vectors, kept, Bomb(KeyboardInterrupt()))
    fit(dense(), vectors, mbk.HParams(tmp_path, {"lr": 0.2}))
    assert ends(tmp_path) == {"lr=0.1": "failure", "lr=0.2": "success"}


def test_a_with_block_ends_a_trial_whose_fit_has_failed(dense, vectors, tmp_path):
    with pytest.raises(RuntimeError, match="bomb"), mbk.HParams(tmp_path, {"lr": 0.1}) as callback:
        fit(dense(), vectors, callback, Bomb(RuntimeError("bomb")))
    assert ends(tmp_path) == {"lr=0.1": "failure"}


def test_a_with_block_fails_the_trial_if_something_else_in_it_fails(dense, vectors, tmp_path):
    with pytest.raises(RuntimeError, match="bomb"), mbk.HParams(tmp_path, {"lr": 0.1}) as callback:
        fit(dense(), vectors, callback)
        raise RuntimeError("bomb")
    assert ends(tmp_path) == {"lr=0.1": "failure"}


def test_a_forgotten_callback_ends_its_trial(dense, vectors, tmp_path):
    def failing():
        with pytest.raises(RuntimeError, match="bomb"):
            fit(dense(), vectors, mbk.HParams(tmp_path, {"lr": 0.1}), Bomb(RuntimeError("bomb")))

    failing()
    keras.backend.clear_session()
    gc.collect()
    deadline = time.monotonic() + 20
    while not ends(tmp_path)["lr=0.1"] and time.monotonic() < deadline:  # nobody waits for the writer
        time.sleep(0.02)
    assert ends(tmp_path)["lr=0.1"] == "failure"


def test_several_fits_are_one_run_whose_steps_go_on(dense, vectors, tmp_path):
    model = dense()
    with mbk.HParams(tmp_path, {"lr": 0.5}, update_freq="batch") as callback:
        fit(model, vectors, callback)
        fit(model, vectors, callback, initial_epoch=1, epochs=2)
        assert ends(tmp_path) == {"lr=0.5": ""}
    data = mb.read(tmp_path)["lr=0.5"]
    assert data.scalars["train/loss"].step.tolist() == [0, 1, 2, 3]
    assert data.status == "success"
    assert len(list((tmp_path / "lr=0.5").iterdir())) == 1


def test_several_fits_without_a_with_block_are_one_run_too(dense, vectors, tmp_path):
    model, callback = dense(), mbk.HParams(tmp_path, {"lr": 0.5}, update_freq="batch")
    fit(model, vectors, callback)
    fit(model, vectors, callback, initial_epoch=1, epochs=2)
    data = mb.read(tmp_path)["lr=0.5"]
    assert data.scalars["train/loss"].step.tolist() == [0, 1, 2, 3]
    assert data.hparams == {"lr": 0.5}
    assert data.status == "success"


def test_evaluate_after_the_fit_belongs_to_the_trial(dense, vectors, tmp_path):
    model, callback = dense(), mbk.HParams(tmp_path, {"lr": 0.5})
    fit(model, vectors, callback)
    loss = model.evaluate(*vectors, verbose=0, callbacks=[callback])
    data = mb.read(tmp_path)["lr=0.5"]
    assert data.scalars["val/loss"].value.tolist() == [pytest.approx(loss)]
    assert data.hparams == {"lr": 0.5}


CAUGHT = """
import sys
import numpy as np, keras, multiboard.keras as mbk
class Bomb(keras.callbacks.Callback):
    def on_train_batch_begin(self, batch, **_):
        raise KeyboardInterrupt
model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
model.compile("sgd", loss="mse")
callback = mbk.HParams(sys.argv[1], {"lr": 0.1})
try:
    model.fit(np.ones((8, 4)), np.ones((8, 3)), verbose=0, callbacks=[callback, Bomb()])
except KeyboardInterrupt:
    pass
"""


def test_the_end_of_the_program_ends_a_trial_whose_fit_was_interrupted_and_caught(tmp_path):
    done = subprocess.run([sys.executable, "-c", CAUGHT, tmp_path], check=False, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert ends(tmp_path) == {"lr=0.1": "failure"}


class Named:
    """As hp.HParam of TensorBoard's plugin: an object with a name, and hashable."""

    def __init__(self, name):
        self.name = name


def test_keys_may_be_objects_with_a_name_and_domains_and_metrics_are_written(dense, vectors, tmp_path):
    lr, units = Named("lr"), Named("units")
    domains, metrics = {lr: (0.01, 1.0), units: [3, 4]}, ["train/loss"]
    fit(dense(), vectors, mbk.HParams(tmp_path, {lr: 0.5, units: 3}, trial="first", domains=domains, metrics=metrics))
    data = mb.read(tmp_path)["first"]
    assert data.hparams == {"lr": 0.5, "units": 3}
    (file,) = (tmp_path / "first").iterdir()
    assert b"_hparams_/experiment" in file.read_bytes()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"hparams": [("lr", 0.1)]}, "'hparams' got .* pass a mapping of names to values"),
        ({"hparams": {1: 0.1}}, "'hparams' got 1 .* names are strings"),
        ({"trial": "/elsewhere"}, "'trial' got .* pass the name of a directory below log_dir"),
        ({"trial": "../up"}, "'trial' got"),
        ({"trial": 3}, "'trial' got 3"),
        ({"domains": {"lr": (0, 1)}}, "'domains' got .* metrics"),
        ({"domains": {"rate": (0, 1)}, "metrics": ["val/loss"]}, "'domains' got 'rate'"),
        ({"metrics": "val/loss"}, "'metrics' got 'val/loss'"),
        ({"run": None}, "'run' got None"),
        ({"log_dir": 5}, "'log_dir' got 5"),
    ],
)
def test_what_cannot_be_meant_is_one_clear_error(arguments, message):
    with pytest.raises(mb.ArgumentError, match=message):
        mbk.HParams(**{"log_dir": "sweep", "hparams": {"lr": 0.1}, **arguments})
