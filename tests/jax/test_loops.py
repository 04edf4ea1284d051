"""Tags inside calls, transformations and loops are collected: every value once."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import multiboard as mb
import multiboard.jax as mbj

X = jnp.array([1.0, 2.0, 4.0])


def custom_jvp(double):
    function = jax.custom_jvp(double)
    function.defjvp(lambda primals, tangents: (function(*primals), tangents[0] * 2))
    return function


def custom_vjp(double):
    function = jax.custom_vjp(double)
    function.defvjp(lambda x: (double(x), None), lambda _, g: (g * 2,))
    return function


def grad(function):
    return jax.grad(lambda x: function(x).sum())


def rematerialised(double):
    return jax.checkpoint(lambda x: jnp.sin(double(x)))


BODIES = {
    "top level": lambda double: double,
    "jit in jit": lambda double: jax.jit(jax.jit(double)),
    "vmap": jax.vmap,
    "grad": grad,
    "vmap of grad": lambda double: jax.vmap(grad(double)),
    "grad of jit": lambda double: grad(jax.jit(double)),
    "grad of vmap": lambda double: grad(jax.vmap(double)),
    "remat": rematerialised,
    "grad of remat": lambda double: grad(lambda x: jnp.sin(rematerialised(double)(x))),
    "custom jvp": custom_jvp,
    "grad of custom jvp": lambda double: grad(custom_jvp(double)),
    "custom vjp": custom_vjp,
    "grad of custom vjp": lambda double: grad(custom_vjp(double)),
    "scan": lambda double: lambda x: jax.lax.scan(lambda c, row: (c + double(row), row), 0.0, x)[0],
    "reverse scan": lambda double: lambda x: jax.lax.scan(lambda c, row: (c, double(row)), 0.0, x, reverse=True)[1],
    "map": lambda double: lambda x: jax.lax.map(double, x),
    "grad of scan": lambda double: grad(lambda x: jax.lax.scan(lambda c, row: (c + double(row), None), 0.0, x)[0]),
    "grad of scan of remat": lambda double: grad(
        lambda x: jax.lax.scan(lambda c, row: (c + rematerialised(double)(row), None), 0.0, x)[0]
    ),
    "linear transpose": lambda double: lambda x: jax.linear_transpose(lambda v: v * 3, x)(double(x))[0],
    "jit in scan in jit": lambda double: jax.jit(lambda x: jax.lax.map(jax.jit(double), x)),
}


def doubling(name):
    return lambda x: mbj.tag(f"body/{name}", x) * 2


def all_bodies(x):
    return {name: body(doubling(name))(x) for name, body in BODIES.items()}


@pytest.fixture(scope="module")
def collected(tmp_path_factory):
    """What one step that has all bodies writes, and what it returns."""
    log_dir = tmp_path_factory.mktemp("bodies")
    with mb.Run(log_dir) as run:
        result = mbj.wrap_train_step(all_bodies, run, metrics=False)(X)
    return mb.read(log_dir)["."].histograms, result


@pytest.mark.parametrize("name", BODIES)
def test_a_tag_counts_each_value_once(name, collected):
    rows = collected[0][f"body/{name}"].value[0]
    assert rows[:, [0, 2]].tolist() == [[1.0, 1.0], [2.0, 1.0], [4.0, 1.0]]


def test_no_value_is_collected_under_another_name(collected):
    assert list(collected[0]) == [f"body/{name}" for name in BODIES]


def test_the_results_are_those_of_the_plain_program(collected):
    jax.tree.map(np.testing.assert_array_equal, collected[1], jax.jit(all_bodies)(X))
