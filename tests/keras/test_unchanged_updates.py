"""Captures of every group at every step leave weights, optimizer and history as they are, bit for bit."""

import keras
import numpy as np
import pytest

import multiboard.keras as mbk
from multiboard import tags

optimizers = keras.optimizers
CASES = {
    "adam": lambda: optimizers.Adam(0.01),
    "decayed": lambda: optimizers.AdamW(0.01, global_clipnorm=0.5),
    "averaged": lambda: optimizers.SGD(0.1, momentum=0.9, nesterov=True, use_ema=True, ema_overwrite_frequency=2),
    "centered": lambda: optimizers.RMSprop(0.01, momentum=0.9, centered=True, clipvalue=0.1),
    "scaled": lambda: optimizers.LossScaleOptimizer(
        optimizers.Adam(0.01, gradient_accumulation_steps=2, clipnorm=0.1), initial_scale=1024.0
    ),
}
CASES["decayed, not fused"] = CASES["decayed"]
MODES = {"adam": {"run_eagerly": True}, "decayed": {"jit_compile": keras.backend.backend() != "torch"}}


def make_model(optimizer, **options):
    keras.utils.set_random_seed(0)
    hidden = keras.layers.Dense(16, activation="gelu", kernel_constraint="max_norm", name="hidden")
    layers = [keras.layers.BatchNormalization(name="norm"), keras.layers.Dropout(0.3), keras.layers.Dense(3, name="fc")]
    model = keras.Sequential([keras.Input((4,)), hidden, *layers])
    model.compile(optimizer, loss="mse", **options)
    return model


@pytest.mark.parametrize("case", CASES)
def test_training_is_the_same_with_everything_captured_at_every_step(vectors, tmp_path, case):
    def train(callbacks):
        model = make_model(CASES[case](), **MODES.get(case, {}))
        history = model.fit(*vectors, batch_size=14, epochs=1, shuffle=False, verbose=0, callbacks=callbacks).history
        return [variable.numpy() for variable in (*model.variables, *model.optimizer.variables)], history

    plain = train([])
    logged = train([mbk.TensorBoard(tmp_path, every=1, log=tags.GROUPS, update_freq="batch")])
    assert plain[1] == logged[1]
    for left, right in zip(plain[0], logged[0], strict=True):
        np.testing.assert_array_equal(left, right)
