"""What counts as compiled already, and what does not."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import multiboard as mb
import multiboard.jax as mbj

X = np.arange(8, dtype=np.float32).reshape(2, 4) / 10
TX = mbj.tap(optax.sgd(0.1))


def train_step(params, x):
    loss, grads = jax.value_and_grad(lambda p: (x * p["k"]).sum() ** 2)(params)
    updates, _ = TX.update(grads, TX.init(params), params)
    return optax.apply_updates(params, updates), {"loss": loss}


def test_a_mapped_step_of_equinox_stays_mapped_when_it_is_measured(run):
    mapped, params = eqx.filter_vmap(train_step), {"k": jnp.ones((2, 4))}
    expected = eqx.filter_jit(mapped)(params, X)
    with run:
        wrapped = mbj.wrap_train_step(mapped, run, every=2, metrics=False)
        for _ in range(2):
            jax.tree.map(np.testing.assert_array_equal, wrapped(params, X), expected)


class Trained(eqx.Module):
    k: jax.Array
    activation: object = jnp.tanh

    def plain(self, x):
        return mbj.tag("product", self.activation(self.k * x)).sum()

    @eqx.filter_jit
    def compiled(self, x):
        return self.plain(x)


@pytest.mark.parametrize("name", ["plain", "compiled"])
def test_a_method_of_a_module_of_equinox_runs_in_both_variants(name, run, written, causes):
    module = Trained(jnp.ones((2, 4)))
    with run:
        wrapped = mbj.wrap_train_step(getattr(module, name), run, every=2, log=["params"])
        assert [float(wrapped(X)) for _ in range(3)] == [float(module.compiled(X))] * 3
    assert written().histograms["activations/product"].step.tolist() == [0, 2]
    assert causes == []


def test_positions_of_a_method_are_those_of_the_call(run):
    class Scaled(eqx.Module):
        k: jax.Array

        def step(self, x, name):
            return self.k.sum() * (2 if name == "double" else 1) + x.sum()

    with run:
        wrapped = mbj.wrap_train_step(Scaled(jnp.ones(3)).step, run, every=2, log=["params"], static_argnums=1)
        assert [float(wrapped(X[0] * 0, name)) for name in ("double", "single", "double")] == [6, 3, 6]


def test_a_compiled_program_is_refused_when_it_is_wrapped(run):
    program = jax.jit(train_step).lower({"k": jnp.ones(4)}, X[0]).compile()
    with run, pytest.raises(mb.ArgumentError, match=r"(?s)train_step.*pass the jitted function"):
        mbj.wrap_train_step(program, run)
