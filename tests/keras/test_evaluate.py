"""`evaluate` outside of a fit logs at the last update before it."""

import subprocess
import sys

import numpy as np
import pytest

import multiboard as mb
import multiboard.keras as mbk


def test_an_evaluation_after_a_fit_is_at_its_last_update(dense, vectors, tmp_path):
    model, callback = dense(), mbk.TensorBoard(tmp_path, update_freq="batch")
    model.fit(*vectors, batch_size=16, verbose=0, callbacks=[callback])
    found = model.evaluate(*vectors, verbose=0, callbacks=[callback], return_dict=True)
    model.fit(*vectors, batch_size=16, verbose=0, callbacks=[callback])
    data = mb.read(tmp_path)["."]
    assert data.scalars["val/loss"].step.tolist() == [3]
    np.testing.assert_allclose(data.scalars["val/loss"].value, [found["loss"]], rtol=1e-6)
    assert data.scalars["train/loss"].step.tolist() == list(range(8))


def test_an_evaluation_in_a_given_run(dense, vectors, tmp_path):
    model = dense()
    with mb.Run(tmp_path) as run:
        model.evaluate(*vectors, verbose=0, callbacks=[mbk.TensorBoard(run=run)])
        assert not run.closed
    assert mb.read(tmp_path)["."].scalars["val/loss"].step.tolist() == [0]


LATER = """
import sys, keras, numpy as np, multiboard.keras as mbk
model = keras.saving.load_model(sys.argv[1])
x, y = np.ones((32, 4), "float32"), np.ones((32, 3), "float32")
model.evaluate(x, y, verbose=0, callbacks=[mbk.TensorBoard(sys.argv[2])])
"""


def test_an_evaluation_in_another_process_replaces_nothing(dense, vectors, tmp_path):
    model = dense()
    model.fit(*vectors, batch_size=16, verbose=0, callbacks=[mbk.TensorBoard(tmp_path / "run", update_freq="batch")])
    model.save(tmp_path / "model.keras")
    subprocess.run([sys.executable, "-c", LATER, tmp_path / "model.keras", tmp_path / "run"], check=True, timeout=120)
    data = mb.read(tmp_path / "run")["."]
    assert data.scalars["val/loss"].step.tolist() == [3]
    assert data.scalars["train/loss"].step.tolist() == [0, 1, 2, 3]
    assert data.status == "success"


def test_predict_logs_nothing(dense, vectors, tmp_path):
    dense().predict(vectors[0], verbose=0, callbacks=[mbk.TensorBoard(tmp_path)])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("naming", ["multiboard", "keras"])
def test_metrics_of_an_evaluation_that_are_no_numbers_are_reported(dense, vectors, tmp_path, naming):
    import keras

    model = dense(metrics=[keras.metrics.F1Score(average=None)])
    with pytest.warns(mb.MultiboardWarning, match="not single numbers"):
        model.evaluate(
            vectors[0], (vectors[1] > 0).astype("float32"), verbose=0, callbacks=[mbk.TensorBoard(tmp_path, naming=naming)]
        )
