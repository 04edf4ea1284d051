"""With accumulation the captured gradient is the mean that the update is made of."""

import itertools

import keras
import numpy as np
import pytest

optimizers = keras.optimizers


@pytest.fixture
def norms(dense, follow, vectors):
    """The function that returns the norms of the gradients of one update from 48 examples, in batches of a given size."""

    def run(optimizer, batch_size):
        x, y = vectors
        data, _ = follow(dense(optimizer), x[:48], y[:48], batch_size=batch_size)
        return {tag: column.value[-1] for tag, column in data.scalars.items() if tag.startswith("norm/grads")}, data

    return run


def scaled(**options):
    return optimizers.LossScaleOptimizer(optimizers.SGD(0.5, **options), initial_scale=1024.0)


@pytest.mark.parametrize("make", [lambda **options: optimizers.SGD(0.5, **options), scaled], ids=["plain", "loss scale"])
def test_the_gradient_is_that_of_all_batches_before_clipping(norms, make):
    accumulated, data = norms(make(gradient_accumulation_steps=3, clipnorm=1e-3), 16)
    whole, _ = norms(optimizers.SGD(0.5), 48)
    assert accumulated == pytest.approx(whole, rel=1e-5)
    assert data.histograms["grads/fc/kernel"].step.tolist() == [0]
    assert data.histograms["grads/fc/kernel"].description.endswith("before clipping (mean of 3 micro-batches)")


def test_the_update_is_that_of_the_mean_gradient(dense, follow):
    model = dense(optimizers.SGD(0.5, gradient_accumulation_steps=2))
    data, values = follow(model)
    numbers, kernel = data.scalars, f"{model.name}/fc/kernel"
    assert numbers["norm/updates/fc/kernel"].step.tolist() == [0, 1]
    np.testing.assert_allclose(numbers["norm/updates/fc/kernel"].value, 0.5 * numbers["norm/grads/fc/kernel"].value, rtol=1e-5)
    changes = [
        np.linalg.norm(after[kernel] - before[kernel]) for before, after in ((values[1], values[2]), (values[3], values[4]))
    ]
    np.testing.assert_allclose(numbers["norm/updates/fc/kernel"].value, changes, rtol=1e-5)
    assert not [tag for tag in data.histograms if "gradient_accumulator" in tag]


@pytest.fixture
def skipping_fit(dense, follow, vectors):
    """The function that trains on six batches of which the loss scale leaves one out; two are meant to make an update."""

    def run(left_out, **logged):
        optimizer = optimizers.LossScaleOptimizer(optimizers.SGD(0.5, gradient_accumulation_steps=2), initial_scale=3e37)
        x, y = (data[:48].copy() for data in vectors)
        x[8 * left_out : 8 * left_out + 8] *= 16
        model = dense(optimizer)
        data, values = follow(model, x, y, batch_size=8, logged={"update_freq": "batch", **logged})
        kernel = f"{model.name}/fc/kernel"
        return data, [np.linalg.norm(after[kernel] - before[kernel]) for before, after in itertools.pairwise(values)]

    return run


@pytest.mark.parametrize(("left_out", "updates", "steps"), [(0, [2, 4], [1, 2]), (1, [2, 4], [1, 2]), (2, [1, 4], [0, 2])])
def test_after_a_batch_that_a_loss_scale_leaves_out_captures_are_of_those_that_make_updates(
    skipping_fit, left_out, updates, steps
):
    log = ("params", "grads", "updates", "optimizer_state", "buffers")
    data, changes = skipping_fit(left_out, every=1, log=log, activations="*")
    assert [batch for batch, change in enumerate(changes) if change] == updates
    numbers = data.scalars
    for tag in "params/fc/kernel", "grads/fc/kernel", "updates/fc/kernel", "activations/fc":
        assert data.histograms[tag].step.tolist() == numbers[f"norm/{tag}"].step.tolist() == steps
    made = [changes[batch] for batch in updates]
    np.testing.assert_allclose(numbers["norm/updates/fc/kernel"].value, made, rtol=1e-5)
    np.testing.assert_allclose(0.5 * numbers["norm/grads/fc/kernel"].value, made, rtol=1e-5)
    assert numbers["nonfinite/grads"].value.tolist() == [0, 0]
    assert numbers["train/learning_rate"].step.tolist() == numbers["train/loss"].step.tolist() == [0, 1, 2]


def test_activations_alone_are_those_of_the_last_batch_of_each_step(skipping_fit):
    data, _ = skipping_fit(0, every=1, log=(), activations="*")
    assert data.histograms["activations/fc"].step.tolist() == [0, 1, 2]


def test_the_first_step_of_an_epoch_is_captured_once(skipping_fit):
    data, _ = skipping_fit(4, histogram_freq=1)
    assert data.histograms["grads/fc/kernel"].step.tolist() == [0]
