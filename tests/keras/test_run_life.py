"""The run is opened and closed with the fit, whatever ends it."""

import signal
import subprocess
import sys
import time

import keras
import numpy as np
import pytest

import multiboard as mb
import multiboard.keras as mbk


class Bomb(keras.callbacks.Callback):
    def __init__(self, batch, error=RuntimeError):
        super().__init__()
        self.batch = batch
        self.error = error

    def on_train_batch_begin(self, batch, **_):
        if batch == self.batch:
            raise self.error("bomb")


def test_a_given_run_stays_open(dense, vectors, tmp_path):
    with mb.Run(tmp_path) as run:
        dense().fit(*vectors, batch_size=28, verbose=0, callbacks=[mbk.TensorBoard(run=run, every=1)])
        run.log({"test/loss": 1.0}, 2)
    data = mb.read(tmp_path)["."]
    assert data.scalars["test/loss"].value.tolist() == [1.0]
    assert data.histograms["grads/fc/bias"].step.tolist() == [0, 1]


def test_early_stopping_leaves_a_complete_file(dense, vectors, tmp_path):
    stop = keras.callbacks.EarlyStopping(monitor="loss", patience=1, min_delta=1e9)
    callback = mbk.TensorBoard(tmp_path, every=4, hparams={"rate": 0.5})
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


ENDLESS = """
import sys
import numpy as np, keras, multiboard.keras as mbk
class Say(keras.callbacks.Callback):
    def on_train_batch_begin(self, batch, **_):
        if batch == 3:
            print("running", flush=True)
model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, name="fc")])
model.compile("sgd", loss="mse")
callback = mbk.TensorBoard(sys.argv[1], every=1, update_freq="batch")
def forever():
    while True:
        yield np.ones((4, 4), "float32"), np.ones((4, 3), "float32")
model.fit(forever(), steps_per_epoch=10**9, verbose=0, callbacks=[callback, Say()])
"""


def test_a_process_that_is_interrupted_in_fit_leaves_a_complete_file_that_says_so(tmp_path):
    command = [sys.executable, "-c", ENDLESS, tmp_path]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "running\n"
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=120)
    assert process.returncode == -signal.SIGINT, errors
    assert errors.rstrip().endswith("KeyboardInterrupt")
    assert "multiboard" not in errors.rpartition("Traceback")[0]
    data = mb.read(tmp_path)["."]
    steps = data.scalars["train/loss"].step.tolist()
    assert steps == list(range(len(steps)))
    assert len(steps) >= 3
    assert data.histograms["updates/fc/kernel"].step.tolist() in (steps, steps[:-1])  # metrics of a step come first
    assert data.status == "failure"
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


def test_after_an_interrupt_the_next_fit_goes_on_in_the_same_run(dense, vectors, tmp_path):
    model, callback = dense(), mbk.TensorBoard(tmp_path, every=2, update_freq="batch")
    with pytest.raises(KeyboardInterrupt):
        model.fit(*vectors, batch_size=16, verbose=0, callbacks=[callback, Bomb(3, KeyboardInterrupt)])
    deadline = time.monotonic() + 60
    while "train/loss" not in (found := mb.read(tmp_path)["."].scalars) or len(found["train/loss"]) < 3:
        assert time.monotonic() < deadline, found
        time.sleep(0.05)
    model.fit(*vectors, batch_size=16, verbose=0, callbacks=[callback])
    data = mb.read(tmp_path)["."]
    assert data.scalars["train/loss"].step.tolist() == list(range(7))
    assert data.histograms["params/fc/kernel"].step.tolist() == [0, 2, 4, 6]
    assert data.scalars["train/epoch"].step.tolist() == [6]
    assert data.status == "success"
    assert not data.damage


RESUMED = """
import sys
import numpy as np, keras, multiboard.keras as mbk
class Stop(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        if epoch == int(sys.argv[2]):
            raise SystemExit(3)
keras.utils.set_random_seed(0)
model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, name="fc")])
model.compile(keras.optimizers.Adam(), loss="mse")
callback = mbk.TensorBoard(sys.argv[1] + "/run", every=3, update_freq="batch")
backup = keras.callbacks.BackupAndRestore(sys.argv[1] + "/backup")
data = np.ones((32, 4)), np.ones((32, 3))
model.fit(*data, batch_size=8, epochs=4, verbose=0, callbacks=[callback, backup, Stop()])
"""


def in_another_process(*arguments):
    done = subprocess.run([sys.executable, "-c", RESUMED, *arguments], check=False, capture_output=True, text=True, timeout=120)
    assert "multiboard" not in done.stderr
    return done


def test_a_process_that_ends_in_fit_leaves_a_complete_file_and_the_next_one_continues_the_steps(tmp_path):
    ended = in_another_process(tmp_path, "2")
    assert ended.returncode == 3, ended.stderr
    data = mb.read(tmp_path / "run")["."]
    assert data.scalars["train/loss"].step.tolist() == list(range(8))
    assert data.histograms["params/fc/kernel"].step.tolist() == [0, 3, 6]
    assert not data.damage
    resumed = in_another_process(tmp_path, "9")
    assert resumed.returncode == 0, resumed.stderr
    data = mb.read(tmp_path / "run")["."]
    assert data.scalars["train/loss"].step.tolist() == list(range(16))
    assert np.all(np.diff(data.scalars["train/loss"].value) < 0)  # of one training and not of two
    assert data.scalars["train/epoch"].value.tolist() == [0, 1, 2, 3]
    assert data.scalars["train/epoch"].step.tolist() == [3, 7, 11, 15]
    assert data.histograms["params/fc/kernel"].step.tolist() == [0, 3, 6, 9, 12, 15]
    assert data.status == "success"
