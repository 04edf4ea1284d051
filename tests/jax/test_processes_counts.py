"""What is split over two processes is counted exactly, and both can read it."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from multiboard.buckets import measure as expected_of

PROGRAM = Path(__file__).parent / "programs" / "process.py"


@pytest.fixture(scope="module")
def results():
    """What each of two processes on this machine printed."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    environment = os.environ | {"XLA_FLAGS": "--xla_force_host_platform_device_count=2", "JAX_PLATFORMS": "cpu"}
    commands = [[sys.executable, str(PROGRAM), address, str(number)] for number in range(2)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    processes = [subprocess.Popen(command, env=environment, **pipes) for command in commands]
    try:
        outputs = [process.communicate(timeout=200) for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert [process.returncode for process in processes] == [0, 0], outputs
    return [json.loads(output.splitlines()[-1]) for output, _ in outputs]


@pytest.fixture(scope="module")
def expected():
    """Statistics of the whole array, from one process."""
    sys.path.insert(0, str(PROGRAM.parent))
    try:
        from process import values
    finally:
        sys.path.pop(0)
    return expected_of(values())


def test_both_processes_read_the_counts_of_all_values_however_these_are_split(results, expected):
    for result in results:
        assert result["devices"] == 4
        for counts, specials in zip(result["counts"], result["specials"], strict=True):
            np.testing.assert_array_equal(counts, expected.counts)
            np.testing.assert_array_equal(specials, expected.specials)


def test_both_processes_read_the_same_moments(results, expected):
    assert results[0]["moments"] == results[1]["moments"]
    np.testing.assert_allclose(results[0]["moments"], [expected.moments] * 5, rtol=1e-4)
