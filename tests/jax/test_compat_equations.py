"""Equations of JAX are read by names and parameters that differ between versions; all forms of them are understood."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from jax.sharding import Mesh
from jax.sharding import PartitionSpec as P

import multiboard.jax as mbj
from multiboard_jax import _compat

X = jnp.arange(3.0)


@jax.custom_vjp
def own_vjp(x):
    return jnp.sin(x)


own_vjp.defvjp(lambda x: (own_vjp(x), x), lambda x, g: (g * jnp.cos(x),))


@jax.custom_jvp
def own_jvp(x):
    return jnp.sin(x)


own_jvp.defjvp(lambda xs, ts: (own_jvp(*xs), ts[0]))
CALLED = {"jit": jax.jit(jnp.sin), "custom_vjp": own_vjp, "custom_jvp": own_jvp, "checkpoint": jax.checkpoint(jnp.sin)}


def equation(function, *args, name=None):
    closed = jax.make_jaxpr(function)(*args)
    eqn = next(eqn for eqn in closed.jaxpr.eqns if name in {None, eqn.primitive.name})
    return closed.jaxpr, eqn


@pytest.mark.parametrize("kind", CALLED)
def test_calls_are_known_by_the_names_and_parameters_that_they_have_in_this_version(kind):
    _, eqn = equation(CALLED[kind], X)
    assert eqn.primitive.name in _compat.CALLS | _compat.REMATS
    body, consts = _compat.body_of(eqn)
    assert [inner.primitive.name for inner in body.eqns] == ["sin"]
    assert list(consts) == []
    assert next(_compat.bodies_of(eqn)) is body


def test_a_call_whose_name_is_not_known_runs_as_it_is_and_the_tags_in_it_are_told_by_name(run, written):
    @jax.custom_batching.custom_vmap
    def unknown(x):
        return mbj.tag("hidden", x + 1)

    unknown.def_vmap(lambda _, batched, x: (unknown(x), batched[0]))
    _, eqn = equation(unknown, X)
    assert eqn.primitive.name not in _compat.CALLS
    step = mbj.wrap_train_step(lambda x: mbj.tag("out", unknown(x).sum()), run, every=1)
    with run, pytest.warns(UserWarning, match=f"'activations/hidden' is inside '{eqn.primitive.name}'"):
        assert float(step(X)) == 6.0
    assert written().scalars["activations/out"].value.tolist() == [6.0]


@pytest.mark.parametrize("param", ["jaxpr", "call_jaxpr", "fun_jaxpr"])
def test_a_body_is_found_under_every_name_that_a_version_gives_it(param):
    closed = jax.make_jaxpr(jnp.sin)(X)
    assert _compat.body_of(SimpleNamespace(params={param: closed})) == (closed.jaxpr, closed.consts)
    assert _compat.body_of(SimpleNamespace(params={param: closed.jaxpr})) == (closed.jaxpr, ())


CONSTRUCTS = {
    "scan": (lambda x: lax.scan(lambda c, r: (c + r, r), 0.0, x), "jaxpr length num_carry num_consts reverse unroll"),
    "while": (
        lambda x: lax.while_loop(lambda c: c.sum() < 9, lambda c: c + 1, x),
        "body_jaxpr body_nconsts cond_jaxpr cond_nconsts",
    ),
    "cond": (lambda x: lax.cond(x.sum() > 1, jnp.sin, jnp.cos, x), "branches"),
}


@pytest.mark.parametrize("name", CONSTRUCTS)
def test_loops_and_branches_have_the_parameters_that_are_read(name):
    function, params = CONSTRUCTS[name]
    assert equation(function, X, name=name)[1].params.keys() >= set(params.split())


def test_an_equation_runs_as_a_program_of_its_own():
    jaxpr, eqn = equation(lambda x: lax.mul(x, 2.0), X[0])
    assert [float(value) for value in _compat.run_equation(jaxpr, eqn, [3.0, 2.0])] == [6.0]


def test_a_branch_by_platform_is_run_again_as_one():
    closed = jax.make_jaxpr(lambda x: lax.platform_dependent(x, cpu=jnp.sin, default=jnp.cos))(X)
    switch = next(eqn for eqn in closed.jaxpr.eqns if eqn.primitive.name == "cond")
    found = jax.jit(lambda x: _compat.switch_again(switch, [jnp.sin, jnp.cos], [jnp.int32(0), x]))(X)
    np.testing.assert_array_equal(found, jnp.sin(X))


def test_the_specs_and_axes_of_a_shard_map_are_read_in_this_version_and_in_the_form_of_others():
    mesh = Mesh(np.array(jax.devices()[:1]).reshape(1, 1), ("a", "b"))
    function = _compat.shard_map(lambda x, y: x + y[:, 0], mesh, (P(), P(("a", "b"), None)), P("b"))
    _, eqn = equation(function, X, jnp.ones((3, 2)), name="shard_map")
    assert [set(map(tuple_of, spec)) for spec in _compat.specs_of(eqn)[1]] == [{("b",)}]
    assert _compat.axes_of_shards(eqn) == ("a", "b")
    older = {"in_names": ({}, {0: ("a", "b")}, {1: ("b",)}), "out_names": ({0: ("b",)},), "mesh": mesh, "auto": frozenset("a")}
    assert _compat.specs_of(SimpleNamespace(params=older)) == ((P(), P(("a", "b")), P(None, ("b",))), (P(("b",)),))
    assert _compat.axes_of_shards(SimpleNamespace(params=older)) == ("b",)
    newer = {"in_specs": (P(), P("a")), "out_specs": (P("b"),), "manual_axes": frozenset("b")}
    assert _compat.specs_of(SimpleNamespace(params=newer)) == ((P(), P("a")), (P("b"),))
    assert _compat.axes_of_shards(SimpleNamespace(params=newer)) == ("b",)


def tuple_of(part):
    return part if isinstance(part, tuple) else (part,)


def test_shardings_that_a_jit_asks_for_are_kept():
    sharding = jax.sharding.NamedSharding(Mesh(np.array(jax.devices()[:1]), "d"), P("d"))
    _, eqn = equation(jax.jit(jnp.sin, out_shardings=sharding), X)
    assert eqn.params.keys() >= {"in_shardings", "out_shardings"}
    asked = jax.make_jaxpr(lambda x: _compat.with_shardings([x], eqn, "out_shardings"))(X)
    assert asked.jaxpr.eqns[0].params["sharding"] == sharding
    assert _compat.with_shardings([X], equation(jax.jit(jnp.sin), X)[1], "out_shardings")[0] is X
