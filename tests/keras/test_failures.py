"""Nothing that goes wrong in logging reaches the training; it is said once."""

import keras
import numpy as np
import pytest

import multiboard as mb
import multiboard.keras as mbk


def test_a_run_that_is_closed_in_the_middle_does_not_stop_the_training(dense, vectors, tmp_path):
    model, plain, run = dense(), dense(), mb.Run(tmp_path)
    close = keras.callbacks.LambdaCallback(on_train_batch_begin=lambda batch, **_: batch == 1 and run.close())
    callback = mbk.TensorBoard(run=run, every=1, update_freq="batch")
    with pytest.warns(mb.MultiboardWarning, match="is closed") as said:
        model.fit(*vectors, batch_size=16, shuffle=False, verbose=0, callbacks=[callback, close])
    messages = [str(warning.message) for warning in said if issubclass(warning.category, mb.MultiboardWarning)]
    assert len(messages) == len(set(messages))
    plain.fit(*vectors, batch_size=16, shuffle=False, verbose=0)
    np.testing.assert_array_equal(model.get_weights()[0], plain.get_weights()[0])


def test_warnings_that_are_errors_do_not_stop_the_training_either(dense, vectors, tmp_path):
    run = mb.Run(tmp_path)
    run.close()
    history = dense().fit(*vectors, batch_size=16, verbose=0, callbacks=[mbk.TensorBoard(run=run, every=1)])
    assert len(history.history["loss"]) == 1


def test_a_train_step_without_an_optimizer_is_reported_and_its_logs_are_kept(vectors, tmp_path):
    class Own(keras.Model):
        def __init__(self):
            super().__init__()
            self.fc = keras.layers.Dense(3)

        def call(self, x):
            return self.fc(x)

        def train_step(self, *args):
            logs = {"distance": keras.ops.convert_to_tensor(4.0)}
            return (logs, args[0]) if keras.backend.backend() == "jax" else logs

    model = Own()
    model.compile("sgd", loss="mse")
    with pytest.warns(mb.MultiboardWarning) as said:
        model.fit(*vectors, batch_size=28, verbose=0, callbacks=[mbk.TensorBoard(tmp_path, every=1, update_freq="batch")])
    messages = " ".join(str(warning.message) for warning in said)
    assert "the train step applies no gradients where they can be seen" in messages
    assert "['distance'] are Keras' own logs" in messages
    assert mb.read(tmp_path)["."].scalars["train/distance"].value.tolist() == [4.0, 4.0]


def test_a_metric_that_is_a_vector_is_left_out_and_said_once(dense, vectors, tmp_path):
    class Columns(keras.metrics.Metric):
        def __init__(self):
            super().__init__(name="columns")
            self.total = self.add_variable((3,), "zeros", name="total")

        def update_state(self, y_true, y_pred, **_):
            self.total.assign(self.total + keras.ops.sum(keras.ops.abs(y_true - y_pred), axis=0))

        def result(self):
            return keras.ops.convert_to_tensor(self.total)

    callback = mbk.TensorBoard(tmp_path, update_freq="batch")
    with pytest.warns(mb.MultiboardWarning) as said:
        dense(metrics=[Columns()]).fit(*vectors, batch_size=28, verbose=0, callbacks=[callback])
    assert [str(w.message) for w in said if "not single numbers" in str(w.message)] == [
        "metrics ['columns'] are not single numbers and are left out."
    ]
    assert mb.read(tmp_path)["."].scalars["train/loss"].step.tolist() == [0, 1]


def test_metrics_updated_inside_compute_loss_never_break_the_step(vectors, tmp_path):
    class Own(keras.Model):
        def __init__(self):
            super().__init__()
            self.fc = keras.layers.Dense(3)
            self.inner = keras.metrics.Mean(name="inner")

        def call(self, x):
            return self.fc(x)

        def compute_loss(self, x, y, y_pred, *_, **__):  # noqa: ARG002  # the names that Keras uses
            loss = keras.ops.mean(keras.ops.square(y - y_pred))
            self.inner.update_state(loss)
            return loss

    model = Own()
    model.compile("sgd")
    said = []
    run = mb.Run(tmp_path, on_error=lambda _, message: said.append(message))
    callback = mbk.TensorBoard(run=run, update_freq="batch")
    on_jax = keras.backend.backend() == "jax"  # where the loss is computed inside of the gradient
    with pytest.warns(mb.MultiboardWarning) if on_jax else np.errstate():
        model.fit(*vectors, batch_size=28, verbose=0, callbacks=[callback])
        run.close()
    data = mb.read(tmp_path)["."]
    assert data.scalars["train/inner"].step.tolist() == [0, 1]
    assert any("['inner'] are Keras' own logs, as a rule running means" in message for message in said) == on_jax
    assert data.scalars["train/inner"].value[0] == pytest.approx(data.scalars["train/loss"].value[0])
