"""The outputs of layers are written without an edit of the model, in each style, under the paths that parameters have."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen, nnx

import multiboard as mb
import multiboard.jax as mbj

X = np.random.default_rng(0).normal(size=(6, 5)).astype(np.float32)


class LinenBlock(linen.Module):
    @linen.compact
    def __call__(self, x):
        return linen.tanh(linen.Dense(5, name="dense")(x))


class LinenModel(linen.Module):
    def setup(self):
        self.embed = linen.Dense(5)
        self.blocks = [LinenBlock() for _ in range(2)]

    def __call__(self, x):
        x = self.embed(x)
        for block in self.blocks:
            x = block(x)
        return x


class NnxBlock(nnx.Module):
    def __init__(self, rngs):
        self.dense = nnx.Linear(5, 5, rngs=rngs)

    def __call__(self, x):
        return nnx.tanh(self.dense(x))


class NnxModel(nnx.Module):
    def __init__(self):
        rngs = nnx.Rngs(0)
        self.embed = nnx.Linear(5, 5, rngs=rngs)
        self.blocks = getattr(nnx, "List", list)(NnxBlock(rngs) for _ in range(2))
        self.head = nnx.Sequential(nnx.Linear(5, 5, rngs=rngs), nnx.relu)

    def __call__(self, x):
        x = self.embed(x)
        for block in self.blocks:
            x = block(x)
        return self.head(x)


def linen_training():
    model = LinenModel()
    params = model.init(jax.random.key(0), X)["params"]

    def step(params, x):
        loss, grads = jax.value_and_grad(lambda p: jnp.square(model.apply({"params": p}, x)).mean())(params)
        return jax.tree.map(lambda p, g: p - g, params, grads), loss

    def expected(params):
        _, state = model.apply({"params": params}, X, capture_intermediates=True)
        found = jax.tree_util.tree_leaves_with_path(state["intermediates"])
        return {"/".join(key.key for key in path[:-2]): value for path, value in found if len(path) > 2}

    return step, (params, X), expected(params)


def nnx_training():
    model = NnxModel()

    def step(model, x):
        loss, grads = nnx.value_and_grad(lambda m: jnp.square(m(x)).mean())(model)
        nnx.update(model, jax.tree.map(lambda p, g: p - g, nnx.state(model, nnx.Param), grads))
        return loss

    dense = [block.dense for block in model.blocks]
    expected = {"embed": model.embed(X)}
    x = expected["embed"]
    for i, layer in enumerate(dense):
        expected[f"blocks/{i}/dense"] = layer(x)
        x = expected[f"blocks/{i}"] = nnx.tanh(layer(x))
    expected["head/layers/0"], expected["head"] = model.head.layers[0](x), model.head(x)
    return step, (model, X), expected


TRAININGS = {"linen": linen_training, "nnx": nnx_training}


@pytest.fixture(params=list(TRAININGS))
def training(request):
    """A step, its arguments, and what its layers return for them, by path."""
    return TRAININGS[request.param]()


def logged(run, written, step, arguments, activations):
    """Return the written activations by path after one step."""
    with run:
        mbj.wrap_train_step(step, run, activations=activations)(*arguments)
    return {tag.removeprefix("activations/"): h for tag, h in written().histograms.items() if tag.startswith("activations/")}


def test_every_layer_has_the_statistics_of_its_output(training, run, written, causes):
    step, arguments, expected = training
    found = logged(run, written, step, arguments, ["*"])
    assert sorted(found) == sorted(expected)
    for path, values in expected.items():
        rows = found[path].value[0]
        assert rows[:, 2].sum() == values.size
        total = written().scalars[f"norm/activations/{path}"].value[0]
        np.testing.assert_allclose(total, np.linalg.norm(values), rtol=1e-4)
    assert not [message for cause, message in causes if "activation" in cause]


CHOICES = {
    "a pattern": "blocks*.dense",
    "slashes": ["blocks*/dense"],
    "an expression": [re.compile(r"^blocks.*dense$")],
    "a function": lambda name, layer: name.startswith("blocks") and type(layer).__name__ in {"Dense", "Linear"},
}


@pytest.mark.parametrize("choice", CHOICES)
def test_only_the_chosen_layers_are_written(choice, training, run, written):
    step, arguments, expected = training
    found = logged(run, written, step, arguments, CHOICES[choice])
    assert sorted(found) == sorted(path for path in expected if path.startswith("blocks") and path.endswith("dense"))


def test_a_pattern_that_means_nothing_is_said_once_with_the_names_there_are(training, run, written, warned):
    step, arguments, _ = training
    with run:
        wrapped = mbj.wrap_train_step(step, run, every=1, activations=["embed", "encoder.*"])
        result = wrapped(*arguments)
        wrapped(*((result[0], X) if isinstance(result, tuple) else arguments))
    assert "activations/embed" in written().histograms
    messages = [str(warning.message) for warning in warned if "no layer of" in str(warning.message)]
    assert len(messages) == 1
    assert "no layer of the model is meant by 'encoder.*' in activations; there are embed" in messages[0]


@pytest.mark.parametrize("wrong", [3, [], [3], [None]])
def test_what_is_no_choice_of_layers_is_refused_at_once(wrong, run):
    with run, pytest.raises(mb.ArgumentError, match=r"(?s)activations.*encoder"):
        mbj.wrap_train_step(lambda x: x, run, activations=wrong)


def test_a_function_that_fails_is_reported_and_the_training_goes_on(training, run, written, causes):
    step, arguments, _ = training
    assert not logged(run, written, step, arguments, lambda _, __: 1 / 0)
    assert [message.count("ZeroDivisionError") for _, message in causes].count(1) == 1
    assert written().scalars["train/loss"].value.size == 1


def test_the_description_names_the_layer_and_its_class(run, written):
    step, arguments, _ = nnx_training()
    found = logged(run, written, step, arguments, ["embed"])
    assert found["embed"].description == "`embed` of Linear, output"
