"""Operations carry the names of NNX layers, and nothing else of the program changes."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from multiboard_jax.activations import named_layers, seen

X = np.ones((6, 5), np.float32)


class Block(nnx.Module):
    def __init__(self, rngs):
        self.dense = nnx.Linear(5, 5, rngs=rngs)

    def __call__(self, x):
        return nnx.tanh(self.dense(x))


class Model(nnx.Module):
    def __init__(self):
        rngs = nnx.Rngs(0)
        self.blocks = getattr(nnx, "List", list)(Block(rngs) for _ in range(2))
        self.norm = nnx.LayerNorm(5, rngs=rngs)

    def __call__(self, x):
        for block in self.blocks:
            x = block(x)
        return self.norm(x)


call = nnx.jit(lambda layer, x: layer(x))
rematted = nnx.remat(lambda layer, x: layer(x))

STEPS = {
    "gradient": lambda model, x: nnx.value_and_grad(lambda m: jnp.square(m(x)).mean())(model)[0],
    "nnx.jit": lambda model, x: call(model, x).mean(),
    "nnx.remat": lambda model, x: jax.tree.leaves(nnx.grad(lambda m: rematted(m, x).mean())(model))[-1].sum(),
}
GRAPH, STATE = nnx.split(Model())


def plain(step):
    return lambda state, x: step(nnx.merge(GRAPH, state), x)


def named(step):
    def run(state, x):
        model = nnx.merge(GRAPH, state)
        with named_layers((model, x)):
            return step(model, x)

    return run


@pytest.mark.parametrize("name", STEPS)
def test_the_program_is_the_same(name):
    expected, found = (jax.make_jaxpr(f(STEPS[name]))(STATE, X) for f in (plain, named))
    assert str(found) == str(expected)


@pytest.mark.parametrize("name", STEPS)
def test_every_operation_of_a_layer_has_its_path(name):
    jax.clear_caches()  # what a function inside was traced to without names would be taken
    paths = scopes(named(STEPS[name]))
    assert paths == {"blocks/0/dense", "blocks/1/dense", "norm"}


def test_the_names_are_there_when_layers_are_seen():
    def measured(state, x):
        model = nnx.merge(GRAPH, state)
        with seen(["norm"], (model, x)):
            return STEPS["gradient"](model, x)

    assert {"blocks/0/dense", "norm"} <= scopes(measured)


def scopes(function):
    """Return the paths of layers in the metadata of a compiled program."""
    text = jax.jit(function).lower(STATE, X).compile().as_text()
    names = re.findall(r'op_name="([^"]*)"', text)
    plain_names = [re.sub(r"\w+\(|\)", "", name) for name in names]  # 'jvp(blocks/0)/dense/add' is an operation of a derivative
    return {found for name in plain_names for found in re.findall(r"blocks/\d/dense(?=/)|norm(?=/)", name)}
