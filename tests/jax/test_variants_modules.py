"""Steps that need equal modules to have equal structures run in both variants, and change everything that NNX would change."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

import multiboard.jax as mbj
from multiboard_jax.options import check_options
from multiboard_jax.variants import variants

X = np.ones((3, 4), np.float32)


class Block(nnx.Module):
    def __init__(self, rngs):
        self.dense = nnx.Linear(4, 4, rngs=rngs)

    def __call__(self, x):
        return jnp.tanh(self.dense(x))


class Model(nnx.Module):
    def __init__(self):
        rngs = nnx.Rngs(0)
        self.model, self.average = Block(rngs), Block(rngs)

    def __call__(self, x):
        return self.model(x)


def loss_of(model, x):
    return jnp.square(model(x)).mean()


def stacked_layers(model, x):
    both = jax.tree.map(lambda *arrays: jnp.stack(arrays), model.model, model.average)
    return jax.lax.scan(lambda h, block: (block(h), None), x, both)[0].mean()


def average_of_weights(model, x):
    loss = loss_of(model, x)
    average = jax.tree.map(lambda a, b: 0.9 * a + 0.1 * b, model.average, model.model)
    nnx.update(model.average, nnx.state(average))
    return loss


def one_of_two_modules(model, x):
    return jax.lax.cond(x.sum() > 0, lambda: model.model, lambda: model.average)(x).sum()


def equal_graphs(model, x):
    assert nnx.graphdef(model.model) == nnx.graphdef(model.average)
    return loss_of(model, x)


def all_attributes(model, x):
    for name, layer in vars(model).items():
        if not name.startswith(("_pytree", "_object")):
            x = layer(x)
    return x.mean()


STEPS = [equal_graphs, all_attributes, average_of_weights, stacked_layers, one_of_two_modules]
if not hasattr(nnx, "Pytree"):  # modules are no trees in older versions
    STEPS = [equal_graphs, all_attributes]


def weights(model):
    return jax.tree.map(np.asarray, nnx.to_pure_dict(nnx.state(model)))


@pytest.mark.parametrize("activations", [None, ["*"]], ids=["no activations", "activations"])
@pytest.mark.parametrize("step", STEPS)
def test_the_structure_of_modules_is_the_one_that_the_step_expects(step, activations, run, written):
    untouched, model = Model(), Model()
    jitted = nnx.jit(step)
    expected = [float(jitted(untouched, X)) for _ in range(3)]
    with run:
        wrapped = mbj.wrap_train_step(step, run, every=2, activations=activations)
        assert [float(wrapped(model, X)) for _ in range(3)] == expected
    jax.tree.map(np.testing.assert_array_equal, weights(model), weights(untouched))
    assert vars(model).keys() == vars(untouched).keys()
    assert written().histograms["params/model/dense/kernel"].step.tolist() == [0, 2]
    assert "multiboard/errors" not in written().scalars


def test_layers_that_can_be_told_apart_are_seen_where_modules_cannot_be_marked(run, written, causes):
    def step(model, x):
        assert nnx.graphdef(model.model) == nnx.graphdef(model.average)
        return nnx.value_and_grad(loss_of)(model, x)[0] + nnx.remat(loss_of)(model.average, x)

    with run:
        mbj.wrap_train_step(step, run, activations=["*"])(Model(), X)
    assert {tag for tag in written().histograms if tag.startswith("activations/")} == {
        "activations/model",
        "activations/model/dense",
    }
    assert "a layer of class Block was called that is not found" in dict(causes)["activations/Block"]


def random_numbers(rngs, _):
    return jax.random.normal(rngs.dropout(), ())


def one_variable(variable, x):
    variable.value = variable.value + x.sum()
    return variable.value.sum()


def many_metrics(metrics, x):
    metrics.update(values=x.sum())
    return metrics.compute()["average"]


def variables_in_a_tree(tree, x):
    return one_variable(tree["a"][0], x)


HELD = {
    "Rngs": (random_numbers, lambda: nnx.Rngs(dropout=0)),
    "variable": (one_variable, lambda: nnx.Variable(jnp.zeros(3))),
    "metric": (many_metrics, lambda: nnx.MultiMetric(average=nnx.metrics.Average())),
    "tree": (variables_in_a_tree, lambda: {"a": [nnx.Param(jnp.zeros(3))]}),
}


@pytest.mark.filterwarnings("ignore:'.value'")
@pytest.mark.parametrize("name", HELD)
def test_what_nnx_changes_outside_of_modules_is_changed(name, run):
    step, make = HELD[name]
    jitted, state = nnx.jit(step), make()
    expected = [float(jitted(state, i * X)) for i in range(4)]
    with run:
        wrapped, state = mbj.wrap_train_step(step, run, every=2, log=()), make()
        assert [float(wrapped(state, i * X)) for i in range(4)] == expected


def test_a_step_that_takes_a_state_is_compiled_by_jax():
    graph, state = nnx.split(Block(nnx.Rngs(0)))
    options = check_options(["params"], histograms=True, norms=True, activations=None)
    plain = variants(lambda state, x: loss_of(nnx.merge(graph, state), x), ((state, X), {}), {}, options).plain
    assert type(plain) is type(jax.jit(lambda: None))


class Trained(nnx.Module):
    def __init__(self):
        self.block = Block(nnx.Rngs(0))
        self.optimizer = None

    def plain(self, x):
        loss, grads = nnx.value_and_grad(loss_of)(self.block, x)
        params = nnx.state(self.block, nnx.Param)
        nnx.update(self.block, optax.apply_updates(params, jax.tree.map(lambda g: -g, grads)))
        return loss

    @nnx.jit
    def compiled(self, x):
        return self.plain(x)


@pytest.mark.parametrize("name", ["plain", "compiled"])
def test_a_method_of_a_module_changes_the_module(name, run, written):
    untouched, model = Trained(), Trained()
    expected = [float(untouched.compiled(X)) for _ in range(4)]
    with run:
        wrapped = mbj.wrap_train_step(getattr(model, name), run, every=2, log=["params"])
        assert [float(wrapped(X)) for _ in range(4)] == expected
    jax.tree.map(np.testing.assert_array_equal, weights(model), weights(untouched))
    assert written().histograms["params/block/dense/kernel"].step.tolist() == [0, 2]
