"""Numbers of few bits are counted as the core counts them."""

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest

from multiboard.buckets import measure as expected_of
from multiboard_jax.statistics import measure

FEW_BITS = [
    "float8_e4m3fn",
    "float8_e5m2",
    "float8_e4m3b11fnuz",
    "float8_e4m3fnuz",
    "float8_e5m2fnuz",
    "float8_e4m3",
    "float8_e3m4",
]
OTHERS = ["int8", "uint8", "int16", "uint16", "uint32"]


@pytest.mark.parametrize("dtype", FEW_BITS)
def test_every_bit_pattern_of_float8_is_counted_as_by_the_core(dtype, assert_measured):
    patterns = np.arange(256, dtype=np.uint8).view(getattr(ml_dtypes, dtype))
    expected = expected_of(patterns)
    assert_measured(measure([jnp.asarray(patterns)]), 0, expected, patterns.astype(np.float32))


@pytest.mark.parametrize("dtype", ["int4", "uint4"])
def test_every_integer_of_four_bits_is_counted_as_by_the_core(dtype, assert_measured):
    values = np.tile(np.arange(16) - (8 if dtype == "int4" else 0), 5000)
    expected = expected_of(values)
    assert_measured(measure([jnp.asarray(values, dtype)]), 0, expected, values.astype(np.float32))


@pytest.mark.parametrize("dtype", OTHERS)
def test_integers_of_every_width_are_counted_as_by_the_core(dtype, assert_measured):
    limits = np.iinfo(dtype)
    values = np.random.default_rng(0).integers(limits.min, limits.max, 70_000, dtype, endpoint=True)
    assert_measured(measure([jnp.asarray(values)]), 0, expected_of(values), values)


def test_subnormal_values_are_zeros():
    values = jnp.array([1e-40, -1e-40, 2.0**-127], jnp.float32)
    assert jax.device_get(measure([values]).specials)[0].tolist() == [3, 0, 0, 0]
