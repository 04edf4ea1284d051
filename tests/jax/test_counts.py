"""The kernel counts exactly what the core counts, for every content and dtype."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from multiboard_jax.statistics import Measured, measure, merge, nothing, pack


@pytest.fixture
def precision(bucket_case, with_64_bits):
    """Arrays of 64 bits exist only under `jax_enable_x64`."""
    with with_64_bits(bucket_case.dtype == "float64"):
        yield


@pytest.mark.usefixtures("precision")
def test_counts_specials_and_extremes_are_exactly_those_of_the_core(bucket_case, as_array, assert_measured):
    array = as_array(bucket_case)
    assert array.dtype.name == bucket_case.dtype
    assert_measured(measure([array]), 0, bucket_case.expected, bucket_case.widened)


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


def test_merged_rows_are_those_of_all_values_together():
    first, second = jnp.array([1.0, -2.0, jnp.nan]), jnp.array([0.0, 8.0, jnp.inf])
    merged, together = merge(measure([first]), measure([second])), measure([jnp.concatenate([first, second])])
    for ours, theirs in zip(merged, together, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_merged_with_nothing_rows_stay_as_they_are():
    rows = measure([jnp.array([1.0, -2.0]), jnp.array([jnp.nan])])
    for ours, theirs in zip(merge(rows, nothing(2)), rows, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_the_compiled_program_calls_nothing_on_the_host():
    tensors = [jnp.ones(100), jnp.ones(300_000)]
    compiled = jax.jit(lambda tensors: pack(measure(tensors))).lower(tensors).compile().as_text()
    assert "s32[2,1032]" in compiled
    assert not [word for word in ("callback", "outfeed", "infeed", "send(", "recv(") if word in compiled]
