"""Optimizers in the arguments of a step are seen without a tap, once each, and are as before afterwards."""

import contextlib
import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from flax.training.train_state import TrainState

import multiboard.jax as mbj

PARAMS = {"dense": {"kernel": jnp.ones((2, 3)), "bias": jnp.zeros(3)}}
X = jnp.arange(6.0).reshape(3, 2)


def loss_of(params, x):
    return jnp.mean((x @ params["dense"]["kernel"] + params["dense"]["bias"] - 1) ** 2)


def names(*groups):
    return [f"{group}/dense/{role}" for group in groups for role in ("bias", "kernel")]


GROUPS = ("params", "grads", "updates")


def state_step(state, x):
    loss, grads = jax.value_and_grad(loss_of)(state.params, x)
    return state.apply_gradients(grads=grads), loss


def new_state(tx):
    return TrainState.create(apply_fn=None, params=PARAMS, tx=tx)


@pytest.mark.parametrize("tapped", [False, True])
def test_the_optimizer_stays_its_own_and_each_variant_is_traced_once(tapped, run, written):
    traced = []

    def train_step(state, x):
        traced.append(state)
        return state_step(state, x)

    tx = optax.sgd(0.1, 0.9)
    tx = mbj.tap(tx) if tapped else tx
    state, step = new_state(tx), mbj.wrap_train_step(train_step, run, every=2)
    with run:
        for _ in range(4):
            state, _ = step(state, X)
    assert state.tx is tx
    assert len(traced) == 2
    assert list(written().histograms) == names(*GROUPS)


def test_an_nnx_optimizer_stays_its_own(nnx_training, run, written, layers):
    tx = optax.sgd(0.1, 0.9)
    training = nnx_training(tx)
    args = training.start()
    step = mbj.wrap_train_step(training.step, run, every=2)
    with run:
        for _ in range(4):
            step(*args, np.ones((6, 5), np.float32), np.zeros(6, np.int32))
    assert args[1].tx == tx  # older versions of Flax copy the tuple
    assert list(written().histograms) == [f"{group}/{layer}" for group in GROUPS for layer in layers]


def test_losses_and_weights_are_the_same_as_without(style, train, run):
    tx = optax.chain(optax.clip_by_global_norm(0.1), optax.adam(1e-2))
    losses, params = train(style(tx), style(tx).jit(style(tx).step), 6)
    with run, contextlib.nullcontext() if style.__name__ != "plain_style" else pytest.warns(match="cannot be seen"):
        logged_losses, logged_params = train(style(tx), mbj.wrap_train_step(style(tx).step, run, every=3), 6)
    assert logged_losses == losses
    jax.tree.map(np.testing.assert_array_equal, logged_params, params)


def test_a_tap_inside_the_chain_shows_the_gradients_there_and_the_updates_of_the_whole_chain(run, written):
    tx = optax.chain(optax.clip(0.5), mbj.tap(optax.identity(), stage="after clipping"), optax.scale(-2.0))
    step = mbj.wrap_train_step(state_step, run, log=GROUPS)
    grads = jax.grad(loss_of)(PARAMS, X)
    clipped = jax.tree.map(lambda g: jnp.clip(g, -0.5, 0.5), grads)
    with run:
        step(new_state(tx), X)
    data = written()
    assert list(data.histograms) == names(*GROUPS)
    norm = float(jnp.linalg.norm(clipped["dense"]["kernel"]))
    np.testing.assert_allclose(data.scalars["norm/grads/dense/kernel"].value, [norm], rtol=1e-5)
    np.testing.assert_allclose(data.scalars["norm/updates/dense/kernel"].value, [2 * norm], rtol=1e-5)
    assert data.histograms["grads/dense/kernel"].description == "`dense/kernel`, after clipping"


def test_a_tap_that_the_step_makes_itself_is_the_only_one(run, written):
    def train_step(state, x):
        return state_step(state.replace(tx=mbj.tap(state.tx)), x)[1]

    with run:
        mbj.wrap_train_step(train_step, run)(new_state(optax.adam(0.1)), X)
    assert list(written().histograms) == names(*GROUPS)


