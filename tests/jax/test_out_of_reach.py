"""A tag where its value cannot be collected is reported by name, and changes nothing."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh
from jax.sharding import PartitionSpec as P

import multiboard.jax as mbj

X = jnp.array([1.0, 2.0, 4.0])


def tagged(x):
    return mbj.tag("t", x) * 2


BODIES = {
    "cond": lambda x: jax.lax.cond(x[0] > 0, tagged, lambda v: v, x),
    "while": lambda x: jax.lax.while_loop(lambda v: v[0] < 3, tagged, x),
    "shard_map": jax.shard_map(tagged, mesh=Mesh(jax.devices()[:1], "d"), in_specs=P("d"), out_specs=P("d")),
    "cond in scan": lambda x: jax.lax.scan(lambda c, r: (jax.lax.cond(r > 0, tagged, lambda v: v, c), None), 0.0, x)[0],
}


@pytest.mark.parametrize("name", BODIES)
def test_it_is_said_once_and_the_result_is_right(name, run, causes, warned):
    step = mbj.wrap_train_step(BODIES[name], run, every=1, metrics=False)
    with run:
        for _ in range(2):
            np.testing.assert_array_equal(step(X), jax.jit(BODIES[name])(X))
    where = name.split()[0]
    assert f"tag 'activations/t' is inside '{where}'" in str(warned[0].message)
    assert [cause for cause, _ in causes] == [f"tag activations/t in {where}"] * 2 + ["summary"]
    assert len(warned) == 2
