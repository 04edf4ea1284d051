"""The update of a parameter is what a whole step adds to it."""

import keras
import numpy as np
import pytest

from multiboard.buckets import measure

optimizers = keras.optimizers
MODES = {
    "jax": [{"run_eagerly": True}, {"jit_compile": True}],
    "torch": [{}],
    "tensorflow": [{"run_eagerly": True}, {"jit_compile": False}, {"jit_compile": True}],
}[keras.backend.backend()]


def assert_updates(data, values, paths):
    for tag, path in paths.items():
        logged = data.histograms[tag]
        assert logged.step.tolist() == list(range(len(values) - 1))
        for rows, before, after in zip(logged.value, values[:-1], values[1:], strict=True):
            np.testing.assert_array_equal(rows, measure(after[path] - before[path]).rows())


def constrained(optimizer, **options):
    keras.utils.set_random_seed(0)
    layers = [
        keras.layers.Dense(5, kernel_constraint=keras.constraints.MaxNorm(0.5), name="hidden"),
        keras.layers.Dense(3, name="fc"),
    ]
    model = keras.Sequential([keras.Input((4,)), *layers])
    model.compile(optimizer, loss="mse", **options)
    return model


@pytest.mark.parametrize("mode", MODES, ids=str)
def test_an_update_is_after_minus_before_however_the_step_runs(follow, mode):
    model = constrained(optimizers.Adam(0.1), **mode)
    name = model.name
    data, values = follow(model)
    assert_updates(
        data, values, {f"updates/{path}": f"{name}/{path}" for path in ("hidden/kernel", "hidden/bias", "fc/kernel", "fc/bias")}
    )


@pytest.mark.parametrize(
    "options",
    [
        {"global_clipnorm": 0.1, "weight_decay": 0.1},
        {"use_ema": True, "ema_overwrite_frequency": 2, "clipnorm": 0.1},
    ],
    ids=str,
)
def test_clipping_decay_constraints_and_averages_are_part_of_the_update(follow, options):
    model = constrained(optimizers.SGD(0.5, momentum=0.9, **options))
    data, values = follow(model)
    assert_updates(
        data, values, {"updates/hidden/kernel": f"{model.name}/hidden/kernel", "updates/fc/bias": f"{model.name}/fc/bias"}
    )
    assert data.scalars["norm/updates"].value.min() > 0


def test_gradient_and_update_of_plain_descent_differ_by_the_learning_rate(follow, dense):
    data, _ = follow(dense(optimizers.SGD(0.5)))
    numbers = data.scalars
    np.testing.assert_allclose(numbers["norm/updates/fc/kernel"].value, 0.5 * numbers["norm/grads/fc/kernel"].value, rtol=1e-5)
    assert "update_ratio/fc/kernel" in numbers


@pytest.mark.filterwarnings("ignore:Gradients do not exist:UserWarning")
def test_a_frozen_layer_is_left_out_and_a_parameter_without_a_gradient_has_an_update_of_zero(follow):
    class Model(keras.Model):
        def __init__(self):
            super().__init__()
            self.frozen = keras.layers.Dense(4, name="frozen", trainable=False)
            self.fc = keras.layers.Dense(3, name="fc")
            self.idle = self.add_weight(shape=(2,), initializer="ones", name="idle")

        def call(self, x):
            return self.fc(self.frozen(x))

    keras.utils.set_random_seed(0)
    model = Model()
    model.compile(optimizers.Adam(0.1), loss="mse")
    data, _ = follow(model)
    assert not [tag for tag in data.histograms if "frozen" in tag]
    assert data.scalars["norm/updates/idle"].value.tolist() == [0.0] * 4
    on_jax = keras.backend.backend() == "jax"  # where its gradient is zero and not None
    assert ("grads/idle" in data.histograms) == on_jax


def test_a_layer_called_twice_and_a_nested_model_are_updated_once(follow):
    keras.utils.set_random_seed(0)
    inner = keras.Sequential([keras.Input((4,)), keras.layers.Dense(4, name="fc")], name="inner")
    shared = keras.layers.Dense(4, name="shared")
    model = keras.Model(inputs := keras.Input((4,)), keras.layers.Dense(3, name="fc")(shared(inner(shared(inputs)))))
    model.compile(optimizers.Adam(0.1), loss="mse")
    data, values = follow(model)
    assert_updates(data, values, {"updates/shared/kernel": "shared/kernel", "updates/inner/fc/kernel": "inner/fc/kernel"})
    assert len([tag for tag in data.histograms if tag.startswith("updates/")]) == 6
