"""The tap changes neither the state nor the arithmetic of an optimizer."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import multiboard as mb
import multiboard.jax as mbj

PARAMS = {"dense": {"kernel": jnp.ones((2, 3)), "bias": jnp.zeros(3)}}


@pytest.mark.parametrize(
    "tx",
    [
        optax.adamw(1e-3),
        optax.inject_hyperparams(optax.sgd)(0.1, momentum=0.9),
        optax.masked(optax.adam(1e-3), {"dense": {"kernel": True, "bias": False}}),
    ],
    ids=["adamw", "injected", "masked"],
)
def test_the_state_has_the_same_tree_and_values(tx):
    tapped = mbj.tap(tx)
    grads = jax.tree.map(lambda p: p + 0.5, PARAMS)
    for state, tapped_state in [
        (tx.init(PARAMS), tapped.init(PARAMS)),
        (tx.update(grads, tx.init(PARAMS), PARAMS)[1], tapped.update(grads, tapped.init(PARAMS), PARAMS)[1]),
    ]:
        assert jax.tree.structure(tapped_state) == jax.tree.structure(state)
        jax.tree.map(np.testing.assert_array_equal, tapped_state, state)


def test_further_arguments_of_update_reach_the_optimizer():
    def update(updates, state, params=None, *, factor):
        del params
        return jax.tree.map(lambda u: u * factor, updates), state

    tapped = mbj.tap(optax.GradientTransformationExtraArgs(optax.identity().init, update))
    changes, _ = tapped.update({"a": jnp.ones(2)}, tapped.init(PARAMS), factor=3.0)
    assert changes["a"].tolist() == [3.0, 3.0]


def test_something_that_is_no_optimizer_is_refused():
    with pytest.raises(mb.ArgumentError, match="optax transformation"):
        mbj.tap(1e-3)
