"""Keeping arrays element by element changes no bit of the training, in every style of step."""

import jax
import numpy as np
import optax

import multiboard as mb
import multiboard.jax as mbj


def test_training_is_bit_identical_where_all_elements_are_kept(style, train, run):
    tx = optax.chain(optax.clip_by_global_norm(0.1), optax.adam(1e-2))
    untouched, tapped = style(tx), style(mbj.tap(tx))
    losses, params = train(untouched, untouched.jit(untouched.step), 5)
    exact = mb.Exact(steps=1, kinds=("params", "grads", "updates", "activations"), limit=20)
    with run:
        step = mbj.wrap_train_step(tapped.step, run, every=1, exact=exact, activations="*", histograms=False)
        kept_losses, kept_params = train(tapped, step, 5)
    assert kept_losses == losses
    jax.tree.map(np.testing.assert_array_equal, kept_params, params)
