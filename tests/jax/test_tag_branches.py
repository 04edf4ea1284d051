"""Loops, branches and scalars: what is summed up where it is, and what leaves nothing because it did not happen."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import multiboard.jax as mbj
from multiboard.buckets import measure
from multiboard_jax._compat import bodies_of
from multiboard_jax.collected import is_scalar, rows
from multiboard_jax.harvest import harvest

X = jnp.array([1.0, 2.0, 4.0])


def test_a_branch_counts_at_the_steps_at_which_it_is_taken(run, written, causes):
    def train_step(x, take):
        def taken(v):
            mbj.log_inside("inside", v.sum() + 0.0)
            return mbj.tag("taken", v) * mbj.log_inside("total", v.sum())

        return lax.cond(take, taken, lambda v: v, x).sum() + mbj.tag("always", x)[0]

    step = mbj.wrap_train_step(train_step, run, every=2, metrics=False)
    with run:
        for i, take in enumerate([True, False, False, True, True]):
            step(X + i, take)
    data = written()
    assert data.histograms["activations/taken"].step.tolist() == [0, 4]
    assert data.histograms["activations/taken"].value[1][:, 0].tolist() == [5, 6, 8]
    assert data.scalars["train/total"].step.tolist() == [0, 4]
    assert data.scalars["train/total"].value.tolist() == [7, 19]
    assert data.histograms["activations/always"].step.tolist() == [0, 2, 4]
    assert "nonfinite/train/total" not in data.scalars
    assert causes == []


def test_a_name_in_several_branches_is_one_tag(run, written):
    branches = [lambda v: mbj.tag("t", v), lambda v: mbj.tag("t", v * 2) + mbj.tag("t", v), jnp.sin]
    step = mbj.wrap_train_step(lambda x, i: lax.switch(i, branches, x), run, every=1, metrics=False)
    with run:
        for i in range(3):
            step(X, i)
    found = written().histograms
    assert found["activations/t"].step.tolist() == [0, 1]
    assert [rows[:, 0].tolist() for rows in found["activations/t"].value] == [[1, 2, 4], [2, 4, 8]]
    assert found["activations/t#1"].step.tolist() == [1]


def test_a_number_without_axes_stays_a_scalar_in_a_branch(run, written):
    step = mbj.wrap_train_step(lambda x: lax.cond(x[0] > 0, lambda v: mbj.tag("n", v.sum()), jnp.sum, x), run, metrics=False)
    with run:
        step(X)
    assert written().scalars["activations/n"].value.tolist() == [7]


def logged(x):
    return mbj.log_inside("n", x)


def logged_in_while(x):
    return lax.while_loop(lambda carry: carry[0] < 3, lambda carry: (carry[0] + 1, carry[1] + logged(x[carry[0]])), (0, 0.0))


AVERAGED = {
    "alone": lambda x: logged(x.mean()),
    "vmap": jax.vmap(logged),
    "scan": lambda x: lax.map(logged, x),
    "while loop": logged_in_while,
    "branch in scan": lambda x: lax.map(lambda v: lax.cond(v > 0, logged, jnp.sin, v), jnp.append(x, -1)),
    "vmap in scan": lambda x: lax.map(jax.vmap(logged), x[:, None]),
}


@pytest.mark.parametrize("name", AVERAGED)
def test_a_logged_number_is_the_mean_of_its_values(name, run, written):
    with run:
        mbj.wrap_train_step(AVERAGED[name], run, metrics=False)(X)
    assert written().scalars["train/n"].value.tolist() == [pytest.approx(7 / 3)]


def test_a_logged_number_has_its_value_exactly(run, written):
    def train_step(x):
        return mbj.log_inside("eval/count", x), mbj.log_inside("eval/rate", 0.25), mbj.log_inside("eval/done", x > 0)

    with run:
        assert mbj.wrap_train_step(train_step, run, metrics=False)(jnp.int32(2**24 - 1)) == (2**24 - 1, 0.25, True)
    scalars = written().scalars
    assert [scalars[f"eval/{name}"].value.tolist() for name in ("count", "rate", "done")] == [[2**24 - 1], [0.25], [1]]


def histograms(found):
    return {name: tagged for name, tagged in found.items() if not is_scalar(tagged)}


def shapes(jaxpr):
    """Return the shapes of all arrays that a program makes, also inside its loops."""
    own = {getattr(var.aval, "shape", None) for eqn in jaxpr.eqns for var in eqn.outvars}
    return own.union(*(shapes(body) for eqn in jaxpr.eqns for body in bodies_of(eqn)))


def test_large_values_of_many_iterations_are_counted_without_being_kept(run, written):
    size, length = 2000, 300

    def train_step(x):
        def body(c, i):
            return c + mbj.tag("large", x * i).sum(), None

        return lax.scan(body, 0.0, jnp.arange(float(length)))[0]

    x = jnp.asarray(np.random.default_rng(0).normal(size=size), jnp.float32)
    step = mbj.wrap_train_step(train_step, run, metrics=False)
    with run:
        step(x)
    expected = measure(np.outer(np.arange(length, dtype=np.float32), np.asarray(x)))
    np.testing.assert_array_equal(written().histograms["activations/large"].value[0], expected.rows())
    traced = jax.make_jaxpr(lambda x: rows(histograms(harvest(train_step, None, x)[1].found), None))(x)
    assert (size,) in shapes(traced.jaxpr)
    assert not any(length in shape and size in shape for shape in shapes(traced.jaxpr) - {None})


def test_under_vmap_all_branches_and_iterations_are_computed_and_count(run, written):
    def train_step(x):
        chosen = jax.vmap(lambda v: lax.cond(v > 2, lambda w: mbj.tag("branch", w), jnp.sin, v))(x)
        ended = jax.vmap(lambda v: lax.while_loop(lambda w: w < 4, lambda w: mbj.tag("loop", w) + 1, v))(x)
        return chosen + ended

    with run:
        mbj.wrap_train_step(train_step, run, metrics=False)(X)
    found = written().histograms
    assert found["activations/branch"].value[0][:, 2].sum() == 3
    assert found["activations/loop"].value[0][:, 2].sum() == 9


def test_a_second_derivative_of_a_recomputation_shows_it_again(run, written):
    inner = jax.grad(lambda x: jnp.sin(jax.checkpoint(lambda v: jnp.sin(mbj.tag("t", v) * 2))(x)))
    with run:
        mbj.wrap_train_step(jax.grad(lambda x: inner(x.sum()) * 3.0), run, metrics=False)(X)
    assert list(written().scalars) == ["activations/t", "activations/t#1"]


def test_what_else_a_loop_does_it_does_once(run, written, capfd):
    def body(carry, x):
        jax.debug.print("at {}", x, ordered=True)
        return carry + mbj.tag("x", x), None

    with run:
        mbj.wrap_train_step(lambda x: lax.scan(body, 0.0, x)[0], run, metrics=False)(X)
        jax.effects_barrier()
    assert capfd.readouterr().out == "at 1.0\nat 2.0\nat 4.0\n"
    assert written().histograms["activations/x"].value[0][:, 0].tolist() == [1, 2, 4]
