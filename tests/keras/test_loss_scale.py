"""A loss scale is nowhere to be seen in what is captured."""

import itertools

import keras
import numpy as np
import pytest

optimizers = keras.optimizers


@pytest.mark.parametrize(
    "optimizer",
    [
        lambda: optimizers.LossScaleOptimizer(optimizers.SGD(0.5), initial_scale=1024.0, dynamic_growth_steps=2),
        lambda: optimizers.SGD(0.5, loss_scale_factor=1024.0),
    ],
    ids=["dynamic", "fixed"],
)
def test_gradients_and_updates_are_those_without_the_scale(follow, dense, optimizer):
    free, _ = follow(dense(optimizers.SGD(0.5)))
    data, _ = follow(dense(optimizer()))
    for tag in ("norm/grads/fc/kernel", "norm/updates/fc/kernel", "train/learning_rate"):
        np.testing.assert_allclose(data.scalars[tag].value[-4:], free.scalars[tag].value, rtol=1e-5)


def test_a_step_that_is_skipped_has_infinite_gradients_and_updates_of_zero(follow, dense):
    model = dense(optimizers.LossScaleOptimizer(optimizers.Adam(0.5), initial_scale=3e38))
    data, values = follow(model, np.full((14, 4), 1e3, "float32"), np.zeros((14, 3), "float32"))
    numbers = data.scalars
    assert numbers["nonfinite/grads"].value.tolist() == [15.0]
    assert numbers["norm/updates"].value.tolist() == [0.0]
    assert numbers["norm/optimizer_state"].value.tolist() == [0.0]
    np.testing.assert_array_equal(values[0][f"{model.name}/fc/kernel"], values[1][f"{model.name}/fc/kernel"])


def test_a_model_in_half_precision_has_the_gradients_and_updates_of_its_variables(follow):
    keras.utils.set_random_seed(0)
    half = keras.layers.Dense(3, name="fc", dtype="mixed_float16")
    model = keras.Sequential([keras.Input((4,)), half, keras.layers.Activation("linear", dtype="float32")])
    model.dtype_policy = keras.DTypePolicy("mixed_float16")
    model.compile(optimizers.SGD(0.5), loss="mse")
    assert isinstance(model.optimizer, optimizers.LossScaleOptimizer)
    data, values = follow(model)
    numbers, kernel = data.scalars, f"{model.name}/fc/kernel"
    changes = [np.linalg.norm(after[kernel] - before[kernel]) for before, after in itertools.pairwise(values)]
    np.testing.assert_allclose(numbers["norm/updates/fc/kernel"].value, changes, rtol=1e-5)
    np.testing.assert_allclose(0.5 * numbers["norm/grads/fc/kernel"].value, changes, rtol=1e-3)
    assert max(changes) > 0
