"""Watching layers leaves no trace: neither in classes and modules, nor in other threads, nor in the training."""

import threading

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen, nnx

import multiboard.jax as mbj
from multiboard_jax import activations

X = np.random.default_rng(0).normal(size=(6, 5)).astype(np.float32)


class Model(nnx.Module):
    def __init__(self):
        self.first = nnx.Linear(5, 5, rngs=nnx.Rngs(0))
        self.second = nnx.Linear(5, 5, rngs=nnx.Rngs(1))
        self.dropout = nnx.Dropout(0.5, rngs=nnx.Rngs(2))

    def __call__(self, x):
        return self.dropout(self.second(nnx.relu(self.first(x))))


def train_step(model, x):
    loss, grads = nnx.value_and_grad(lambda m: jnp.square(m(x)).mean())(model)
    nnx.update(model, jax.tree.map(lambda p, g: p - 0.1 * g, nnx.state(model, nnx.Param), grads))
    return loss


def calls():
    return [vars(cls)["__call__"] for cls in (Model, nnx.Linear, nnx.Dropout, linen.Dense)]


def test_classes_and_modules_are_as_before(run):
    before, model = calls(), Model()
    attributes = [set(vars(layer)) for layer in (model, model.first, model.dropout)]
    with run:
        mbj.wrap_train_step(train_step, run, activations=["*"])(model, X)
    assert all(a is b for a, b in zip(before, calls(), strict=True))
    assert [set(vars(layer)) for layer in (model, model.first, model.dropout)] == attributes
    assert nnx.graphdef(model) == nnx.graphdef(Model())


@pytest.mark.parametrize("context", [lambda model: activations.seen(["*"], model), activations.named_layers])
def test_classes_and_modules_are_as_before_after_an_error(context):
    before, model = calls(), Model()
    attributes = list(vars(model.first))
    with pytest.raises(ZeroDivisionError), context(model):
        assert calls()[0] is not before[0]
        raise ZeroDivisionError
    assert all(a is b for a, b in zip(before, calls(), strict=True))
    assert list(vars(model.first)) == attributes


def test_a_step_may_return_modules_that_it_has_made(run):
    def step(model, x):
        copy = nnx.clone(model)
        return copy, copy(x).mean()

    with run:
        copy, _ = mbj.wrap_train_step(step, run, activations=["*"])(Model(), X)
    assert vars(copy.first).keys() == vars(Model().first).keys()


def test_another_thread_that_calls_the_same_classes_is_not_seen(run, written):
    model, in_step, done = Model(), threading.Event(), threading.Event()
    results = []

    def evaluate():
        in_step.wait(60)
        results.append(np.asarray(model.first(X)))
        results.append(np.asarray(nnx.jit(lambda m, x: m.second(x))(model, X)))
        done.set()

    def step(model, x):
        in_step.set()
        assert done.wait(60)
        return model(x).mean()

    thread = threading.Thread(target=evaluate)
    thread.start()
    with run:
        mbj.wrap_train_step(step, run, activations=["*"])(Model(), X)
    thread.join()
    np.testing.assert_array_equal(results, [model.first(X), nnx.jit(lambda m, x: m.second(x))(model, X)])
    assert sorted(tag for tag in written().histograms if "activations" in tag) == [
        "activations/dropout",
        "activations/first",
        "activations/second",
    ]


def test_two_threads_may_watch_at_once():
    before, both = calls(), threading.Barrier(2, timeout=60)
    seen = {}

    def watch(name):
        model = Model()
        with activations.seen(["*"], model) as layers:
            both.wait()
            jax.eval_shape(lambda x: model.first(x) if name == "one" else model.second(x), X)
            both.wait()
        seen[name] = [message for _, message in layers.notes([])]

    threads = [threading.Thread(target=watch, args=(name,)) for name in ("one", "two")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == {"one": [], "two": []}
    assert all(a is b for a, b in zip(before, calls(), strict=True))
