"""NaN and infinite gradients are counted, and the training goes on."""

import jax.numpy as jnp
import numpy as np
import optax

import multiboard.jax as mbj


def test_nan_gradients_are_counted_and_stop_nothing(plain, run, written, causes, warned):
    training = plain(mbj.tap(optax.sgd(0.1)))
    step = mbj.wrap_train_step(training.step, run, every=1, log=("params", "grads"))
    args = training.start()
    x, y = np.ones((6, 5), np.float32), np.zeros(6, np.int32)
    with run:
        for batch in (x, x * np.nan, x):
            args = training.follow(args, step(*args, batch, y))
    scalars = written().scalars
    assert scalars["nonfinite/grads"].value.tolist() == [0, 56, 56]
    assert scalars["nonfinite/grads/dense1/kernel"].value.tolist() == [35, 35]
    assert scalars["nonfinite/params"].value.tolist() == [0, 0, 56]
    assert np.isnan(scalars["norm/grads"].value).tolist() == [False, True, True]
    assert np.isnan(scalars["train/loss"].value).tolist() == [False, True, True]
    assert {cause for cause, _ in causes} == {"scalar train/loss not finite", "summary"}
    assert len(warned) == 2


def test_infinite_values_are_told_from_nan(run, written):
    step = mbj.wrap_train_step(lambda x: mbj.tag("group/x", x / 0).max(), run)
    with run:
        step(jnp.array([1.0, -1.0, 0.0, 2.0]))
    assert written().scalars["nonfinite/group/x"].value.tolist() == [4]
    assert np.isnan(written().scalars["norm/group/x"].value).all()
