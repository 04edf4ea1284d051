"""The run is opened and closed with the fit, whatever ends it."""

import subprocess
import sys

import keras
import pytest

import multiboard as mb
import multiboard.keras as mbk


class Bomb(keras.callbacks.Callback):
    def __init__(self, batch):
        super().__init__()
        self.batch = batch

    def on_train_batch_begin(self, batch, **_):
        if batch == self.batch:
            raise RuntimeError("bomb")


def test_a_given_run_stays_open(dense, vectors, tmp_path):
    with mb.Run(tmp_path) as run:
        dense().fit(*vectors, batch_size=28, verbose=0, callbacks=[mbk.TensorBoard(run=run, every=1)])
        run.log({"test/loss": 1.0}, 2)
    data = mb.read(tmp_path)["."]
    assert data.scalars["test/loss"].value.tolist() == [1.0]
    assert data.histograms["grads/fc/bias"].step.tolist() == [0, 1]


def test_early_stopping_leaves_a_complete_file(dense, vectors, tmp_path):
    stop = keras.callbacks.EarlyStopping(monitor="loss", patience=1, min_delta=1e9)
    callback = mbk.TensorBoard(tmp_path, every=4, config={"rate": 0.5})
    dense().fit(*vectors, batch_size=16, epochs=9, verbose=0, callbacks=[stop, callback])
    data = mb.read(tmp_path)["."]
    assert data.scalars["train/epoch"].value.tolist() == [0, 1]
    assert data.status == "success"
    assert not data.damage


def test_a_training_stopped_within_an_epoch_counts_the_batches_that_ran(dense, vectors, tmp_path):
    class Stop(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, **_):
            self.model.stop_training = batch == 1

    callback = mbk.TensorBoard(tmp_path, update_freq="batch")
    dense().fit(*vectors, batch_size=8, epochs=3, verbose=0, callbacks=[Stop(), callback])
    data = mb.read(tmp_path)["."]
    assert data.scalars["train/loss"].step.tolist() == [0, 1]
    assert data.scalars["train/epoch"].step.tolist() == [1]


CRASH = """
import sys
import numpy as np, keras, multiboard.keras as mbk
class Bomb(keras.callbacks.Callback):
    def on_train_batch_begin(self, batch, **_):
        if batch == 3:
            raise SystemExit(3)
model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, name="fc")])
model.compile("sgd", loss="mse")
callback = mbk.TensorBoard(sys.argv[1], every=1, update_freq="batch")
model.fit(np.ones((32, 4)), np.ones((32, 3)), batch_size=4, verbose=0, callbacks=[callback, Bomb()])
"""


def test_a_process_that_ends_by_an_exception_in_fit_leaves_a_complete_file(tmp_path):
    done = subprocess.run([sys.executable, "-c", CRASH, tmp_path], check=False, capture_output=True, text=True, timeout=120)
    assert done.returncode == 3, done.stderr
    data = mb.read(tmp_path)["."]
    assert data.scalars["train/loss"].step.tolist() == [0, 1, 2]
    assert data.histograms["params/fc/kernel"].step.tolist() == [0, 1, 2]
    assert not data.damage


def test_after_an_exception_fits_without_the_callback_are_not_logged(dense, vectors, tmp_path):
    model, callback = dense(), mbk.TensorBoard(tmp_path, update_freq="batch")
    with pytest.raises(RuntimeError, match="bomb"):
        model.fit(*vectors, batch_size=16, verbose=0, callbacks=[callback, Bomb(2)])
    model.fit(*vectors, batch_size=16, verbose=0)
    model.train_on_batch(*vectors)
    model.fit(*vectors, batch_size=16, verbose=0, callbacks=[callback])
    data = mb.read(tmp_path)["."]
    assert data.scalars["train/loss"].step.tolist() == [0, 1, 7, 8, 9, 10]
    assert len(list(tmp_path.iterdir())) == 1


def test_evaluate_and_predict_with_the_callback_log_nothing(dense, vectors, tmp_path):
    model = dense()
    model.evaluate(*vectors, verbose=0, callbacks=[mbk.TensorBoard(tmp_path)])
    model.predict(vectors[0], verbose=0, callbacks=[mbk.TensorBoard(tmp_path)])
    assert not list(tmp_path.iterdir())