def test_several_states_are_told_apart_by_the_names_of_their_arguments(run, written):
    def train_step(generator, critics, x):
        (generator, loss), (critic, _) = state_step(generator, x), state_step(critics["first"], x)
        return generator, {"first": critic}, loss

    generator, critic = new_state(optax.inject_hyperparams(optax.sgd)(0.5)), new_state(optax.inject_hyperparams(optax.sgd)(0.25))
    with run:
        mbj.wrap_train_step(train_step, run)(generator, {"first": critic}, x=X)
    expected = {f"{g}/{who}/dense/{r}" for g in GROUPS for who in ("generator", "critics/first") for r in ("bias", "kernel")}
    assert set(written().histograms) == expected
    assert written().scalars["train/learning_rate/generator"].value.tolist() == [0.5]
    assert written().scalars["train/learning_rate/critics/first"].value.tolist() == [0.25]


def test_several_nnx_optimizers_are_told_apart_by_the_names_of_their_arguments(update_nnx, run, written):
    def train_step(student, teacher, fast, slow, x):
        for model, optimizer in ((student, fast), (teacher, slow)):
            loss, grads = nnx.value_and_grad(lambda model: jnp.mean(model(x) ** 2))(model)
            update_nnx(optimizer, model, grads)
        return loss

    models = [nnx.Linear(2, 3, rngs=nnx.Rngs(i)) for i in range(2)]
    optimizers = [nnx.Optimizer(model, optax.sgd(0.1), wrt=nnx.Param) for model in models]
    with run:
        mbj.wrap_train_step(train_step, run)(*models, *optimizers, X)
    expected = {f"{g}/{who}/{r}" for g in GROUPS for who in ("fast", "slow") for r in ("bias", "kernel")}
    assert set(written().histograms) == expected


def test_parameters_that_no_optimizer_updates_are_written_too(update_nnx, run, written):
    class Tuned(nnx.Module):
        def __init__(self, rngs):
            self.frozen = nnx.Linear(2, 2, rngs=rngs)
            self.head = nnx.Linear(2, 3, rngs=rngs)

        def __call__(self, x):
            return self.head(self.frozen(x))

    chosen = nnx.All(nnx.Param, nnx.PathContains("head"))

    def train_step(model, optimizer, x):
        loss, grads = nnx.value_and_grad(lambda m: jnp.mean(m(x) ** 2), argnums=nnx.DiffState(0, chosen))(model)
        update_nnx(optimizer, model, grads)
        return loss

    model = Tuned(nnx.Rngs(0))
    with run:
        mbj.wrap_train_step(train_step, run)(model, nnx.Optimizer(model, optax.sgd(0.1), wrt=chosen), X)
    roles = ("bias", "kernel")
    params = {f"params/{layer}/{role}" for layer in ("frozen", "head") for role in roles}
    assert set(written().histograms) == params | {f"{group}/head/{role}" for group in ("grads", "updates") for role in roles}


@functools.partial(jax.tree_util.register_dataclass, data_fields=["params", "opt_state"], meta_fields=["tx"])
@dataclasses.dataclass(frozen=True)
class OwnState:
    params: dict
    opt_state: tuple
    tx: optax.GradientTransformation


def test_a_state_of_ones_own_is_seen_if_it_has_tx(run, written):
    def train_step(state, x):
        loss, grads = jax.value_and_grad(loss_of)(state.params, x)
        updates, opt_state = state.tx.update(grads, state.opt_state, state.params)
        return dataclasses.replace(state, params=optax.apply_updates(state.params, updates), opt_state=opt_state), loss

    tx = optax.adam(0.1)
    state = OwnState(PARAMS, tx.init(PARAMS), tx)
    step = mbj.wrap_train_step(train_step, run)
    with run:
        for _ in range(2):
            state, _ = step(state, X)
    assert state.tx is tx
    assert list(written().histograms) == names(*GROUPS)


@pytest.mark.parametrize("by", [{"static_argnums": 0}, {"static_argnames": "tx"}])
def test_an_optimizer_that_is_a_static_argument_is_seen(by, run, written, causes):
    def train_step(tx, params, opt_state, x):
        loss, grads = jax.value_and_grad(loss_of)(params, x)
        updates, opt_state = tx.update(grads, opt_state, params)
        return optax.apply_updates(params, updates), opt_state, loss

    tx = optax.sgd(0.1)
    with run:
        mbj.wrap_train_step(train_step, run, **by)(tx, PARAMS, tx.init(PARAMS), X)
    assert list(written().histograms) == names(*GROUPS)
    assert causes == []
