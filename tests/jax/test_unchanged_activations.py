"""Training with watched layers is bit-identical to training without."""

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen, nnx

import multiboard.jax as mbj

X = np.random.default_rng(0).normal(size=(6, 5)).astype(np.float32)


class Model(nnx.Module):
    def __init__(self):
        self.first = nnx.Linear(5, 5, rngs=nnx.Rngs(0))
        self.second = nnx.Linear(5, 5, rngs=nnx.Rngs(1))
        self.dropout = nnx.Dropout(0.5, rngs=nnx.Rngs(2))

    def __call__(self, x):
        return self.dropout(self.second(nnx.relu(self.first(x))))


class LinenModel(linen.Module):
    @linen.compact
    def __call__(self, x):
        return linen.Dense(5, name="second")(linen.relu(linen.Dense(5, name="first")(x)))


def train_step(model, x):
    loss, grads = nnx.value_and_grad(lambda m: jnp.square(m(x)).mean())(model)
    nnx.update(model, jax.tree.map(lambda p, g: p - 0.1 * g, nnx.state(model, nnx.Param), grads))
    return loss


def trained(step, steps=6):
    model = Model()
    losses = [float(step(model, X * i)) for i in range(steps)]
    return losses, jax.tree.map(np.asarray, nnx.to_pure_dict(nnx.state(model, nnx.Param)))


def test_weights_and_losses_are_bit_identical(run):
    with run:
        watched = trained(mbj.wrap_train_step(train_step, run, every=3, activations=["*"]))
    jax.tree.map(np.testing.assert_array_equal, watched, trained(nnx.jit(train_step)))


def test_weights_of_linen_are_bit_identical(run):
    def step(params, x):
        loss, grads = jax.value_and_grad(lambda p: jnp.square(LinenModel().apply(p, x)).mean())(params)
        return jax.tree.map(lambda p, g: p - 0.1 * g, params, grads), loss

    plain, params = jax.jit(step), LinenModel().init(jax.random.key(0), X)
    with run:
        watched, expected, logging = params, params, mbj.wrap_train_step(step, run, every=2, activations=["*"])
        for i in range(4):
            watched, loss = logging(watched, X * i)
            expected, expected_loss = plain(expected, X * i)
            assert loss == expected_loss
    jax.tree.map(np.testing.assert_array_equal, watched, expected)
