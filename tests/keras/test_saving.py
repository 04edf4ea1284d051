"""A model can be saved and loaded during and after a logged fit."""

import keras
import numpy as np

import multiboard.keras as mbk


class Save(keras.callbacks.Callback):
    def __init__(self, path):
        super().__init__()
        self.path = path

    def on_train_batch_end(self, batch, **_):
        if batch == 2:
            self.model.save(self.path)


def test_a_model_saved_in_the_middle_of_an_epoch_loads_with_its_optimizer(dense, vectors, tmp_path):
    saved = tmp_path / "saved.keras"
    model = dense(keras.optimizers.Adam(0.1))
    callback = mbk.TensorBoard(tmp_path, every=1, update_freq="batch")
    model.fit(*vectors, batch_size=16, epochs=1, verbose=0, callbacks=[callback, Save(saved)])
    loaded = keras.models.load_model(saved)
    assert int(loaded.optimizer.iterations) == 3
    assert len(loaded.optimizer.variables) == len(model.optimizer.variables)


def test_a_model_saved_afterwards_loads_with_weights_and_optimizer(dense, vectors, tmp_path):
    saved = tmp_path / "saved.keras"
    model = dense(keras.optimizers.Adam(0.1))
    model.fit(*vectors, batch_size=16, verbose=0, callbacks=[mbk.TensorBoard(tmp_path, every=1)])
    model.save(saved)
    loaded = keras.models.load_model(saved)
    for kept, read in zip(model.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_array_equal(kept, read)
    for kept, read in zip(model.optimizer.variables, loaded.optimizer.variables, strict=True):
        np.testing.assert_array_equal(kept.numpy(), read.numpy())
