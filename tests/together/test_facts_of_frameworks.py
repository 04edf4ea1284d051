"""The facts name the frameworks that are in use at the first value, with versions, device and seed, and start nothing."""

import json
import os
import subprocess
import sys

import pytest

PROGRAM = """
import json, sys, tempfile
import multiboard as mb
run = mb.Run(tempfile.mkdtemp(), config={{"lr": 0.1}})
{program}
run.log({{"loss": 1.0}}, 0)
run.flush()
print(json.dumps([mb.read(run.log_dir)["."].facts, sorted(name for name in sys.modules if "." not in name)]))
"""
CASES = {
    "torch": ("import torch; torch.manual_seed(7)", {"framework": "torch", "device": "cpu", "seed": 7}, {"torch"}),
    "torch, not seeded": ("import torch", {"framework": "torch", "device": "cpu"}, {"torch"}),
    "jax": ("import jax; jax.numpy.ones(3)", {"framework": "jax", "device": "cpu"}, {"jax", "jaxlib"}),
    "jax, not started": ("import jax", {"framework": "jax"}, {"jax", "jaxlib"}),
    "flax": (
        "import jax, flax, optax; jax.numpy.ones(3)",
        {"framework": "jax, flax", "device": "cpu"},
        {"jax", "jaxlib", "flax", "optax"},
    ),
    "keras-jax": ("import keras; keras.ops.ones(3)", {"framework": "keras (jax)", "device": "cpu"}, {"keras", "jax", "jaxlib"}),
    "torch and jax": (
        "import torch, jax, flax; jax.numpy.ones(3)",
        {"framework": "torch, jax, flax", "device": "cpu"},
        {"torch", "jax", "jaxlib", "flax"},
    ),
    "keras-torch": (
        "import keras; keras.utils.set_random_seed(5)",
        {"framework": "keras (torch)", "device": "cpu", "seed": 5},
        {"keras", "torch"},
    ),
    "keras-tensorflow": (
        "import keras; keras.ops.ones(3)",
        {"framework": "keras (tensorflow)", "device": "cpu"},
        {"keras", "tensorflow"},
    ),
    "tensorflow": ("import tensorflow as tf; tf.ones(3)", {"framework": "tensorflow", "device": "cpu"}, {"tensorflow"}),
}


def facts_after(program, backend, log_dir, **environment):
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "TF_CPP_MIN_LOG_LEVEL": "3", "KERAS_BACKEND": backend, **environment}
    command = [sys.executable, "-c", PROGRAM.format(program=program)]
    done = subprocess.run(command, env=environment, cwd=log_dir, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    facts, modules = json.loads(done.stdout.splitlines()[-1])
    return facts, set(modules)


@pytest.mark.parametrize("case", CASES)
def test_what_is_loaded_is_named_and_nothing_else(case, tmp_path):
    program, expected, packages = CASES[case]
    facts, modules = facts_after(program, case.partition("-")[2] or "jax", tmp_path)
    versions = {name.removeprefix("version/"): value for name, value in facts.items() if name.startswith("version/")}
    frameworks = {"torch", "jax", "jaxlib", "flax", "optax", "keras", "tensorflow"}
    assert versions.keys() & frameworks == modules & frameworks
    assert packages <= versions.keys()
    named = {name: facts.get(name) for name in ("framework", "device", "seed")}
    assert {name: value for name, value in named.items() if value is not None} == expected


def test_no_backend_of_jax_is_started(tmp_path):
    program = """
import jax
run.log({"before": 1.0}, 0)
run.flush()
from jax._src import xla_bridge
assert not xla_bridge.backends_are_initialized()
"""
    facts, _ = facts_after(program, "jax", tmp_path)
    assert "device" not in facts


def test_the_devices_of_jax_are_those_that_it_uses(tmp_path):
    flags = "--xla_force_host_platform_device_count=4"
    facts, _ = facts_after("import jax; jax.numpy.ones(3)", "jax", tmp_path, XLA_FLAGS=flags)
    assert facts["device"] == "cpu"
