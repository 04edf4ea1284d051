"""Measuring changes no bit of the training, in every style of step."""

import jax
import numpy as np
import optax

import multiboard.jax as mbj


def test_losses_and_weights_are_bit_identical_with_and_without(style, train, run):
    tx = optax.chain(optax.clip_by_global_norm(0.1), optax.adam(1e-2))
    untouched, tapped = style(tx), style(mbj.tap(tx))
    losses, params = train(untouched, untouched.jit(untouched.step), 12)
    with run:
        logged_losses, logged_params = train(tapped, mbj.wrap_train_step(tapped.step, run, every=3), 12)
    assert logged_losses == losses
    jax.tree.map(np.testing.assert_array_equal, logged_params, params)
    assert not np.array_equal(params[0]["dense1"]["kernel"], params[-1]["dense1"]["kernel"])


def test_each_variant_is_compiled_once(plain, train, run, causes):
    training = plain(mbj.tap(optax.adam(1e-2)))
    step = mbj.wrap_train_step(training.step, run, every=2)
    with run:
        train(training, step, 6)
    assert (step._plain._cache_size(), step._measured[None]._cache_size()) == (1, 1)
    assert causes == []
