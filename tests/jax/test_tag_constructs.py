"""In every construct of JAX a tag counts each value once, changes no bit of the results, and is nothing in the plain program."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from jax.sharding import Mesh
from jax.sharding import PartitionSpec as P

import multiboard as mb
import multiboard.jax as mbj

X = jnp.array([1.0, 2.0, 4.0])
MESH = Mesh(np.array(jax.devices()[:1]), "d")


def grad(function):
    return jax.grad(lambda x: function(x).sum())


def custom_jvp(inner):
    function = jax.custom_jvp(inner)
    function.defjvp(lambda primals, tangents: (function(*primals), tangents[0] * 2))
    return function


def custom_vjp(inner):
    function = jax.custom_vjp(inner)
    function.defvjp(lambda x: (inner(x), None), lambda _, g: (g * 2,))
    return function


def backward_rule(inner):
    function = jax.custom_vjp(lambda x: x * 3)
    function.defvjp(lambda x: (x * 3, x), lambda x, g: (inner(x) * g,))
    return function


def remat(inner, policy=None):
    return jax.checkpoint(lambda x: jnp.sin(inner(x)), policy=policy)


def scan(inner, **options):
    return lambda x: lax.scan(lambda c, row: (c + jnp.sin(inner(row)), None), 0.0, x, **options)[0]


def while_loop(inner):
    def body(carry):
        i, result = carry
        return i + 1, result.at[i].set(inner(result[i]))

    return lambda x: lax.while_loop(lambda carry: carry[0] < 3, body, (0, x))[1]


def once(inner):
    return lambda x: lax.while_loop(lambda carry: carry[1] < 1, lambda carry: (inner(carry[0]), carry[1] + 1), (x, 0))[0]


def cond(inner):
    return lambda x: lax.cond(x.sum() > 0, lambda v: jnp.sin(inner(v)), lambda v: v, x)


def sharded(inner, *, check=True):
    if hasattr(jax, "shard_map"):
        return jax.shard_map(inner, mesh=MESH, in_specs=P("d"), out_specs=P("d"), check_vma=check)
    from jax.experimental.shard_map import shard_map

    return shard_map(inner, mesh=MESH, in_specs=P("d"), out_specs=P("d"), check_rep=check)


CONSTRUCTS = {
    "top level": lambda f: f,
    "jit in jit": lambda f: jax.jit(jax.jit(f)),
    "vmap": jax.vmap,
    "grad": grad,
    "vmap of grad": lambda f: jax.vmap(grad(f)),
    "grad of jit": lambda f: grad(jax.jit(f)),
    "vjp": lambda f: lambda x: jax.vjp(f, x)[1](x)[0],
    "jvp": lambda f: lambda x: jax.jvp(lambda v: jnp.sin(f(v)), (x,), (x,)),
    "linearize": lambda f: lambda x: jax.linearize(lambda v: jnp.sin(f(v)), x)[1](x),
    "hessian": lambda f: jax.hessian(lambda x: jnp.sin(f(x)).sum()),
    "reverse over forward": lambda f: grad(lambda x: jax.jvp(lambda v: jnp.sin(f(v)), (x,), (x,))[1]),
    "remat": remat,
    "grad of remat": lambda f: grad(lambda x: jnp.sin(remat(f)(x))),
    "grad of remat that saves everything": lambda f: grad(remat(f, jax.checkpoint_policies.everything_saveable)),
    "grad of remat that saves products": lambda f: grad(remat(f, jax.checkpoint_policies.dots_saveable)),
    "custom jvp": custom_jvp,
    "grad of custom jvp": lambda f: grad(custom_jvp(f)),
    "custom vjp": custom_vjp,
    "grad of custom vjp": lambda f: grad(custom_vjp(f)),
    "rule of a custom vjp": lambda f: grad(backward_rule(f)),
    "rule of a custom vjp in remat": lambda f: grad(jax.checkpoint(lambda x: jnp.sin(backward_rule(f)(x)))),
    "map": lambda f: lambda x: lax.map(f, x),
    "scan": scan,
    "reverse scan": lambda f: scan(f, reverse=True),
    "unrolled scan": lambda f: scan(f, unroll=2),
    "grad of scan": lambda f: grad(scan(f)),
    "grad of scan of remat": lambda f: grad(scan(remat(f))),
    "grad of remat of scan": lambda f: grad(jax.checkpoint(scan(f))),
    "vmap of scan": lambda f: lambda x: jax.vmap(scan(f))(x[:, None]),
    "fori loop": lambda f: lambda x: lax.fori_loop(0, 3, lambda i, v: v.at[i].set(f(v[i])), x),
    "while loop": while_loop,
    "jvp of while loop": lambda f: lambda x: jax.jvp(once(f), (x,), (x,)),
    "cond": cond,
    "grad of cond": lambda f: grad(cond(f)),
    "vmap of cond": lambda f: lambda x: jax.vmap(cond(f))(x[None]),
    "switch": lambda f: lambda x: lax.switch(2, [jnp.sin, jnp.cos, f], x),
    "branch by platform": lambda f: lambda x: lax.platform_dependent(x, cpu=lambda v: jnp.sin(f(v)), default=jnp.cos),
    "cond in scan": lambda f: lambda x: lax.map(cond(f), x),
    "scan in cond": lambda f: lambda x: lax.cond(x.sum() > 0, scan(f), jnp.sum, x),
    "grad of scan in cond": lambda f: jax.grad(lambda x: lax.cond(x.sum() > 0, scan(f), jnp.sum, x)),
    "while loop in scan in cond": lambda f: lambda x: lax.cond(x.sum() > 0, lambda v: lax.map(once(f), v), jnp.sin, x),
    "shard_map": sharded,
    "grad of shard_map": lambda f: grad(sharded(lambda x: jnp.sin(f(x)))),
    "unchecked shard_map": lambda f: sharded(f, check=False),
    "grad of unchecked shard_map": lambda f: grad(sharded(lambda x: jnp.sin(f(x)), check=False)),
    "scan in shard_map": lambda f: sharded(lambda x: lax.map(f, x)),
    "while loop in shard_map": lambda f: sharded(once(f)),
    "cond in shard_map": lambda f: sharded(cond(f)),
    "remat in shard_map": lambda f: grad(sharded(remat(f))),
    "shard_map in scan": lambda f: lambda x: lax.map(lambda row: sharded(f)(row[None]), x),
}


def all_constructs(x, body):
    return {name: construct(body(name))(x) for name, construct in CONSTRUCTS.items()}


@pytest.fixture(scope="module")
def collected(tmp_path_factory):
    """What one step that has all constructs writes."""
    log_dir = tmp_path_factory.mktemp("constructs")
    with mb.Run(log_dir) as run:
        step = mbj.wrap_train_step(all_constructs, run, metrics=False, static_argnums=1)
        step(X, lambda name: lambda x: mbj.tag(f"in/{name}", x) * 2)
    return mb.read(log_dir)["."].histograms


@pytest.mark.parametrize("name", CONSTRUCTS)
def test_each_value_counts_once(name, collected):
    rows = collected[f"in/{name}"].value[0]
    assert rows[:, [0, 2]].tolist() == [[1.0, 1.0], [2.0, 1.0], [4.0, 1.0]]


def test_no_value_is_collected_under_another_name(collected):
    assert set(collected) == {f"in/{name}" for name in CONSTRUCTS}


def test_no_bit_of_the_results_changes(run, causes):
    jax.config.update("jax_disable_most_optimizations", False)  # as a person compiles

    def step(x):
        return all_constructs(x, lambda name: lambda v: mbj.tag(f"in/{name}", v * 1.7) + 0.3 * v)

    x = jnp.asarray(np.random.default_rng(0).uniform(0.1, 2, 3), jnp.float32)
    expected = jax.jit(step)(x)
    with run:
        result = mbj.wrap_train_step(step, run, metrics=False)(x)
    jax.tree.map(np.testing.assert_array_equal, result, expected)
    assert causes == []


def program(function):
    """Return what is compiled: the jaxpr, and with versions of JAX where tags stay in it the result of the compiler."""
    if hasattr(jax, "make_user_context"):
        return str(jax.make_jaxpr(function)(X))
    return re.sub(r", metadata=\{[^}]*\}|HloModule \S+", "", jax.jit(function).lower(X).compile().as_text())


@pytest.mark.parametrize("name", CONSTRUCTS)
def test_a_tag_is_nothing_in_the_plain_program(name):
    construct = CONSTRUCTS[name]
    tagged = construct(lambda x: mbj.tag("t", x) * 2)
    assert program(tagged) == program(construct(lambda x: x * 2))
