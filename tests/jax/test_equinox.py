"""Steps of equinox, plain and compiled by its own `filter_jit`, train the same and are measured."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import multiboard as mb
import multiboard.jax as mbj

X = jnp.linspace(-1, 1, 12).reshape(4, 3)


def new_model():
    keys = jax.random.split(jax.random.key(0), 2)
    layers = [eqx.nn.Linear(3, 4, key=keys[0]), eqx.nn.Lambda(jax.nn.relu), eqx.nn.LayerNorm(4)]
    return eqx.nn.Sequential([*layers, eqx.nn.MLP(4, 2, 8, 1, key=keys[1])])


NAMES = [
    "layers/0/kernel",
    "layers/0/bias",
    "layers/2/scale",
    "layers/2/bias",
    *(f"layers/3/layers/{i}/{role}" for i in range(2) for role in ("kernel", "bias")),
]


def step_of(tx):
    def train_step(model, opt_state, x):
        loss, grads = eqx.filter_value_and_grad(lambda model: jnp.mean(jax.vmap(model)(x) ** 2))(model)
        updates, opt_state = tx.update(grads, opt_state, eqx.filter(model, eqx.is_inexact_array))
        return eqx.apply_updates(model, updates), opt_state, {"loss": loss}

    return train_step


def trained(step, tx, steps=4):
    model = new_model()
    state, losses = (model, tx.init(eqx.filter(model, eqx.is_inexact_array))), []
    for _ in range(steps):
        *state, metrics = step(*state, X)
        losses.append(float(metrics["loss"]))
    return [leaf for leaf in jax.tree.leaves(state) if eqx.is_array(leaf)], losses


WAYS = {"plain": lambda f: f, "filter_jit": eqx.filter_jit, "donated": lambda f: eqx.filter_jit(f, donate="all")}


@pytest.mark.parametrize("way", WAYS)
def test_weights_and_losses_are_the_same_and_everything_is_seen(way, run, written, causes):
    tx = optax.adam(1e-2)
    arrays, losses = trained(eqx.filter_jit(step_of(tx)), tx)
    with run:
        step = mbj.wrap_train_step(WAYS[way](step_of(mbj.tap(tx))), run, every=2)
        logged_arrays, logged_losses = trained(step, tx)
    assert logged_losses == losses
    jax.tree.map(np.testing.assert_array_equal, logged_arrays, arrays)
    assert list(written().histograms) == [f"{group}/{name}" for group in ("params", "grads", "updates") for name in NAMES]
    assert written().histograms["params/layers/2/scale"].description == "`layers/2/weight` of LayerNorm"
    assert causes == []


def test_without_a_tap_the_parameters_are_written(run, written):
    tx = optax.adam(1e-2)
    with pytest.warns(mb.MultiboardWarning, match="gradients cannot be seen"), run:
        trained(mbj.wrap_train_step(step_of(tx), run), tx, steps=1)
    assert list(written().histograms) == [f"params/{name}" for name in NAMES]


def test_an_optimizer_that_is_an_argument_is_seen(run, written):
    tx = optax.adam(1e-2)

    @eqx.filter_jit
    def train_step(tx, model, opt_state, x):
        return step_of(tx)(model, opt_state, x)

    step = mbj.wrap_train_step(train_step, run)
    with run:
        trained(lambda *args: step(tx, *args), tx, steps=2)
    assert [tag for tag in written().histograms if tag.startswith("grads/")] == [f"grads/{name}" for name in NAMES]


def test_an_option_that_its_jit_does_not_have_is_refused(run):
    step = mbj.wrap_train_step(step_of(optax.sgd(0.1)), run, donate_argnums=0)
    with run, pytest.raises(mb.ArgumentError, match=r"argument 'donate_argnums' got .*equinox\.filter_jit"):
        trained(step, optax.sgd(0.1))


def test_activations_of_chosen_layers_are_written(run, written, causes):
    tx = optax.adam(1e-2)
    with run:
        trained(mbj.wrap_train_step(step_of(mbj.tap(tx)), run, activations=["layers.0", "layers.3.*"]), tx, steps=1)
    found = [tag for tag in written().histograms if tag.startswith("activations/")]
    assert found[0] == "activations/layers/0"
    assert len(found) > 1
    assert causes == []
