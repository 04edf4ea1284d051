"""A raw tensor keeps its dtype, shape and every bit."""

import numpy as np
import pytest

DTYPES = ["f4", "f8", "f2", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "?", "c8", "c16"]


def stored(written, values):
    return written(lambda run: run.tensor("x", values, 6, description="raw")).tensors["x"]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(), (0, 3), (2, 3, 4)])
def test_every_dtype_and_shape_comes_back(written, dtype, shape):
    values = (np.random.default_rng(0).normal(size=shape) * 100).astype(dtype)
    value = stored(written, values).value[0]
    assert value.dtype == np.dtype(dtype)
    np.testing.assert_array_equal(value, values)


def test_a_transposed_or_big_endian_array_comes_back(written):
    values = np.arange(6, dtype=">f8").reshape(2, 3).T
    np.testing.assert_array_equal(stored(written, values).value[0], values)


def test_nan_and_infinities_are_kept(written):
    column = stored(written, [np.nan, np.inf, -np.inf])
    np.testing.assert_array_equal(column.value[0], [np.nan, np.inf, -np.inf])
    assert column.step.tolist() == [6]
    assert column.description == "raw"


def test_integers_beyond_float64_are_exact(written):
    assert stored(written, np.array([2**63 - 1])).value[0].tolist() == [2**63 - 1]
