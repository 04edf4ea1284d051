"""What an optimizer keeps of each parameter is captured as the update has used it, under the names of all adapters."""

import keras
import numpy as np
import pytest

from multiboard.buckets import measure

optimizers = keras.optimizers
CASES = {
    "adam": (
        optimizers.Adam,
        {"amsgrad": True},
        {"momentum": "first_moment", "velocity": "second_moment", "velocity_hat": "max_second_moment"},
    ),
    "sgd": (optimizers.SGD, {"momentum": 0.9}, {"momentum": "momentum"}),
    "rmsprop": (optimizers.RMSprop, {"momentum": 0.9}, {"velocity": "second_moment", "momentum": "momentum"}),
    "lion": (optimizers.Lion, {"use_ema": True}, {"momentum": "first_moment", "average": "average"}),
    "accumulating": (
        optimizers.Adam,
        {"gradient_accumulation_steps": 2},
        {"momentum": "first_moment", "velocity": "second_moment"},
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_state_is_captured_after_the_update_that_used_it(follow, dense, case):
    make, options, names = CASES[case]
    model = dense(make(0.01, **options))
    data, values = follow(model)
    paths = {f"{role}_{native}": f"{role}/{name}" for native, name in names.items() for role in ("kernel", "bias")}
    found = {tag for tag in data.histograms if tag.startswith("optimizer_state/")}
    assert found == {f"optimizer_state/fc/{path}" for path in paths.values()}
    after = values[1:] if case != "accumulating" else values[2::2]
    for native, path in paths.items():
        logged = data.histograms[f"optimizer_state/fc/{path}"]
        own = f"{model.optimizer.name}/{model.name}_fc_{native}"
        for rows, state in zip(logged.value, after, strict=True):
            np.testing.assert_array_equal(rows, measure(state[own]).rows())


def test_the_description_tells_the_name_in_keras(follow, dense):
    model = dense(optimizers.LossScaleOptimizer(optimizers.Adam(0.1)))
    data, _ = follow(model)
    description = data.histograms["optimizer_state/fc/kernel/first_moment"].description
    assert description == f"`{model.name}/fc/kernel` of Dense, momentum of Adam"


def test_twins_of_one_name_keep_their_own_state(follow):
    class Model(keras.Model):
        def __init__(self):
            super().__init__()
            self.twins = [keras.layers.Dense(3, name="twin"), keras.layers.Dense(3, name="twin")]

        def call(self, x):
            return self.twins[1](keras.ops.relu(self.twins[0](x)))

    keras.utils.set_random_seed(0)
    model = Model()
    model.compile(optimizers.Adam(0.1), loss="mse")
    data, _ = follow(model)
    first, second = (data.histograms[f"optimizer_state/{twin}/kernel/first_moment"].value[-1] for twin in ("twin", "twin_1"))
    assert (first[:, 2].sum(), second[:, 2].sum()) == (12, 9)
