"""A step that is jitted already is measured, too."""

import jax
import numpy as np
import optax
from flax import nnx

import multiboard.jax as mbj


def test_a_jitted_step_is_used_as_it_is_and_measured_at_captured_steps(style, train, run, written, layers):
    training = style(mbj.tap(optax.sgd(0.1, 0.9)))
    jitted = training.jit(training.step, donate_argnums=training.donated)
    losses, params = train(training, jitted, 5)
    with run:
        step = mbj.wrap_train_step(jitted, run, every=3, donate_argnums=training.donated)
        logged_losses, logged_params = train(training, step, 5)
    assert logged_losses == losses
    jax.tree.map(np.testing.assert_array_equal, logged_params, params)
    assert list(written().histograms) == [f"{group}/{layer}" for group in ("params", "grads", "updates") for layer in layers]
    assert written().histograms["grads/norm/scale"].step.tolist() == [0, 3]


def test_a_step_that_changes_the_structure_of_a_module_changes_it_the_same_way(run, written):
    class Network(nnx.Module):
        def __init__(self, rngs):
            self.drop = nnx.Dropout(0.5, rngs=rngs)
            self.dense = nnx.Linear(4, 2, rngs=rngs)

        def __call__(self, x):
            self.seen = nnx.Intermediate(self.drop(x).mean())
            return mbj.tag("logits", self.dense(self.drop(x)))

    def train_step(model, x):
        model.train()
        return model(x).sum()

    untouched, measured = Network(nnx.Rngs(0)), Network(nnx.Rngs(0))
    for model in (untouched, measured):
        model.eval()
    x = np.ones((3, 4), np.float32)
    expected = nnx.jit(train_step)(untouched, x)
    with run:
        assert mbj.wrap_train_step(train_step, run)(measured, x) == expected
    assert measured.drop.deterministic is False
    assert jax.tree.structure(nnx.split(measured)[1]) == jax.tree.structure(nnx.split(untouched)[1])
    assert measured.seen[...] == untouched.seen[...]
    assert written().histograms["params/dense/kernel"].step.tolist() == [0]
