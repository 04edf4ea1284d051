"""A step with values collected from inside the computation is bit-identical to the step, for a model that a compiler fuses."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen

import multiboard.jax as mbj

X = np.random.default_rng(0).normal(size=(8, 32, 64)).astype(np.float32)


class Block(linen.Module):
    @linen.compact
    def __call__(self, x):
        y = linen.LayerNorm()(x)
        x = mbj.tag("attended", x + linen.MultiHeadDotProductAttention(4)(y, y))
        return x + linen.Dense(64)(linen.gelu(linen.Dense(256)(linen.LayerNorm()(x))))


class Model(linen.Module):
    @linen.compact
    def __call__(self, x):
        for i in range(3):
            x = Block(name=f"block{i}")(x)
        return linen.Dense(10)(linen.LayerNorm()(x).mean(1))


def train_step(params, x):
    loss, grads = jax.value_and_grad(lambda p: -jax.nn.log_softmax(Model().apply(p, x))[:, 0].mean())(params)
    return jax.tree.map(lambda p, g: p - 0.1 * g, params, grads), loss


@pytest.mark.parametrize("activations", [["*"], None], ids=["layers", "tags only"])
def test_it_is(activations, run):
    plain, params = jax.jit(train_step), jax.jit(Model().init)(jax.random.key(0), X)
    with run:
        step = mbj.wrap_train_step(train_step, run, every=1, activations=activations)
        for i in (1, 0, 1, 2):
            measured, params = step(params, jnp.asarray(X * i)), plain(params, jnp.asarray(X * i))
            jax.tree.map(np.testing.assert_array_equal, measured, params)
            params = params[0]
