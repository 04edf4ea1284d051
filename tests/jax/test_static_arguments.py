"""Static arguments stay Python values in both variants."""

import jax
import jax.numpy as jnp
import pytest

import multiboard.jax as mbj


def train_step(x, mode, scale=1):
    assert isinstance(mode, str)
    assert type(scale) is int
    return mbj.tag("x", x).sum() * (scale if mode == "big" else 1)


@pytest.mark.parametrize("make", [lambda f: f, lambda f: jax.jit(f, static_argnums=(1, 2))], ids=["plain", "jitted"])
def test_strings_and_numbers_can_be_static_by_position_and_by_name(make, run, written, causes):
    step = mbj.wrap_train_step(make(train_step), run, every=2, static_argnums=(1, 2))
    with run:
        losses = [
            float(step(jnp.ones(3), "big", 4)),
            float(step(jnp.ones(3), "small", 4)),
            float(step(jnp.ones(3), "big", scale=5)),
        ]
    assert losses == [12, 3, 15]
    assert causes == []
    assert written().histograms["activations/x"].step.tolist() == [0, 2]
