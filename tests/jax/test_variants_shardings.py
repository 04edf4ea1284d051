"""A step whose `jit` says where its arguments and results go sends them there at captured steps, too."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import multiboard as mb

PROGRAM = Path(__file__).parent / "programs" / "asked_shardings.py"


@pytest.mark.parametrize(("source", "library"), [("host", "jax"), ("device", "jax"), ("mesh", "jax"), ("host", "nnx")])
def test_the_shardings_of_a_jitted_step_are_kept(source, library, tmp_path):
    flags = {"XLA_FLAGS": "--xla_force_host_platform_device_count=4", "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, str(PROGRAM), str(tmp_path), source, library]
    done = subprocess.run(command, env=os.environ | flags, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    result = json.loads(done.stdout.splitlines()[-1])
    assert result["found"] == result["expected"]
    assert result["compiled"] == 0  # for what a captured step returns
    data = mb.read(tmp_path)["."]
    assert "multiboard/errors" not in data.scalars
    start = np.arange(32, dtype=np.float32) / 8
    np.testing.assert_allclose(data.scalars["norm/params/kernel"].value[0], np.linalg.norm(start), rtol=1e-6)
    assert data.histograms["params/kernel"].value[0][:, 2].sum() == start.size
