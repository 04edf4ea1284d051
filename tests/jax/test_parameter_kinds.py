"""Which leaves of which trees are measured, and what they are called."""

import jax
import jax.numpy as jnp
import optax
import pytest

import multiboard as mb
import multiboard.jax as mbj
from multiboard_jax.paths import places


def update_once(params, run, *, pass_params=True):
    """Run one step of plain gradient descent whose gradients are the float parameters themselves."""
    tx = mbj.tap(optax.identity())

    def train_step(params):
        grads = jax.tree.map(lambda p: p if jnp.issubdtype(p.dtype, jnp.inexact) else None, params)
        tx.update(grads, tx.init(params), params if pass_params else None)
        return jnp.zeros(())

    with run:
        mbj.wrap_train_step(train_step, run)(params)


def test_keys_of_a_random_generator_are_left_out_and_integers_are_measured(run, written):
    update_once({"drop": {"key": jax.random.key(0), "count": jnp.arange(3)}, "dense": {"w": jnp.ones(2)}}, run)
    assert list(written().histograms) == ["params/dense/w", "params/drop/count", "grads/dense/w", "updates/dense/w"]
    assert written().histograms["params/drop/count"].value[0][:, [0, 2]].tolist() == [[0, 1], [1, 1], [2, 1]]


def test_bfloat16_parameters_keep_their_exact_values(run, written):
    update_once({"dense": {"kernel": jnp.array([1e5, 1e-30, -3.0], jnp.bfloat16)}}, run)
    rows = written().histograms["params/dense/kernel"].value[0]
    assert rows[:, 2].tolist() == [1, 1, 1]
    assert rows[-1, 0] <= 1e5 < rows[-1, 1]


@pytest.mark.parametrize(
    ("tree", "names"),
    [
        (
            {"params": {"conv1": {"kernel": 0.0}}, "batch_stats": {"norm": {"mean": 0.0}}},
            ["batch_stats/norm/mean", "conv1/kernel"],
        ),
        ({"blocks": [{"weight": 0.0}, {"gamma": 0.0}]}, ["blocks/0/kernel", "blocks/1/scale"]),
        ((0.0, {"b": 0.0}), ["0", "1/b"]),
        (0.0, ["value"]),
        ({"params": 0.0}, ["params"]),
        ({"embed": {"embedding": 0.0}, "norm": {"scale": 0.0, "bias": 0.0}}, ["embed/embedding", "norm/bias", "norm/scale"]),
    ],
    ids=["collections", "lists", "tuple", "bare", "a layer called params", "roles"],
)
def test_paths_are_joined_and_roles_are_uniform(tree, names):
    assert [place.layer for place in places(tree)] == names


def test_boxes_around_arrays_are_no_part_of_a_path():
    from flax import linen, nnx

    boxed = {"dense": {"kernel": linen.Partitioned(jnp.ones(2), names=("x",)), "bias": jnp.ones(1)}}
    assert [place.layer for place in places(boxed)] == ["dense/bias", "dense/kernel"]
    state = nnx.state(nnx.Linear(1, 1, rngs=nnx.Rngs(0)))
    assert [place.layer for place in places(state)] == ["bias", "kernel"]


def test_gradients_that_cannot_be_seen_are_said_once(plain, train, run, causes, written):
    training = plain(optax.sgd(0.1))
    with run, pytest.warns(mb.MultiboardWarning, match="gradients cannot be seen; build the optimizer with multiboard.jax.tap"):
        train(training, mbj.wrap_train_step(training.step, run), 2)
    assert [cause for cause, _ in causes] == ["no tag found"]
    assert list(written().histograms) == []


def test_a_tap_without_arrays_is_not_said_to_be_missing(run, causes):
    tx = mbj.tap(optax.sgd(0.1))

    def train_step(opt_state, x):
        return tx.update({}, opt_state, {})[1], x.sum()

    with run, pytest.warns(mb.MultiboardWarning, match="the tapped optimizer is given no arrays of numbers"):
        mbj.wrap_train_step(train_step, run)(tx.init({}), jnp.ones(2))
    assert [cause for cause, _ in causes] == ["no arrays in the tap"]


def test_parameters_that_do_not_reach_the_optimizer_are_said_to_be_missing(run, causes, written):
    with pytest.warns(mb.MultiboardWarning, match=r"pass them on: tx.update\(grads, opt_state, params\)"):
        update_once({"dense": {"w": jnp.ones(2)}}, run, pass_params=False)
    assert [cause for cause, _ in causes] == ["no parameters found"]
    assert list(written().histograms) == ["grads/dense/w", "updates/dense/w"]
