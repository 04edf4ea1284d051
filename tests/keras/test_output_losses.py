"""The compiled loss is private in Keras: without it the losses of outputs are Keras' running means."""

import keras
import numpy as np
import pytest

import multiboard as mb
from multiboard_keras._compat import compiled_loss


class Own(keras.Model):
    """A model that keeps its losses per output itself, as running means."""

    def __init__(self):
        super().__init__()
        self.fc = keras.layers.Dense(3)

    def call(self, x):
        return self.fc(x)

    def compute_metrics(self, *arguments, **options):
        return {**super().compute_metrics(*arguments, **options), "left_loss": keras.ops.convert_to_tensor(2.0)}


def test_only_a_loss_that_tracks_outputs_is_found(dense):
    inputs = keras.Input((4,))
    model = keras.Model(inputs, [keras.layers.Dense(3)(inputs), keras.layers.Dense(3)(inputs)])
    model.compile("sgd", loss=["mse", "mse"])
    model.train_on_batch(np.ones((2, 4)), [np.ones((2, 3)), np.ones((2, 3))])
    assert compiled_loss(model) is not None
    assert compiled_loss(dense()) is None
    assert compiled_loss(object()) is None


def test_a_loss_that_is_not_found_is_that_of_keras_and_this_is_said(fit):
    model = Own()
    model.compile("sgd", loss="mse")
    with pytest.warns(mb.MultiboardWarning) as said:
        data = fit(model, callback={"update_freq": "batch"})
    assert str(said[0].message).startswith("['left_loss'] are Keras' own logs")
    assert data.scalars["train/left_loss"].value.tolist() == [2.0] * 4
