"""What is split over devices is counted where it is, exactly."""

import json
import math
import os
import re
import subprocess
import sys
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from multiboard_jax.distributed import placement_of

PROGRAM = Path(__file__).parent / "programs" / "shards.py"
ARGUMENTS = ["data_parallel", "fully_sharded", "tensor_parallel", "explicit_types", "many_dtypes", "empty_and_scalar"]
INSIDE = ["middle", "loop"]
LARGEST_RESULT = 6 * 1024


@pytest.fixture(scope="module")
def reports():
    """What the program printed about each of its cases, on four devices of the host."""
    environment = os.environ | {"XLA_FLAGS": "--xla_force_host_platform_device_count=4", "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, "-W", "error", str(PROGRAM)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


@pytest.mark.parametrize("case", [*ARGUMENTS, *INSIDE, "uneven"])
def test_values_on_several_devices_are_counted_exactly_and_once(reports, case):
    assert reports[case]["counts"]
    assert reports[case]["specials"]
    measured, expected = np.array(reports[case]["moments"])
    np.testing.assert_array_equal(measured[:, 2:], expected[:, 2:])
    np.testing.assert_allclose(measured[:, 1], expected[:, 1], rtol=1e-5)


@pytest.mark.parametrize("case", [*ARGUMENTS, *INSIDE])
def test_nothing_as_large_as_a_tensor_moves_between_devices(reports, case):
    moved = reports[case]["collectives"]
    assert moved, "the shares of the devices are added up by a collective"
    assert {kind for _, kind in moved} == {"all-reduce"}
    assert max(map(size, moved)) <= LARGEST_RESULT


@pytest.mark.parametrize("case", [*ARGUMENTS, *INSIDE, "uneven"])
def test_every_device_has_the_whole_result_without_a_callback_to_the_host(reports, case):
    assert reports[case]["replicated"]
    assert reports[case]["callbacks"] == []


def test_the_devices_of_a_module_are_found(reports):
    assert reports["module"] is True


def test_on_one_device_there_is_nothing_to_place():
    assert placement_of(({"kernel": jnp.ones(3), "bias": np.ones(3)}, "static", nnx.Linear(2, 3, rngs=nnx.Rngs(0)))) is None


def size(collective):
    shapes = re.findall(r"\[([\d,]*)\]", collective[0])
    return max(math.prod(int(n) for n in shape.split(",") if n) for shape in shapes)
