"""`activations=` of a wrapped step writes what chosen layers return, beside everything else."""

import jax
import numpy as np
import optax

import multiboard.jax as mbj


def test_chosen_layers_are_written_and_the_training_is_the_same(style, train, run, written, layers, causes):
    tx = mbj.tap(optax.adam(1e-2))
    training = style(tx)
    losses, params = train(training, training.jit(training.step), 5)
    with run:
        step = mbj.wrap_train_step(training.step, run, every=2, activations="dense1", log=("params", "grads"))
        logged_losses, logged_params = train(training, step, 5)
    assert logged_losses == losses
    jax.tree.map(np.testing.assert_array_equal, logged_params, params)
    groups = [f"{group}/{layer}" for group in ("params", "grads") for layer in layers]
    assert list(written().histograms) == [*groups, "activations/dense1"]
    assert written().histograms["activations/dense1"].step.tolist() == [0, 2, 4]
    assert written().histograms["activations/dense1"].value[0][:, 2].sum() == 6 * 7
    assert causes == []
