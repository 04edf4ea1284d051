"""Without the newest entry points of JAX the adapter writes the same, because tags then stay in every program."""

import subprocess
import sys

import multiboard as mb

SCRIPT = """
import sys, jax
del jax.make_user_context
import jax.numpy as jnp, multiboard as mb, multiboard.jax as mbj
assert "multiboard_tag" in str(jax.make_jaxpr(lambda x: mbj.tag("hidden", x))(1.0))
inner = jax.jit(lambda x: mbj.tag("hidden", x + 1))
with mb.Run(sys.argv[1]) as run:
    step = mbj.wrap_train_step(lambda x: inner(x).sum(), run, every=2)
    assert [float(step(jnp.ones(3))) for _ in range(3)] == [6.0] * 3
"""


def test_tags_are_collected_without_a_context_in_the_cache_key(log_dir):
    subprocess.run([sys.executable, "-W", "error", "-c", SCRIPT, str(log_dir)], timeout=120, check=True)
    column = mb.read(log_dir)["."].histograms["activations/hidden"]
    assert column.step.tolist() == [0, 2]
    assert column.value[0].tolist() == [[2.0, 2.25, 3.0]]
