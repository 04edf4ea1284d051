"""What is written is what the step computed: tags, steps, distributions, norms."""

import jax
import numpy as np
import optax

import multiboard.jax as mbj
from multiboard.buckets import measure


def with_gradients(training, tx):
    """Return a plain step that gives its gradients and updates out, so that the test has the framework's own values."""

    def step(params, opt_state, grads, updates, x, y):
        del grads, updates
        _, _, metrics = training.step(params, opt_state, x, y)
        grads = jax.grad(lambda p: training.step(p, opt_state, x, y)[2]["loss"])(params)
        updates, opt_state = tx.update(grads, opt_state, params)
        return optax.apply_updates(params, updates), opt_state, grads, updates, metrics

    return step


def test_histograms_norms_and_ratios_are_those_of_gradients_updates_and_the_parameters_before_the_update(
    plain, batch_at, run, written, layers
):
    tx = mbj.tap(optax.chain(optax.clip_by_global_norm(1e-3), optax.sgd(0.5)))
    training = plain(optax.sgd(0.5))
    step = mbj.wrap_train_step(with_gradients(training, tx), run, every=2)
    params = training.start()[0]
    args, seen = (params, tx.init(params), params, params), {}
    with run:
        for i in range(5):
            before = jax.tree.map(np.array, args[0])
            args = step(*args, *batch_at(i))[:4]
            grads, updates = (jax.tree.map(np.array, tree) for tree in args[2:])
            seen[i] = {"params": before, "grads": grads, "updates": updates}
    data = written()
    assert list(data.histograms) == [f"{group}/{layer}" for group in ("params", "grads", "updates") for layer in layers]
    for tag, column in data.histograms.items():
        group, layer, role = tag.split("/")
        assert column.step.tolist() == [0, 2, 4]
        for n, rows in zip(column.step, column.value, strict=True):
            array = seen[n][group][layer][role]
            np.testing.assert_array_equal(rows, measure(array).rows())
        norms = [np.linalg.norm(seen[n][group][layer][role]) for n in column.step]
        np.testing.assert_allclose(data.scalars[f"norm/{tag}"].value, norms, rtol=1e-5)
    norms = [data.scalars[f"norm/{group}/dense1/kernel"].value for group in ("updates", "params")]
    np.testing.assert_allclose(data.scalars["update_ratio/dense1/kernel"].value, norms[0] / norms[1], rtol=1e-6)


def test_every_style_writes_the_same_tags_at_the_same_steps(style, train, run, written, layers):
    training = style(mbj.tap(optax.sgd(0.1, 0.9)))
    with run:
        losses, _ = train(training, mbj.wrap_train_step(training.step, run, every=3), 5)
    data = written()
    assert list(data.histograms) == [f"{group}/{layer}" for group in ("params", "grads", "updates") for layer in layers]
    assert all(column.step.tolist() == [0, 3] for column in data.histograms.values())
    assert data.scalars["train/loss"].step.tolist() == [0, 1, 2, 3, 4]
    assert data.scalars["train/loss"].value.tolist() == losses
    assert data.histograms["params/dense1/kernel"].description == "`dense1/kernel`"
    assert data.histograms["grads/dense1/kernel"].description == "`dense1/kernel`, as the optimizer gets it"
    assert data.histograms["updates/dense1/kernel"].description == "`dense1/kernel`, as the tapped optimizer returns it"


def test_a_resumed_training_goes_on_counting(run, written):
    step = mbj.wrap_train_step(lambda x: mbj.tag("x", x).sum(), run, every=3, start_step=7)
    with run:
        for _ in range(3):
            step(np.ones(3))
    assert step.step == 10
    assert written().scalars["train/loss"].step.tolist() == [7, 8, 9]
    assert written().histograms["activations/x"].step.tolist() == [9]
