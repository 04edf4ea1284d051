"""What a person switches on to find mistakes of their own finds none of multiboard's."""

import jax
import jax.numpy as jnp
import optax
import pytest

import multiboard.jax as mbj

X = jnp.arange(12.0).reshape(3, 4)

MODES = {
    "tracer leaks": jax.checking_leaks,
    "rank promotion": lambda: jax.numpy_rank_promotion("raise"),
    "dtype promotion": lambda: jax.numpy_dtype_promotion("strict"),
    "transfers": lambda: jax.transfer_guard("disallow"),
    "NaN": lambda: jax.debug_nans(True),
}


def train_step(params, opt_state, x):
    def body(total, row):
        return total + mbj.log_inside("row", row.sum()), mbj.tag("rows", row)

    def loss_of(params):
        jax.lax.cond(x.min() < 1, lambda v: mbj.tag("branch", v), lambda v: v, x)
        jax.lax.while_loop(lambda v: v.max() < 30, lambda v: mbj.tag("turns", v) * 2, x)
        total, rows = jax.lax.scan(body, jnp.zeros(()), jax.vmap(lambda row: mbj.tag("mapped", row * params["w"]))(x))
        return total + rows.sum()

    loss, grads = jax.value_and_grad(loss_of)(params)
    updates, opt_state = TX.update(grads, opt_state, params)
    return optax.apply_updates(params, updates), opt_state, {"loss": loss}


TX = mbj.tap(optax.sgd(0.5))


@pytest.mark.parametrize("histograms", [True, False])
@pytest.mark.parametrize("mode", MODES)
def test_a_training_is_measured_under_it(mode, histograms, run, written, causes):
    params = {"w": jnp.ones(4)}
    opt_state = TX.init(params)
    schedule = optax.linear_schedule(1.0, 0.0, 4)
    step = mbj.wrap_train_step(train_step, run, every=2, histograms=histograms, learning_rate=schedule)
    with run, MODES[mode]():
        for _ in range(3):
            params, opt_state, _ = step(params, opt_state, X)
        run.flush()
    scalars = written().scalars
    assert causes == []
    assert scalars["norm/grads/w"].step.tolist() == [0, 2]
    assert scalars["train/row"].step.tolist() == [0, 2]
    assert scalars["train/learning_rate"].value.tolist() == [1.0, 0.5]


@pytest.mark.parametrize("mode", MODES)
def test_a_tree_of_parameters_is_written_under_it(mode, run, written, causes):
    tree = {"dense": {"kernel": X, "bias": jnp.ones(4)}}
    with run, MODES[mode]():
        mbj.watch_params(tree, run, 0)
        run.flush()
    assert causes == []
    assert written().scalars["norm/params/dense/bias"].value.tolist() == [2.0]
