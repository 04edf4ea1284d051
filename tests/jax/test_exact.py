"""Arrays kept element by element are those of the step, in the compared layout, and no others are."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen

import multiboard as mb
import multiboard.jax as mbj
from multiboard import exact_samples
from multiboard.errors import ArgumentError

ALL = ("params", "grads", "updates", "activations")


def kept(data):
    return {tag: column for tag, column in data.tensors.items() if tag.startswith("exact/")}


def test_all_elements_of_every_style_of_step_are_kept(style, train, run, written):
    training = style(mbj.tap(optax.sgd(0.1)))
    with run:
        step = mbj.wrap_train_step(training.step, run, every=1, exact=mb.Exact(steps=[0, 2], kinds=ALL))
        _, params = train(training, step, 4)
    found = kept(written())
    kernel = found["exact/params/dense1/kernel"]
    assert kernel.step.tolist() == [0, 2]
    for at, number in enumerate((0, 2)):
        np.testing.assert_array_equal(kernel.value[at], params[number]["dense1"]["kernel"])
        change = np.asarray(params[number + 1]["dense1"]["kernel"]) - params[number]["dense1"]["kernel"]
        np.testing.assert_allclose(found["exact/updates/dense1/kernel"].value[at], change, atol=1e-6)
        np.testing.assert_allclose(found["exact/grads/dense1/kernel"].value[at] * -0.1, change, atol=1e-6)
    assert len(found) == 4 * 3


def test_donated_arguments_are_kept_as_they_were(plain, train, run, written, causes):
    training = plain(mbj.tap(optax.sgd(0.1)))
    with run:
        step = mbj.wrap_train_step(training.step, run, every=1, exact=mb.Exact(steps=1), donate_argnums=training.donated)
        _, params = train(training, step, 3)
    found = kept(written())["exact/params/dense1/kernel"]
    for at in range(3):
        np.testing.assert_array_equal(found.value[at], params[at]["dense1"]["kernel"])
    assert causes == []


def test_captured_steps_that_keep_nothing_run_in_the_usual_variant(plain, train, run):
    training = plain(mbj.tap(optax.sgd(0.1)))
    step = mbj.wrap_train_step(training.step, run, every=1, exact=True)
    with run:
        train(training, step, 3)
    assert (step._measured[None]._cache_size(), step._keeping[None]._cache_size()) == (1, 1)


def test_of_large_arrays_a_sample_is_kept(plain, train, run, written):
    training = plain(mbj.tap(optax.sgd(0.1)))
    with run:
        _, params = train(training, mbj.wrap_train_step(training.step, run, every=1, exact=mb.Exact(limit=10)), 1)
    column = kept(written())["exact/params/dense1/kernel"]
    expected = params[0]["dense1"]["kernel"].reshape(-1)[exact_samples.sample(35, 10)]
    assert column.value[0].tolist() == expected.tolist()
    assert exact_samples.parse(column.description)[1:] == ((5, 7), False, 10)


def test_outputs_of_layers_are_kept(nnx_training, train, batch_at, run, written):
    training = nnx_training(optax.sgd(0.1))
    with run:
        exact = mb.Exact(kinds=["activations"], layers="dense1")
        _, params = train(training, mbj.wrap_train_step(training.step, run, every=1, activations="*", exact=exact), 1)
    found = kept(written())
    dense = params[0]["dense1"]
    expected = batch_at(0)[0] @ dense["kernel"] + dense["bias"]
    assert list(found) == ["exact/activations/dense1"]
    np.testing.assert_allclose(found["exact/activations/dense1"].value[0], expected, atol=1e-5)


def test_heads_are_merged_as_the_layer_table_says(run, written):
    model = linen.MultiHeadDotProductAttention(num_heads=2, qkv_features=8)
    x = jnp.ones((2, 3, 8))
    params = model.init(jax.random.key(0), x)["params"]
    tx = mbj.tap(optax.sgd(0.1))

    def step(params, opt_state):
        loss, grads = jax.value_and_grad(lambda p: jnp.square(model.apply({"params": p}, x)).mean())(params)
        updates, opt_state = tx.update(grads, opt_state, params)
        return optax.apply_updates(params, updates), opt_state, {"loss": loss}

    with run:
        mbj.wrap_train_step(step, run, every=1, exact=True)(params, tx.init(params))
    found = kept(written())
    query, out = found["exact/params/query/kernel"].value[0], found["exact/params/out/kernel"].value[0]
    np.testing.assert_array_equal(query, params["query"]["kernel"].reshape(8, 8))
    np.testing.assert_array_equal(out, params["out"]["kernel"].reshape(8, 8))
    assert found["exact/params/query/bias"].value[0].shape == (8,)


def test_halves_keep_their_values_and_tell_their_type(run, written):
    tx = mbj.tap(optax.sgd(0.1))

    def step(params, opt_state):
        loss, grads = jax.value_and_grad(lambda p: jnp.square(p["w"]).sum().astype(jnp.float32))(params)
        updates, opt_state = tx.update(grads, opt_state, params)
        return optax.apply_updates(params, updates), opt_state, {"loss": loss}

    params = {"w": jnp.linspace(-1, 1, 12, dtype=jnp.bfloat16).reshape(3, 4)}
    with run:
        mbj.wrap_train_step(step, run, every=1, exact=True)(params, tx.init(params))
    column = kept(written())["exact/params/w"]
    assert exact_samples.parse(column.description).dtype == "bfloat16"
    np.testing.assert_array_equal(column.value[0], params["w"].astype(jnp.float32))


def test_what_was_summed_up_in_a_branch_is_left_out(run, written):
    def step(x):
        taken = jax.lax.cond(x.sum() > 0, lambda y: mbj.tag("activations/branch", y * 2), lambda y: y, x)
        return {"loss": mbj.tag("activations/total", taken).sum()}

    with run:
        mbj.wrap_train_step(step, run, every=1, exact=mb.Exact(kinds=["activations"]))(jnp.ones((3, 4)))
    assert list(kept(written())) == ["exact/activations/total"]
    assert "activations/branch" in written().histograms


def test_a_step_that_is_not_captured_is_refused(plain, run):
    with run, pytest.raises(ArgumentError, match="step 5"):
        mbj.wrap_train_step(plain(optax.sgd(0.1)).step, run, every=10, exact=mb.Exact(steps=[5]))
