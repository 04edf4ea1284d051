"""Modules of PyTorch inside a Keras model have paths below the layer that wraps them."""

import keras
import numpy as np
from torch import nn

import multiboard.keras as mbk


class Wrapping(keras.Model):
    def __init__(self):
        super().__init__()
        self.wrapped = keras.layers.TorchModuleWrapper(nn.Sequential(nn.Linear(4, 5), nn.ReLU()), name="wrapped")
        self.out = keras.layers.Dense(2, name="out")

    def call(self, x):
        return self.out(self.wrapped(x))


def test_operations_of_wrapped_modules_stand_below_their_layer(tmp_path, profiled):
    model = Wrapping()
    model.compile("sgd", "mse")
    board = mbk.TensorBoard(tmp_path, profile_batch=(3, 6), write_graph=False)
    model.fit(np.ones((40, 4), "float32"), np.ones((40, 2), "float32"), batch_size=4, verbose=0, callbacks=[board])
    operations = profiled(tmp_path).operations
    assert operations["wrapped/0/addmm:addmm"] == operations["wrapped/1/relu:relu"] == 4
    assert any(name.startswith("optimizer/") for name in operations)
