"""The kernel counts exactly what the core counts, for every content and dtype."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from multiboard.buckets import fold_keys
from multiboard_jax import statistics
from multiboard_jax.statistics import Measured, measure


@pytest.fixture
def precision(bucket_case):
    """Arrays of 64 bits exist only under `jax_enable_x64`."""
    with jax.enable_x64(bucket_case.dtype == "float64"):
        yield


@pytest.mark.usefixtures("precision")
def test_counts_specials_and_extremes_are_exactly_those_of_the_core(bucket_case, as_array, assert_measured):
    array = as_array(bucket_case)
    assert array.dtype.name == bucket_case.dtype
    assert_measured(measure([array]), 0, bucket_case.expected, bucket_case.widened)


def test_the_way_of_accelerators_counts_the_same(bucket_dtype, cast_case, as_array):
    values = np.random.default_rng(2).normal(size=3000) * 10.0 ** np.random.default_rng(3).integers(-42, 30, 3000)
    case = cast_case(np.concatenate([values, [0.0, -0.0, np.nan, np.inf, -np.inf, 2.0**-126]]), bucket_dtype)
    with jax.enable_x64(bucket_dtype == "float64"):
        table, moments = statistics._at_once(as_array(case))
    counts, specials = fold_keys(np.asarray(table, np.int64))
    np.testing.assert_array_equal(counts, case.expected.counts)
    np.testing.assert_array_equal(specials, case.expected.specials)
    np.testing.assert_allclose(np.asarray(moments)[2:], case.expected.moments[2:], rtol=0, atol=2.0**-126)


def test_complex_values_are_measured_by_magnitude():
    measured = measure([jnp.array([3 + 4j, -3 - 4j, 0j])])
    assert measured.counts[0].sum() == 2
    assert measured.specials[0].tolist() == [1, 0, 0, 0]
    assert measured.moments[0].tolist() == [10, 50, 0, 5]


def test_arrays_have_the_agreed_shapes_and_dtypes():
    measured = measure([jnp.ones(3), jnp.zeros((2, 2))])
    assert isinstance(measured, Measured)
    assert [(array.shape, array.dtype.name) for array in measured] == [
        ((2, 1024), "int32"),
        ((2, 4), "int32"),
        ((2, 4), "float32"),
    ]


def test_no_tensor_at_all_gives_no_rows():
    assert [array.shape for array in measure([])] == [(0, 1024), (0, 4), (0, 4)]


def test_keys_of_a_random_generator_are_refused_by_name():
    with pytest.raises(TypeError, match=r"key<fry>.*no numbers"):
        measure([jax.random.key(0)])
