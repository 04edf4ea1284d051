"""One small model in PyTorch, JAX and Keras: a training that goes well gives no alert, and each that is broken gives its own."""

import time
import warnings
from collections import deque

import jax
import keras
import numpy as np
import optax
import pytest
import torch
from flax import nnx
from torch import nn

import multiboard as mb
import multiboard.jax as mbj
import multiboard.keras as mbk
import multiboard.torch as mbt
from multiboard.alerts import Alerts
from multiboard.errors import MultiboardWarning

STEPS, BROKEN, BATCH = 160, 130, 32
RATE = 0.05
TOO_FAST = "a rate a thousand times as large"
BREAKS = {
    "nothing": set(),
    "a batch with NaN": {"nonfinite"},
    "a batch on another scale": {"loss_spike"},
    TOO_FAST: {"loss_spike", "exploding_gradients", "nonfinite"},
    "biases far below 0": {"dead_units"},
    "a slow loader": {"stalled_input"},
}
"""What is done at step BROKEN, or from there on, and the rules that must find it."""


def rate(step, broken):
    return RATE * 1000 if broken == TOO_FAST and step >= BROKEN else RATE


def activation(broken, relu, identity):
    """ReLUs die at once of too high a rate, and nothing explodes any more."""
    return identity if broken == TOO_FAST else relu


def first_bias(broken):
    return -10.0 if broken == "biases far below 0" else 0.0


def batches(broken):
    """Yield noisy inputs and their classes; a slow loader takes several times as long as the slowest of the last steps."""
    draw = np.random.default_rng(0)
    truth = draw.normal(size=(16, 4))
    took = deque([0.01], 10)
    for step in range(STEPS):
        x = draw.normal(size=(BATCH, 16)).astype(np.float32)
        y = (x @ truth + draw.gumbel(size=(BATCH, 4))).argmax(1)
        if step == BROKEN and broken == "a batch with NaN":
            x[3, 2] = np.nan
        if step == BROKEN and broken == "a batch on another scale":
            x *= 50
        if step >= BROKEN and broken == "a slow loader":
            time.sleep(4 * max(took))
        began = time.monotonic()
        yield x, y
        took.append(time.monotonic() - began)


def train_torch(run, broken):
    torch.manual_seed(0)
    model = nn.Sequential()
    relu = activation(broken, nn.ReLU, nn.Identity)
    layers = {"dense1": nn.Linear(16, 32), "relu1": relu(), "dense2": nn.Linear(32, 32), "relu2": relu(), "out": nn.Linear(32, 4)}
    for name, layer in layers.items():
        model.add_module(name, layer)
    nn.init.constant_(model.dense1.bias, first_bias(broken))
    optimizer = torch.optim.SGD(model.parameters(), RATE)
    watching = mbt.watch(model, optimizer, run, every=1, activations=["relu*"])
    for step, (x, y) in enumerate(mbt.loop(batches(broken), run, every=5, watching=watching)):
        optimizer.param_groups[0]["lr"] = rate(step, broken)
        loss = nn.functional.cross_entropy(model(torch.from_numpy(x)), torch.from_numpy(y))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        run.log({"train/loss": loss.detach()}, step)


class Classifier(nnx.Module):
    def __init__(self, bias, relu):
        rngs = nnx.Rngs(0)
        self.dense1 = nnx.Linear(16, 32, rngs=rngs, bias_init=nnx.initializers.constant(bias))
        self.dense2 = nnx.Linear(32, 32, rngs=rngs)
        self.out = nnx.Linear(32, 4, rngs=rngs)
        self.relu = relu

    def __call__(self, x):
        x = mbj.tag("relu1", self.relu(self.dense1(x)))
        return self.out(mbj.tag("relu2", self.relu(self.dense2(x))))


def train_jax(run, broken):
    model = Classifier(first_bias(broken), activation(broken, nnx.relu, nnx.identity))
    schedule = optax.piecewise_constant_schedule(RATE, {BROKEN: rate(BROKEN, broken) / RATE})
    optimizer = nnx.Optimizer(model, optax.sgd(schedule), wrt=nnx.Param)

    def loss_of(model, x, y):
        return optax.softmax_cross_entropy_with_integer_labels(model(x), y).mean()

    def train_step(model, optimizer, x, y):
        loss, grads = nnx.value_and_grad(loss_of)(model, x, y)
        optimizer.update(model, grads)
        return {"loss": loss}

    step = mbj.wrap_train_step(train_step, run, every=1)
    for x, y in mbj.loop(batches(broken), run, every=5, watching=step):
        jax.block_until_ready(step(model, optimizer, x, y))


def train_keras(run, broken):
    keras.utils.set_random_seed(0)
    relu, bias = activation(broken, "relu", "linear"), keras.initializers.Constant(first_bias(broken))
    layers = [
        keras.Input((16,)),
        keras.layers.Dense(32, activation=relu, bias_initializer=bias, name="dense1"),
        keras.layers.Dense(32, activation=relu, name="dense2"),
        keras.layers.Dense(4, name="out"),
    ]
    model = keras.Sequential(layers)
    schedule = keras.optimizers.schedules.PiecewiseConstantDecay([BROKEN - 1], [RATE, rate(BROKEN, broken)])
    model.compile(keras.optimizers.SGD(schedule), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    callback = mbk.TensorBoard(run=run, every=1, update_freq="batch", write_graph=False, activations=["dense*"])
    model.fit(batches(broken), steps_per_epoch=STEPS, epochs=1, verbose=0, shuffle=False, callbacks=[callback])


TRAININGS = {"torch": train_torch, "jax": train_jax, "keras": train_keras}


def alerts_of(framework, broken, log_dir):
    found = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MultiboardWarning)
        with mb.Run(log_dir, alerts=Alerts(on_alert=found.append), facts=False) as run:
            TRAININGS[framework](run, broken)
    return found


CASES = [(framework, broken) for framework in TRAININGS for broken in BREAKS]
CASES.remove(("keras", "a slow loader"))  # Keras does not tell how long it waits for a batch


@pytest.mark.parametrize(("framework", "broken"), CASES)
def test_a_training_gives_the_alerts_of_what_is_broken_in_it_and_no_other(framework, broken, tmp_path):
    found = alerts_of(framework, broken, tmp_path)
    expected = BREAKS[broken]
    assert {alert.rule for alert in found} == expected, found
    if expected:
        first = 0 if broken == "biases far below 0" else BROKEN
        assert first <= found[0].step < first + 30
        if broken == TOO_FAST:
            steps = {alert.rule: alert.step for alert in reversed(found)}
            assert steps["exploding_gradients"] < steps["nonfinite"]
        texts = mb.read(tmp_path)["."].texts
        assert {f"alerts/{rule}" for rule in expected} == {tag for tag in texts if tag.startswith("alerts/")}
