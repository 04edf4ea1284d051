"""Each layer is seen once under its own name, whatever transformations are between it and the step."""

from collections import Counter

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen, nnx

import multiboard.jax as mbj

X = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)
SIZE = X.size


class LinenBlock(linen.Module):
    @linen.compact
    def __call__(self, x):
        return linen.tanh(linen.Dense(4, name="dense")(x))


JittedBlock, RematBlock = linen.jit(LinenBlock), linen.remat(LinenBlock)


class LinenPair(linen.Module):
    block: type

    def setup(self):
        self.first, self.second = self.block(), self.block()

    def __call__(self, x):
        return self.second(self.first(x))


class LinenMethod(linen.Module):
    @linen.jit
    @linen.compact
    def __call__(self, x):
        return LinenBlock(name="first")(x)


class LinenStack(linen.Module):
    @linen.compact
    def __call__(self, x):
        lifted = {"variable_axes": {"params": 0}, "split_rngs": {"params": True}}
        loop = linen.scan(lambda layer, carry, _: (layer(carry), None), length=3, **lifted)
        x, _ = loop(LinenBlock(name="layers"), x, None)
        return linen.vmap(LinenBlock, in_axes=None, axis_size=2, **lifted)(name="heads")(x)


class LinenShared(linen.Module):
    @linen.compact
    def __call__(self, x):
        dense = linen.Dense(4, name="dense")
        return dense(dense(x))


PAIR = {"first": SIZE, "first/dense": SIZE, "second": SIZE, "second/dense": SIZE}
LINEN = {
    "plain": (LinenPair(LinenBlock), PAIR),
    "jit": (LinenPair(JittedBlock), PAIR),
    "remat": (LinenPair(RematBlock), PAIR),
    "jitted method": (LinenMethod(), {"first": SIZE, "first/dense": SIZE}),
    "scan and vmap": (
        LinenStack(),
        {"layers": 3 * SIZE, "layers/dense": 3 * SIZE, "heads": 2 * SIZE, "heads/dense": 2 * SIZE},
    ),
    "shared": (LinenShared(), {"dense": SIZE, "dense#1": SIZE}),
}


class NnxBlock(nnx.Module):
    def __init__(self, rngs):
        self.dense = nnx.Linear(4, 4, rngs=rngs)

    def __call__(self, x):
        return nnx.tanh(self.dense(x))


class NnxPair(nnx.Module):
    def __init__(self, call):
        rngs = nnx.Rngs(0)
        self.call = call
        self.first, self.second = NnxBlock(rngs), NnxBlock(rngs)

    def __call__(self, x):
        return self.call(self.second, self.call(self.first, x))


class NnxStack(nnx.Module):
    def __init__(self):
        self.layers = nnx.vmap(lambda key: NnxBlock(nnx.Rngs(key)))(jax.random.split(jax.random.key(0), 3))

    def __call__(self, x):
        loop = nnx.scan(lambda carry, layer: layer(carry), in_axes=(nnx.Carry, 0), out_axes=nnx.Carry)
        return nnx.vmap(lambda layer, x: layer(x), in_axes=(0, None))(self.layers, loop(x, self.layers))


class NnxShared(nnx.Module):
    def __init__(self):
        self.dense = nnx.Linear(4, 4, rngs=nnx.Rngs(0))
        self.tied = self.dense

    def __call__(self, x):
        return self.tied(self.dense(x))


class Inheriting(NnxBlock):
    def __call__(self, x):
        return super().__call__(x) + 1


class NnxInheriting(nnx.Module):
    def __init__(self):
        self.block = Inheriting(nnx.Rngs(0))

    def __call__(self, x):
        return self.block(x)


def call(layer, x):
    return layer(x)


jitted, rematted = nnx.jit(call), nnx.remat(call)


def checkpointed(layer, x):
    return jax.checkpoint(layer)(x)


NNX = {
    "plain": (lambda: NnxPair(call), PAIR),
    "nnx.jit": (lambda: NnxPair(jitted), PAIR),
    "nnx.remat": (lambda: NnxPair(rematted), PAIR),
    "jax.checkpoint": (lambda: NnxPair(checkpointed), PAIR),
    "scan and vmap": (
        NnxStack,
        {"layers": 3 * SIZE, "layers/dense": 3 * SIZE, "layers#1": 3 * SIZE, "layers/dense#1": 3 * SIZE},
    ),
    "shared": (NnxShared, {"dense": SIZE, "dense#1": SIZE}),
    "super": (NnxInheriting, {"block": SIZE, "block/dense": SIZE}),
}


