"""What happens around and inside a fit with the same callback does not disturb its steps."""

import keras
import numpy as np
import pytest

import multiboard as mb
import multiboard.keras as mbk


@pytest.mark.parametrize("call", ["evaluate", "predict"])
def test_a_call_with_the_callback_in_the_middle_of_a_fit(dense, vectors, tmp_path, call):
    callback = mbk.TensorBoard(tmp_path, update_freq="batch", every=2)

    class Nested(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):  # noqa: ARG002
            data = vectors if call == "evaluate" else vectors[:1]
            getattr(self.model, call)(*data, verbose=0, callbacks=[callback])

    model = dense()
    model.fit(*vectors, batch_size=16, epochs=3, verbose=0, validation_data=vectors, callbacks=[Nested(), callback])
    data = mb.read(tmp_path)["."]
    assert data.scalars["train/loss"].step.tolist() == list(range(12))
    assert data.scalars["train/epoch"].step.tolist() == [3, 7, 11]
    assert data.histograms["grads/fc/kernel"].step.tolist() == list(range(0, 12, 2))
    assert set(data.scalars["val/loss"].step.tolist()) == {3, 7, 11}


class Stop(keras.callbacks.Callback):
    def on_train_batch_begin(self, batch, logs=None):  # noqa: ARG002
        if batch == 2:
            raise KeyboardInterrupt


def test_a_new_callback_after_an_interrupted_fit_captures(dense, vectors, tmp_path):
    model = dense()
    model.make_train_function()
    function = model.train_function
    with pytest.raises(KeyboardInterrupt):
        model.fit(*vectors, batch_size=16, verbose=0, callbacks=[mbk.TensorBoard(tmp_path / "first", every=1), Stop()])
    model.fit(*vectors, batch_size=16, verbose=0, callbacks=[mbk.TensorBoard(tmp_path / "second", every=1)])
    assert mb.read(tmp_path / "second")["."].histograms["grads/fc/kernel"].step.tolist() == [2, 3, 4, 5]
    assert model.train_function is function


def test_accumulation_goes_on_in_the_next_fit(dense, tmp_path):
    """Three batches an epoch and two an update: the second fit begins in the middle of one."""
    x, y = np.ones((48, 4), "float32"), np.ones((48, 3), "float32")
    model = dense(keras.optimizers.SGD(0.1, gradient_accumulation_steps=2))
    with mb.Run(tmp_path) as run:
        for callback in [mbk.TensorBoard(run=run, every=1, write_graph=False)] * 2 + [mbk.TensorBoard(run=run, every=1)]:
            model.fit(x, y, batch_size=16, verbose=0, callbacks=[callback])
    scalars = mb.read(tmp_path)["."].scalars
    assert scalars["norm/updates"].step.tolist() == [0, 1, 2, 3]
    assert (scalars["norm/updates"].value > 0).all()


def test_a_rate_that_other_callbacks_change_is_written_once_and_as_it_was(dense, vectors, tmp_path):
    callbacks = [
        keras.callbacks.ReduceLROnPlateau(monitor="val_loss", factor=0.5, patience=0, min_delta=1e9, cooldown=0),
        keras.callbacks.LearningRateScheduler(lambda _, rate: rate),
        mbk.TensorBoard(tmp_path),
    ]
    dense().fit(*vectors, batch_size=16, epochs=3, verbose=0, validation_data=vectors, callbacks=callbacks)
    rates = mb.read(tmp_path)["."].scalars["train/learning_rate"]
    assert rates.step.tolist() == [3, 7, 11]
    assert rates.value.tolist() == [0.5, 0.5, 0.25]  # the first epoch is the best one so far


def test_metrics_with_a_slash_keep_their_split(dense, vectors, tmp_path):
    model = dense(metrics=[keras.metrics.MeanAbsoluteError(name="a/b")])
    history = model.fit(*vectors, verbose=0, validation_data=(vectors[0], vectors[1] + 1), callbacks=[mbk.TensorBoard(tmp_path)])
    scalars = mb.read(tmp_path)["."].scalars
    np.testing.assert_allclose(scalars["train/a/b"].value, history.history["a/b"], rtol=1e-6)
    np.testing.assert_allclose(scalars["val/a/b"].value, history.history["val_a/b"], rtol=1e-6)


def test_a_loop_of_the_users_own_logs_its_epochs_and_says_so(dense, tmp_path):
    model = dense()
    callbacks = keras.callbacks.CallbackList([mbk.TensorBoard(tmp_path, update_freq="batch")], model=model, epochs=2, steps=3)
    with pytest.warns(mb.MultiboardWarning, match="not trained by the model's train function"):
        callbacks.on_train_begin()
        for epoch in range(2):
            callbacks.on_epoch_begin(epoch)
            for batch in range(3):
                callbacks.on_train_batch_begin(batch)
                callbacks.on_train_batch_end(batch, {"loss": 0.5})
            callbacks.on_epoch_end(epoch, {"loss": 0.5 - 0.1 * epoch})
        callbacks.on_train_end()
    scalars = mb.read(tmp_path)["."].scalars
    assert scalars["train/loss"].step.tolist() == scalars["train/epoch"].step.tolist() == [2, 5]


def test_a_model_that_is_not_compiled_is_no_reason_to_fail(tmp_path):
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    callbacks = keras.callbacks.CallbackList([mbk.TensorBoard(tmp_path)], model=model)
    callbacks.on_train_begin()
    callbacks.on_epoch_begin(0)
    callbacks.on_epoch_end(0, {"loss": 0.5})
    callbacks.on_train_end()
    assert mb.read(tmp_path)["."].scalars["train/loss"].value.tolist() == [0.5]


@pytest.mark.parametrize("naming", ["multiboard", "keras"])
def test_a_run_that_was_closed_is_said_once(dense, vectors, tmp_path, naming):
    run = mb.Run(tmp_path)
    run.close()
    with pytest.warns(mb.MultiboardWarning) as said:
        dense().fit(*vectors, verbose=0, callbacks=[mbk.TensorBoard(run=run, every=1, naming=naming)])
    (message,) = [str(warning.message) for warning in said if warning.category is mb.MultiboardWarning]
    assert "was closed before the fit" in message


def test_an_evaluation_that_cannot_be_written_keeps_its_result(dense, vectors, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.warns(mb.MultiboardWarning, match="evaluation not logged"):
        found = dense().evaluate(*vectors, verbose=0, callbacks=[mbk.TensorBoard(tmp_path / "file")])
    assert found > 0


def test_it_keeps_its_result_also_where_warnings_are_errors(dense, vectors, tmp_path):
    (tmp_path / "file").write_text("")
    assert dense().evaluate(*vectors, verbose=0, callbacks=[mbk.TensorBoard(tmp_path / "file")]) > 0


def test_evaluations_before_a_fit_share_the_runs_of_a_given_one(dense, vectors, tmp_path):
    model = dense()
    with mb.Run(tmp_path) as run:
        callback = mbk.TensorBoard(run=run, naming="keras")
        for _ in range(3):
            model.evaluate(*vectors, verbose=0, callbacks=[callback])
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == ["validation"]
    assert len(list((tmp_path / "validation").iterdir())) == 1
