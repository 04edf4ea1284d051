"""A small CNN and a small transformer in linen and in NNX, with the same layers, and a training of each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import numpy as np
import optax
from flax import linen, nnx
from flax.training.train_state import TrainState

if TYPE_CHECKING:
    from collections.abc import Callable

WIDTH, WORDS = 8, 10


class Training(NamedTuple):
    """A training step and what it is called with.

    Attributes:
        step: not compiled.
        start: makes the arguments in front of the batch.
        batch: of the first step.
        jit: how a person compiles it.
    """

    step: Callable[..., Any]
    start: Callable[[], tuple[Any, ...]]
    batch: tuple[np.ndarray, np.ndarray]
    jit: Callable[..., Any]


class LinenCnn(linen.Module):
    @linen.compact
    def __call__(self, x):
        x = linen.relu(linen.Conv(4, (3, 3), name="conv1")(x))
        x = linen.relu(linen.Conv(4, (3, 3), name="conv2")(x))
        return linen.Dense(WORDS, name="head")(x.reshape(len(x), -1))


class LinenBlock(linen.Module):
    @linen.compact
    def __call__(self, x):
        y = linen.LayerNorm(name="norm")(x)
        q, k, v = (linen.Dense(WIDTH, name=name)(y) for name in "qkv")
        return x + linen.Dense(WIDTH, name="out")(linen.softmax(q @ k.transpose(0, 2, 1)) @ v)


class LinenTransformer(linen.Module):
    @linen.compact
    def __call__(self, words):
        x = linen.Embed(WORDS, WIDTH, name="embed")(words)
        x = LinenBlock(name="block1")(LinenBlock(name="block0")(x))
        return linen.Dense(WORDS, name="head")(x.mean(1))


class NnxCnn(nnx.Module):
    def __init__(self, rngs):
        self.conv1 = nnx.Conv(1, 4, (3, 3), rngs=rngs)
        self.conv2 = nnx.Conv(4, 4, (3, 3), rngs=rngs)
        self.head = nnx.Linear(4 * 36, WORDS, rngs=rngs)

    def __call__(self, x):
        x = nnx.relu(self.conv2(nnx.relu(self.conv1(x))))
        return self.head(x.reshape(len(x), -1))


class NnxBlock(nnx.Module):
    def __init__(self, rngs):
        self.norm = nnx.LayerNorm(WIDTH, rngs=rngs)
        self.q, self.k, self.v, self.out = (nnx.Linear(WIDTH, WIDTH, rngs=rngs) for _ in range(4))

    def __call__(self, x):
        y = self.norm(x)
        return x + self.out(nnx.softmax(self.q(y) @ self.k(y).transpose(0, 2, 1)) @ self.v(y))


class NnxTransformer(nnx.Module):
    def __init__(self, rngs):
        self.embed = nnx.Embed(WORDS, WIDTH, rngs=rngs)
        self.block0, self.block1 = NnxBlock(rngs), NnxBlock(rngs)
        self.head = nnx.Linear(WIDTH, WORDS, rngs=rngs)

    def __call__(self, words):
        return self.head(self.block1(self.block0(self.embed(words))).mean(1))


def loss_of(logits, y):
    """Return the mean cross entropy."""
    return optax.softmax_cross_entropy_with_integer_labels(logits, y).mean()


def batch_for(kind: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the inputs and labels of one batch for a 'cnn' or a 'transformer'."""
    random = np.random.default_rng(0)
    words = random.integers(WORDS, size=(4, 6), dtype=np.int32)
    inputs = random.random((4, 6, 6, 1), "float32") if kind == "cnn" else words
    return inputs, words[:, 0]


def linen_training(model: Any, kind: str) -> Training:
    """Return a training with a TrainState."""
    batch = batch_for(kind)

    def step(state, x, y):
        loss, grads = jax.value_and_grad(lambda params: loss_of(model.apply({"params": params}, x), y))(state.params)
        return state.apply_gradients(grads=grads), {"loss": loss}

    def start():
        params = model.init(jax.random.key(0), batch[0])["params"]
        return (TrainState.create(apply_fn=model.apply, params=params, tx=optax.sgd(0.1)),)

    return Training(step, start, batch, jax.jit)


def nnx_training(make: Any, kind: str) -> Training:
    """Return a training that changes its model."""

    def step(model, optimizer, x, y):
        loss, grads = nnx.value_and_grad(lambda model: loss_of(model(x), y))(model)
        optimizer.update(*(model, grads) if hasattr(nnx, "ModelAndOptimizer") else (grads,))
        return {"loss": loss}

    def start():
        model = make(nnx.Rngs(0))
        return model, nnx.Optimizer(model, optax.sgd(0.1), wrt=nnx.Param)

    return Training(step, start, batch_for(kind), nnx.jit)


CNN = ["conv1", "conv2", "head"]
TRANSFORMER = ["embed", *(f"block{i}/{part}" for i in range(2) for part in ("norm", "q", "k", "v", "out")), "head"]

TRAININGS = {
    "linen cnn": (linen_training(LinenCnn(), "cnn"), CNN),
    "linen transformer": (linen_training(LinenTransformer(), "transformer"), TRANSFORMER),
    "nnx cnn": (nnx_training(NnxCnn, "cnn"), CNN),
    "nnx transformer": (nnx_training(NnxTransformer, "transformer"), TRANSFORMER),
}