def sizes(data):
    """Return the number of values of each activation that was written."""
    found = {tag: int(h.value[0][:, 2].sum()) for tag, h in data.histograms.items()}
    return {tag.removeprefix("activations/"): size for tag, size in found.items() if tag.startswith("activations/")}


def linen_step(model):
    def step(params, x):
        return jax.value_and_grad(lambda p: jnp.square(model.apply(p, x)).mean())(params)[::-1]

    return step


def nnx_step(model, x):
    loss, grads = nnx.value_and_grad(lambda m: jnp.square(m(x)).mean())(model)
    return nnx.to_pure_dict(grads), loss


@pytest.mark.parametrize("name", LINEN)
def test_layers_of_linen(name, run, written):
    model, expected = LINEN[name]
    step, params = linen_step(model), model.init(jax.random.key(0), X)
    with run:
        result = mbj.wrap_train_step(step, run, activations=["*"])(params, X)
    assert sizes(written()) == expected
    jax.tree.map(np.testing.assert_array_equal, result, jax.jit(step)(params, X))


@pytest.mark.parametrize("name", NNX)
def test_layers_of_nnx(name, run, written):
    make, expected = NNX[name]
    with run:
        result = mbj.wrap_train_step(nnx_step, run, activations=["*"])(make(), X)
    assert sizes(written()) == expected
    jax.tree.map(np.testing.assert_array_equal, result, nnx.jit(nnx_step)(make(), X))


def test_nnx_layers_that_are_called_directly_have_their_whole_path(run, written):
    def step(model, x):
        loss, _ = nnx.value_and_grad(lambda m: m.first.dense(m.second(x)).sum())(model)
        return loss

    with run:
        mbj.wrap_train_step(step, run, activations=["*"])(NnxPair(call), X)
    assert sizes(written()) == {"first/dense": SIZE, "second": SIZE, "second/dense": SIZE}


def test_nnx_modules_that_are_merged_in_the_step_are_seen(run, written):
    graph, state = nnx.split(NnxPair(rematted))

    def step(state, x):
        return jax.value_and_grad(lambda s: nnx.merge(graph, s)(x).sum())(state)[::-1]

    with run:
        mbj.wrap_train_step(step, run, activations=["*"])(state, X)
    assert sizes(written()) == PAIR


def test_layers_of_a_merged_nnx_module_that_are_called_directly_have_their_whole_path(run, written):
    graph, state = nnx.split(NnxPair(call))

    def step(state, x):
        model = nnx.merge(graph, state)
        return model.first.dense(model.second(x)).mean()

    with run:
        mbj.wrap_train_step(step, run, activations=["*"])(state, X)
    assert sizes(written()) == {"first/dense": SIZE, "second": SIZE, "second/dense": SIZE}


def test_two_steps_may_choose_different_layers_of_what_both_compile(run, written):
    @jax.jit
    def forward(params, x):
        return LINEN["plain"][0].apply(params, x)

    def step(params, x):
        return forward(params, x).mean()

    params = LINEN["plain"][0].init(jax.random.key(0), X)
    with run:
        mbj.wrap_train_step(step, run, activations=["first"])(params, X)
        mbj.wrap_train_step(step, run, activations=["second"], start_step=100)(params, X)
    assert {tag: h.step.tolist() for tag, h in written().histograms.items() if "activations" in tag} == {
        "activations/first": [0],
        "activations/second": [100],
    }


def test_nothing_is_seen_when_a_model_is_initialised_in_the_step(run, written):
    model = LINEN["plain"][0]

    def step(x):
        return jnp.square(model.apply(model.init(jax.random.key(0), x), x)).mean()

    with run:
        mbj.wrap_train_step(step, run, activations=["*"])(X)
    assert sizes(written()) == PAIR


def test_a_linen_model_inside_an_nnx_module_has_its_layers_below_it(run, written):
    class Bridged(nnx.Module):
        def __init__(self):
            self.inner = nnx.bridge.ToNNX(LinenPair(LinenBlock), rngs=nnx.Rngs(0)).lazy_init(X)

        def __call__(self, x):
            return self.inner(x)

    with run:
        mbj.wrap_train_step(nnx_step, run, activations=["*"])(Bridged(), X)
    assert Counter(sizes(written())) == Counter({"inner": SIZE, **{f"inner/{path}": size for path, size in PAIR.items()}})
