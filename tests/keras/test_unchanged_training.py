"""The callback changes nothing: weights are the same bit for bit, and so is all that Keras says."""

import re

import keras
import numpy as np
import pytest

import multiboard.keras as mbk


@pytest.fixture
def train(dense, vectors):
    """The function that trains for two epochs and returns all weights and the history."""

    def run(callbacks, **options):
        model = dense(keras.optimizers.Adam(0.01), metrics=["mae"], **options)
        history = model.fit(*vectors, batch_size=16, epochs=2, shuffle=False, verbose=0, callbacks=callbacks).history
        return model.get_weights() + [variable.numpy() for variable in model.optimizer.variables], history

    return run


def assert_identical(one, other):
    for left, right in zip(one[0], other[0], strict=True):
        np.testing.assert_array_equal(left, right)
    assert one[1] == other[1]


def test_weights_and_history_of_a_cnn_are_identical(plain_fit, logged_fit):
    weights, history = plain_fit.model.get_weights(), plain_fit.history
    assert_identical((weights, history), (logged_fit.model.get_weights(), logged_fit.history))


@pytest.mark.parametrize("options", [{"run_eagerly": True}, {"jit_compile": keras.backend.backend() != "torch"}], ids=str)
def test_weights_and_optimizer_are_identical_however_the_step_runs(train, tmp_path, options):
    callback = mbk.TensorBoard(tmp_path, every=3, update_freq="batch")
    assert_identical(train([], **options), train([callback], **options))


def test_weights_and_optimizer_are_identical_with_captures_alone(train, tmp_path):
    assert_identical(train([]), train([mbk.TensorBoard(tmp_path, every=2)]))


def test_printed_logs_are_identical(dense, vectors, tmp_path, capsys):
    def printed(callbacks):
        model = dense()
        model.fit(*vectors, batch_size=16, epochs=2, verbose=2, shuffle=False, callbacks=callbacks)
        return re.sub(r"\d+m?u?s\b", "time", capsys.readouterr().out)

    plain = printed([])
    assert "4/4 - time - time/step - loss: " in plain
    assert printed([mbk.TensorBoard(tmp_path, every=1, update_freq="batch")]) == plain


def test_other_callbacks_see_the_logs_of_keras(dense, vectors, tmp_path):
    class Names(keras.callbacks.Callback):
        def on_train_batch_end(self, _, logs):
            seen.append(sorted(logs))

    seen = []
    callback = mbk.TensorBoard(tmp_path, every=1, update_freq="batch")
    dense(metrics=["mae"]).fit(*vectors, batch_size=28, verbose=0, callbacks=[Names(), callback])
    assert seen == [["loss", "mae"]] * 2


def test_nothing_of_ours_stays_on_model_optimizer_and_metrics(dense, vectors, tmp_path):
    model = dense(metrics=["mae"])
    model.fit(*vectors, batch_size=28, verbose=0)
    function = model.train_function
    model.fit(*vectors, batch_size=28, verbose=0, callbacks=[mbk.TensorBoard(tmp_path, every=1, update_freq="batch")])
    assert model.train_function is function
    assert "train_step" not in vars(model)
    assert "compute_metrics" not in vars(model)
    assert not {"apply", "stateless_apply"} & set(vars(model.optimizer))
    assert not any("update_state" in vars(metric) for metric in model.metrics)
