"""Tags inside `shard_map` on four devices: what is split counts in whole, what is replicated once."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).parent / "programs" / "tagged_shards.py"
CASES = [
    "split", "replicated", "replicated, unchecked", "sum over devices", "sum over devices, unchecked", "gathered", "constant",
    "split over one of two axes", "split over two axes", "sum over one of two axes", "other axis left to the compiler",
    "shard_map in shard_map", "jit", "vmap", "branch on some devices", "replicated value in it", "scan", "grad of scan",
    "loop as long as each device needs", "replicated loop", "large", "large in scan", "pmap",
    "jit that asks for shardings", "sum in pmap",
    "loop over split arrays", "branch over split arrays",
]  # fmt: skip


@pytest.fixture(scope="module")
def found():
    """What a process with four devices prints."""
    environment = {**os.environ, "JAX_PLATFORMS": "cpu", "XLA_FLAGS": "--xla_force_host_platform_device_count=4"}
    command = [sys.executable, "-W", "error", str(PROGRAM)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


@pytest.mark.parametrize("case", CASES)
def test_each_value_counts_once_and_the_results_are_the_same(case, found):
    expected = {"names": ["activations/t"], "counts": True, "moments": True, "same": True, "placed": True}
    expected |= {"replicated": True, "gathers": 0}
    assert found["cases"][case] == expected


def test_no_case_is_forgotten(found):
    assert list(found["cases"]) == CASES


def test_a_logged_number_is_the_mean_over_the_shards(found):
    assert found["mean"] == [36, 4]
