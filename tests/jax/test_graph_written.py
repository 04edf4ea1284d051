"""A traced graph is in the file of its run, in all views and as a table; the example shows it."""

import subprocess
import sys
from pathlib import Path

import jax
from flax import linen

from multiboard_jax import graph

EXAMPLE = Path(__file__).parents[2] / "examples" / "jax_graph.py"
TAGS = {"layer", "api", "op", "flops"}


def test_a_graph_is_written_in_all_views_and_a_further_one_under_its_name(run, written, causes):
    x = jax.ShapeDtypeStruct((4, 8), "float32")
    with run:
        graph(linen.Dense(3, name="dense"), x, run=run)
        graph(linen.Dense(3, name="dense"), x, run=run, tag="again")
    assert causes == []
    assert set(written().graphs) == {"Default", *TAGS, *(f"again/{tag}" for tag in TAGS)}
    assert set(written().texts) == {"graph/summary", "again/summary"}


def test_the_example_writes_a_model_and_a_step_and_says_what_they_hold(log_dir, written):
    command = [sys.executable, str(EXAMPLE), "--log-dir", str(log_dir)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200, check=True)
    assert not done.stderr
    parameters = (9 * 16 + 16) + 2 * 16 + (256 * 64 + 64) + (64 * 10 + 10)
    flops = 2 * 32 * (64 * 9 * 16 + 256 * 64 + 64 * 10)
    assert done.stdout.splitlines() == [f"{parameters} parameters, {flops} FLOPs per batch", f"tensorboard --logdir {log_dir}"]
    assert set(written().graphs) == {"Default", *TAGS, *(f"train_step/{tag}" for tag in TAGS)}
