"""JAX tells which tensors may leave the train step; without that nothing is taken out."""

import jax
import pytest

import multiboard as mb
from multiboard_keras._compat import trace_level


def test_tensors_inside_a_gradient_are_told_from_those_of_the_step():
    levels = {}

    def loss(x):
        levels["inside"] = trace_level()
        return x**2

    @jax.jit
    def step(x):
        levels["before"] = trace_level()
        gradient = jax.grad(loss)(x)
        levels["after"] = trace_level()
        return gradient

    step(1.0)
    assert levels["before"] == levels["after"] != levels["inside"]


def test_a_jax_that_does_not_tell_leaves_the_logs_of_keras(fit, dense, monkeypatch):
    monkeypatch.delattr("jax.extend.core.get_opaque_trace_state")
    with pytest.warns(mb.MultiboardWarning) as said:
        data = fit(dense(), callback={"every": 2, "update_freq": "batch"})
    assert any("['loss'] are Keras' own logs" in str(warning.message) for warning in said)
    assert data.scalars["train/loss"].step.tolist() == [0, 1, 2, 3]
    assert not data.histograms
