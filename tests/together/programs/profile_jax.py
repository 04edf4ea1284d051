"""Trains a small CNN and a small transformer in linen and NNX, a profiled window each: <directory of the runs> <ms of sleep>."""

import json
import sys
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import linen, nnx
from flax.training.train_state import TrainState

import multiboard as mb
import multiboard.jax as mbj

FIRST, STEPS, TOTAL = 4, 5, 12
BATCH, LENGTH, WORDS, WIDTH = 8, 12, 20, 16
OUT, SLEEP = Path(sys.argv[1]), float(sys.argv[2]) / 1000


class LinenCNN(linen.Module):
    @linen.compact
    def __call__(self, x):
        x = linen.relu(linen.Conv(8, (3, 3), padding="VALID", name="conv1")(x))
        x = linen.relu(linen.Conv(8, (3, 3), padding="VALID", name="conv2")(x))
        x = linen.relu(linen.Dense(32, name="fc1")(x.reshape(len(x), -1)))
        return linen.Dense(10, name="head")(x)


class LinenAttention(linen.Module):
    @linen.compact
    def __call__(self, x):
        q, k, v = (linen.Dense(WIDTH, name=name)(x) for name in "qkv")
        return linen.Dense(WIDTH, name="out")(jax.nn.softmax(q @ k.transpose(0, 2, 1) / WIDTH**0.5) @ v)


class LinenBlock(linen.Module):
    @linen.compact
    def __call__(self, x):
        x = x + LinenAttention(name="attn")(linen.LayerNorm(name="ln1")(x))
        hidden = linen.gelu(linen.Dense(4 * WIDTH, name="fc")(linen.LayerNorm(name="ln2")(x)))
        return x + linen.Dense(WIDTH, name="proj")(hidden)


class LinenTransformer(linen.Module):
    @linen.compact
    def __call__(self, words):
        x = linen.Embed(WORDS, WIDTH, name="embed")(words)
        return linen.Dense(WORDS, name="head")(LinenBlock(name="block1")(LinenBlock(name="block0")(x)))


class NnxCNN(nnx.Module):
    def __init__(self, rngs):
        self.conv1 = nnx.Conv(1, 8, (3, 3), padding="VALID", rngs=rngs)
        self.conv2 = nnx.Conv(8, 8, (3, 3), padding="VALID", rngs=rngs)
        self.fc1, self.head = nnx.Linear(8 * 8 * 8, 32, rngs=rngs), nnx.Linear(32, 10, rngs=rngs)

    def __call__(self, x):
        x = nnx.relu(self.conv2(nnx.relu(self.conv1(x))))
        return self.head(nnx.relu(self.fc1(x.reshape(len(x), -1))))


class NnxAttention(nnx.Module):
    def __init__(self, rngs):
        self.q, self.k, self.v, self.out = (nnx.Linear(WIDTH, WIDTH, rngs=rngs) for _ in range(4))

    def __call__(self, x):
        weights = jax.nn.softmax(self.q(x) @ self.k(x).transpose(0, 2, 1) / WIDTH**0.5)
        return self.out(weights @ self.v(x))


class NnxBlock(nnx.Module):
    def __init__(self, rngs):
        self.ln1, self.ln2 = nnx.LayerNorm(WIDTH, rngs=rngs), nnx.LayerNorm(WIDTH, rngs=rngs)
        self.attn = NnxAttention(rngs)
        self.fc, self.proj = nnx.Linear(WIDTH, 4 * WIDTH, rngs=rngs), nnx.Linear(4 * WIDTH, WIDTH, rngs=rngs)

    def __call__(self, x):
        x = x + self.attn(self.ln1(x))
        return x + self.proj(nnx.gelu(self.fc(self.ln2(x))))


class NnxTransformer(nnx.Module):
    def __init__(self, rngs):
        self.embed = nnx.Embed(WORDS, WIDTH, rngs=rngs)
        self.block0, self.block1 = NnxBlock(rngs), NnxBlock(rngs)
        self.head = nnx.Linear(WIDTH, WORDS, rngs=rngs)

    def __call__(self, words):
        return self.head(self.block1(self.block0(self.embed(words))))


def batches(kind, waits):
    """Yield batches, each after a sleep, and note how many ms each has taken."""
    random = np.random.default_rng(0)
    for _ in range(TOTAL):
        begin = time.perf_counter()
        time.sleep(SLEEP)
        words = random.integers(WORDS, size=(BATCH, LENGTH))
        pictures = random.random((BATCH, 12, 12, 1), "float32")
        waits.append((time.perf_counter() - begin) * 1000)
        yield (pictures, random.integers(10, size=BATCH)) if kind == "cnn" else (words, words)


def loss_of(logits, y):
    return optax.softmax_cross_entropy_with_integer_labels(logits, y).mean()


def train_linen(model, kind):
    first = next(batches(kind, []))[0]
    params = model.init(jax.random.key(0), first)
    state = TrainState.create(apply_fn=model.apply, params=params, tx=optax.sgd(0.01))

    def train_step(state, x, y):
        loss, grads = jax.value_and_grad(lambda params: loss_of(state.apply_fn(params, x), y))(state.params)
        return state.apply_gradients(grads=grads), {"loss": loss}

    waits = []
    with mb.Run(OUT / f"linen_{kind}") as run:
        step = mbj.wrap_train_step(train_step, run, every=100, profiler=mb.Profiler(run, start=FIRST, steps=STEPS))
        for x, y in mbj.loop(batches(kind, waits), run, watching=step):
            state, _ = step(state, x, y)
            jax.block_until_ready(state.params)
    (OUT / f"linen_{kind}" / "waits.json").write_text(json.dumps(waits))


def train_nnx(model, kind):
    optimizer = nnx.Optimizer(model, optax.sgd(0.01), wrt=nnx.Param)

    def train_step(model, optimizer, x, y):
        loss, grads = nnx.value_and_grad(lambda model: loss_of(model(x), y))(model)
        optimizer.update(model, grads)
        return {"loss": loss}

    waits = []
    with mb.Run(OUT / f"nnx_{kind}") as run:
        step = mbj.wrap_train_step(train_step, run, every=100, profiler=mb.Profiler(run, start=FIRST, steps=STEPS))
        for x, y in mbj.loop(batches(kind, waits), run, watching=step):
            jax.block_until_ready(step(model, optimizer, jnp.asarray(x), jnp.asarray(y)))
    (OUT / f"nnx_{kind}" / "waits.json").write_text(json.dumps(waits))


train_linen(LinenCNN(), "cnn")
train_linen(LinenTransformer(), "transformer")
train_nnx(NnxCNN(nnx.Rngs(0)), "cnn")
train_nnx(NnxTransformer(nnx.Rngs(0)), "transformer")
