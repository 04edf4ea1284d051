"""The outputs of equinox modules are written under the paths that their arrays have."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import multiboard.jax as mbj

X = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)


class Model(eqx.Module):
    layers: list
    norm: eqx.nn.LayerNorm

    def __init__(self):
        keys = jax.random.split(jax.random.key(0))
        self.layers = [eqx.nn.MLP(4, 4, 8, 1, key=keys[0]), eqx.nn.Linear(4, 4, key=keys[1])]
        self.norm = eqx.nn.LayerNorm(4)

    def __call__(self, x):
        for layer in self.layers:
            x = layer(x)
        return eqx.filter_checkpoint(self.norm)(x)


def step_of(call):
    static = eqx.partition(Model(), eqx.is_array)[1]

    def step(params, x):
        model = eqx.combine(params, static)
        loss, grads = eqx.filter_value_and_grad(lambda m: jnp.square(call(m, x)).mean())(model)
        return eqx.filter(grads, eqx.is_array), loss

    return step, eqx.partition(Model(), eqx.is_array)[0]


CALLS = {
    "the model": (
        lambda m, x: jax.vmap(m)(x),
        {"layers/0": 24, "layers/0/layers/0": 48, "layers/0/layers/1": 24, "layers/1": 24, "norm": 24},
    ),
    "a layer": (lambda m, x: jax.vmap(m.layers[0])(x), {"layers/0": 24, "layers/0/layers/0": 48, "layers/0/layers/1": 24}),
}


@pytest.mark.parametrize("name", CALLS)
def test_every_layer_is_seen_and_the_step_is_the_same(name, run, written):
    call, expected = CALLS[name]
    step, params = step_of(call)
    before = [vars(cls)["__call__"] for cls in (Model, eqx.nn.Linear)]
    with run:
        result = mbj.wrap_train_step(step, run, activations=["*"])(params, X)
    found = {tag: h.value[0][:, 2].sum() for tag, h in written().histograms.items() if tag.startswith("activations/")}
    assert found == {f"activations/{path}": size for path, size in expected.items()}
    jax.tree.map(np.testing.assert_array_equal, result, jax.jit(step)(params, X))
    assert all(a is vars(cls)["__call__"] for a, cls in zip(before, (Model, eqx.nn.Linear), strict=True))


def test_a_layer_that_cannot_be_named_is_reported(run, written, causes):
    @eqx.filter_jit
    def call(layer, x):
        return layer(x)

    class Twins(eqx.Module):
        layers: list

        def __call__(self, x):
            return call(self.layers[1], call(self.layers[0], x))

    model = Twins([eqx.nn.Linear(4, 4, key=jax.random.key(i)) for i in range(2)])
    with run:
        mbj.wrap_train_step(lambda m, x: jax.vmap(m)(x).mean(), run, activations=["*"])(model, X)
    assert not [tag for tag in written().histograms if "activations" in tag]
    assert any("class Linear" in message for _, message in causes)
