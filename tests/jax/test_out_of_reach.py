"""A tag where its value cannot be collected is reported by name, and changes nothing."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import multiboard.jax as mbj

X = jnp.array([1.0, 2.0, 4.0])


def tagged(x):
    return mbj.tag("t", x) * 2


def iterations(x):
    return jax.lax.while_loop(lambda v: mbj.tag("t", v)[0] < 3, lambda v: mbj.tag("body", v) * 2, x)


BODIES = {
    "while condition": iterations,
    "custom_linear_solve": lambda x: jax.lax.custom_linear_solve(tagged, x, lambda apply, b: b / apply(jnp.ones(3))),
}


@pytest.mark.parametrize("name", BODIES)
def test_it_is_said_once_and_the_result_is_right(name, run, causes, warned):
    step = mbj.wrap_train_step(BODIES[name], run, every=1, metrics=False)
    with run:
        for _ in range(2):
            np.testing.assert_array_equal(step(X), jax.jit(BODIES[name])(X))
    assert f"tag 'activations/t' is inside '{name}'" in str(warned[0].message)
    assert [cause for cause, _ in causes] == [f"tag activations/t in {name}"] * 2 + ["summary"]
    assert len(warned) == 2


def test_what_is_beside_it_in_the_same_loop_is_collected(run, written):
    with run, pytest.warns(UserWarning, match="while condition"):
        mbj.wrap_train_step(iterations, run, metrics=False)(X)
    assert written().histograms["activations/body"].value[0].tolist() == [[1, 1.125, 1], [2, 2.25, 2], [4, 4.5, 2], [8, 9, 1]]
