"""Donated state reaches neither the statistics nor the metrics."""

import jax.numpy as jnp
import numpy as np
import optax

import multiboard.jax as mbj


def test_training_with_donated_state_writes_everything(linen_training, train, run, written, causes):
    training = linen_training(mbj.tap(optax.sgd(0.1, 0.9)))
    step = mbj.wrap_train_step(training.step, run, every=2, donate_argnums=training.donated)
    with run:
        losses, params = train(training, step, 6)
    assert causes == []
    assert written().scalars["train/loss"].value.tolist() == losses
    norms = [np.linalg.norm(params[n]["dense1"]["kernel"]) for n in (0, 2, 4)]
    np.testing.assert_allclose(written().scalars["norm/params/dense1/kernel"].value, norms, rtol=1e-5)


def test_both_variants_donate(run):
    step = mbj.wrap_train_step(lambda x, y: (mbj.tag("x", x) + y, y.sum()), run, every=2, donate_argnums=0)
    x, y = jnp.ones(3), jnp.ones(3)
    with run:
        for _ in range(2):
            old = x
            x, _ = step(x, y)
            assert old.is_deleted()
    assert x.tolist() == [3, 3, 3]


def test_a_metric_that_is_also_in_the_donated_state_is_written(run, written, causes):
    def train_step(state, x):
        state = {"total": state["total"] + mbj.tag("x", x).sum(), "count": state["count"] + 1}
        return state, {"total": state["total"], "count": state["count"]}

    step = mbj.wrap_train_step(train_step, run, every=2, donate_argnums=0)
    state = {"total": jnp.zeros(()), "count": jnp.zeros((), jnp.int32)}
    with run:
        for _ in range(5):
            state, _ = step(state, jnp.ones(3))
    assert written().scalars["train/total"].value.tolist() == [3, 6, 9, 12, 15]
    assert written().scalars["train/count"].value.tolist() == [1, 2, 3, 4, 5]
    assert causes == []
