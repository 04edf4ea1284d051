"""`naming="keras"` keeps the runs, tags and steps of the original on every backend."""

import keras
import numpy as np
import pytest

import multiboard as mb
import multiboard.keras as mbk


@pytest.fixture
def runs(dense, vectors, tmp_path):
    """What two epochs of four batches, with validation, and an evaluation have written, by run, and the history."""
    model = dense(metrics=["mae"])
    callback = mbk.TensorBoard(tmp_path, naming="keras", histogram_freq=1, update_freq=2, every=4, write_steps_per_second=True)
    history = model.fit(*vectors, batch_size=16, epochs=2, verbose=0, validation_data=vectors, callbacks=[callback])
    return mb.read(tmp_path), history.history, model.name


def test_metrics_are_under_the_names_of_keras(runs):
    written, history, _ = runs
    train, validation = written["train"].scalars, written["validation"].scalars
    assert train["batch_loss"].step.tolist() == [2, 4, 6, 8]
    assert train["epoch_loss"].step.tolist() == validation["epoch_mae"].step.tolist() == [0, 1]
    assert validation["evaluation_loss_vs_iterations"].step.tolist() == [4, 8]
    for values, name in [(train["epoch_loss"], "loss"), (train["epoch_mae"], "mae"), (validation["epoch_loss"], "val_loss")]:
        np.testing.assert_allclose(values.value, history[name], rtol=1e-6)
    np.testing.assert_allclose(train["batch_loss"].value[[1, 3]], history["loss"], rtol=1e-6)  # running means, as there
    assert train["epoch_learning_rate"].value.tolist() == [0.5, 0.5]
    assert {"batch_steps_per_second", "epoch_steps_per_second"} <= train.keys()
    assert not [tag for tag in train if tag.startswith(("train/", "perf/"))]


def test_weights_are_written_at_epochs_and_captures_beside_them(runs):
    written, _, model = runs
    histograms = written["train"].histograms
    assert histograms[f"{model}/fc/kernel/histogram"].step.tolist() == [0, 1]
    assert histograms["grads/fc/kernel"].step.tolist() == [0, 4]
    assert set(written) == {"train", "validation"}


def test_a_given_run_gets_both_as_children(dense, vectors, tmp_path):
    with mb.Run(tmp_path) as run:
        for _ in range(2):
            callback = mbk.TensorBoard(run=run, naming="keras")
            dense().fit(*vectors, verbose=0, validation_data=vectors, callbacks=[callback])
        run.log({"mine": 1.0}, 0)
    assert mb.read(tmp_path).keys() == {".", "train", "validation"}


def test_values_do_not_depend_on_the_next_step(dense, vectors, tmp_path):
    """Weights are read between two steps; the next one takes their memory on JAX and changes them on PyTorch."""
    model, kept = dense(), []
    keep = keras.callbacks.LambdaCallback(on_epoch_end=lambda *_: kept.append(np.linalg.norm(model.layers[0].kernel.numpy())))
    callback = mbk.TensorBoard(tmp_path, naming="keras", histogram_freq=1)
    model.fit(*vectors, epochs=3, verbose=0, callbacks=[callback, keep])
    rows = mb.read(tmp_path)["train"].histograms[f"{model.name}/fc/kernel/histogram"].value
    low, high = (np.sqrt([(np.minimum(abs(r[:, 0]), abs(r[:, 1])) ** 2 * r[:, 2]).sum() for r in rows]), 0)[0], np.array(kept)
    assert (low <= high * 1.001).all()
    assert (low >= high * 0.85).all()
    assert len(set(kept)) == 3
