"""Ways to write a training step that the fixtures do not have: modules as pytrees, functional NNX, keywords, methods."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

import multiboard as mb
import multiboard.jax as mbj

X = jnp.linspace(-1, 1, 12).reshape(4, 3)
GROUPS = ("params", "grads", "updates")


def names(layers):
    return [f"{group}/{layer}" for group in GROUPS for layer in layers]


@functools.partial(jax.tree_util.register_dataclass, data_fields=["weight", "bias"], meta_fields=[])
@dataclasses.dataclass(frozen=True)
class LayerNorm:
    weight: jax.Array
    bias: jax.Array

    def __call__(self, x):
        return (x - x.mean()) * self.weight + self.bias


@functools.partial(jax.tree_util.register_dataclass, data_fields=["weight"], meta_fields=["activation"])
@dataclasses.dataclass(frozen=True)
class Linear:
    weight: jax.Array
    activation: object

    def __call__(self, x):
        return self.activation(x @ self.weight)


@functools.partial(jax.tree_util.register_dataclass, data_fields=["layers", "norm"], meta_fields=[])
@dataclasses.dataclass(frozen=True)
class Model:
    layers: list
    norm: LayerNorm

    def __call__(self, x):
        for layer in self.layers:
            x = layer(x)
        return self.norm(x)


def new_model():
    kernels = jax.random.normal(jax.random.key(0), (2, 3, 3))
    return Model([Linear(kernel, jnp.tanh) for kernel in kernels], LayerNorm(jnp.ones(3), jnp.zeros(3)))


def module_step(tx):
    def train_step(model, opt_state, x):
        loss, grads = jax.value_and_grad(lambda model: jnp.mean(model(x) ** 2))(model)
        updates, opt_state = tx.update(grads, opt_state, model)
        return optax.apply_updates(model, updates), opt_state, {"loss": loss}

    return train_step


def trained(step, model, tx, steps=4):
    state = model, tx.init(model)
    for _ in range(steps):
        state = step(*state, X)[:2]
    return state


def test_modules_that_are_pytrees_train_the_same_and_have_the_roles_of_their_classes(run, written):
    tx = optax.adam(1e-2)
    expected = trained(jax.jit(module_step(tx)), new_model(), tx)
    with run:
        step = mbj.wrap_train_step(module_step(mbj.tap(tx)), run, every=2, donate_argnums=(0, 1))
        jax.tree.map(np.testing.assert_array_equal, trained(step, new_model(), tx), expected)
    assert list(written().histograms) == names(["layers/0/kernel", "layers/1/kernel", "norm/scale", "norm/bias"])
    assert written().histograms["params/norm/scale"].description == "`norm/weight` of LayerNorm"


def test_a_model_of_nnx_as_split_state_is_trained_the_same(run, written):
    tx = mbj.tap(optax.sgd(0.1))
    graph, params = nnx.split(nnx.Linear(3, 2, rngs=nnx.Rngs(0)))

    def train_step(params, opt_state, x):
        loss, grads = jax.value_and_grad(lambda params: jnp.mean(nnx.merge(graph, params)(x) ** 2))(params)
        updates, opt_state = tx.update(grads, opt_state, params)
        return optax.apply_updates(params, updates), opt_state, loss

    expected = trained(jax.jit(train_step), params, tx)
    with run:
        state = trained(mbj.wrap_train_step(train_step, run), params, tx)
    jax.tree.map(np.testing.assert_array_equal, state, expected)
    assert list(written().histograms) == names(["bias", "kernel"])


def test_a_nnx_training_with_random_numbers_is_the_same_and_goes_on_with_the_same_numbers(update_nnx, run):
    class Network(nnx.Module):
        def __init__(self, rngs):
            self.dense = nnx.Linear(3, 3, rngs=rngs)
            self.drop = nnx.Dropout(0.5, rngs=rngs)

        def __call__(self, x):
            return self.drop(self.dense(x))

    def train_step(model, optimizer, rngs, x):
        noise = jax.random.normal(rngs.noise(), x.shape)
        loss, grads = nnx.value_and_grad(lambda model: jnp.mean(model(x + noise) ** 2))(model)
        update_nnx(optimizer, model, grads)
        return loss

    def losses(step):
        model, rngs = Network(nnx.Rngs(0)), nnx.Rngs(noise=1)
        optimizer = nnx.Optimizer(model, optax.adam(0.1), wrt=nnx.Param)
        return [float(step(model, optimizer, rngs, X)) for _ in range(5)]

    expected = losses(nnx.jit(train_step))
    with run:
        assert losses(mbj.wrap_train_step(train_step, run, every=2)) == expected
    assert len(set(expected)) == 5


def test_a_nnx_step_inside_one_object_is_measured(update_nnx, run, written):
    class Trainer(nnx.Module):
        def __init__(self):
            self.model = nnx.Linear(3, 2, rngs=nnx.Rngs(0))
            self.optimizer = nnx.Optimizer(self.model, optax.sgd(0.1), wrt=nnx.Param)

    def train_step(trainer, x):
        loss, grads = nnx.value_and_grad(lambda model: jnp.mean(model(x) ** 2))(trainer.model)
        update_nnx(trainer.optimizer, trainer.model, grads)
        return loss

    with run:
        mbj.wrap_train_step(train_step, run)(Trainer(), X)
    assert [tag for tag in written().histograms if tag.startswith("grads/")] == ["grads/bias", "grads/kernel"]


@pytest.mark.parametrize("make", [lambda f: f, lambda f: jax.jit(f, static_argnames="mode", donate_argnames="params")])
def test_arguments_can_be_given_and_be_static_and_donated_by_name(make, run, written, causes):
    def train_step(params, *, mode, batch):
        assert isinstance(mode, str)
        return mbj.tag("x/params", params) * batch, {"loss": batch.sum() if mode == "sum" else batch.mean()}

    step = mbj.wrap_train_step(make(train_step), run, every=2, static_argnames="mode", donate_argnames=("params",), log=())
    with run:
        params, losses = jnp.ones(3), []
        for mode in ("sum", "mean", "mean"):
            old = params
            params, metrics = step(params=params, batch=jnp.full(3, 2.0), mode=mode)
            losses.append(float(metrics["loss"]))
            assert old.is_deleted()
    assert losses == [6, 2, 2]
    assert written().histograms["x/params"].step.tolist() == [0, 2]
    assert causes == []


def test_an_argument_that_is_static_by_name_may_be_given_by_position(run, causes):
    def train_step(x, mode):
        assert isinstance(mode, str)
        return mbj.tag("x/y", x).sum()

    step = mbj.wrap_train_step(train_step, run, every=2, static_argnames=["mode"])
    with run:
        assert [float(step(jnp.ones(3), "sum")) for _ in range(2)] == [3.0, 3.0]
    assert causes == []


def test_a_method_can_be_wrapped_in_its_class(run, written):
    class Trainer:
        rate = 0.5

        def step(self, x):
            return mbj.tag("x/y", x * self.rate).sum()

    with run:
        Trainer.step = mbj.wrap_train_step(Trainer.step, run, static_argnums=0)
        trainer = Trainer()
        assert float(trainer.step(jnp.ones(4))) == 2
        with pytest.raises(mb.ArgumentError, match="wrapped already"):
            mbj.wrap_train_step(trainer.step, run)
    assert written().histograms["x/y"].value[0][:, 0].tolist() == [0.5]
