"""A process that enables 64 bits for good counts float64 values as the core does."""

import subprocess
import sys

import numpy as np

SCRIPT = """
import sys, jax, jax.numpy as jnp, numpy as np
from multiboard.buckets import measure as expected_of
from multiboard_jax.statistics import measure
values = np.load(sys.argv[1])
array = jnp.asarray(values)
assert array.dtype == jnp.float64
measured, expected = measure([array]), expected_of(values)
np.testing.assert_array_equal(np.asarray(measured.counts)[0], expected.counts)
np.testing.assert_array_equal(np.asarray(measured.specials)[0], expected.specials)
np.testing.assert_allclose(np.asarray(measured.moments)[0, 2:], expected.moments[2:], rtol=0, atol=2.0**-126)
assert [a.dtype.name for a in measured] == ["int32", "int32", "float32"]
print("equal")
"""


def test_float64_is_clamped_and_counted_exactly_under_x64(tmp_path):
    special = [1e300, -1e300, 3.5e38, np.inf, -np.inf, np.nan, 1e-300, 0.0, 2.0**-126 * (1 - 2.0**-30), 1 + 2.0**-40]
    values = np.concatenate([special, np.random.default_rng(0).standard_t(2, 70_000)])
    np.save(tmp_path / "values.npy", values)
    environment = {"JAX_ENABLE_X64": "1", "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, "-c", SCRIPT, str(tmp_path / "values.npy")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout == "equal\n"
