"""The kernel of each backend gives exactly the counts of the host definition."""

import keras
import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from multiboard_keras.statistics import measure

SUBNORMAL = 2.0**-126


def check(case, tensor, measure=measure):
    counts, specials, moments = (np.asarray(array) for array in measure([tensor]))
    expected = case.expected
    assert (counts.shape, specials.shape, moments.shape) == ((1, 1024), (1, 4), (1, 4))
    assert (counts.dtype, specials.dtype, moments.dtype) == (np.int32, np.int32, np.float32)
    np.testing.assert_array_equal(counts[0], expected.counts)
    np.testing.assert_array_equal(specials[0], expected.specials)
    np.testing.assert_allclose(moments[0, 2:], expected.moments[2:].astype(np.float32), rtol=0, atol=SUBNORMAL)
    check_sums(case, moments[0, :2])


def check_sums(case, sums):
    with np.errstate(all="ignore"):
        values = case.widened.astype(np.float64).reshape(-1)
        values = values[np.isfinite(values)].clip(-3.4e38, 3.4e38)
        total, squares, scale = values.sum(), np.square(values).sum(), np.abs(values).sum()
    if scale < 1e38:  # beyond, the order of the additions decides whether float32 overflows
        np.testing.assert_allclose(sums[0], total, rtol=1e-4, atol=1e-4 * scale + SUBNORMAL)
    if squares < 1e38:
        np.testing.assert_allclose(sums[1], squares, rtol=1e-4, atol=len(values) * SUBNORMAL)


def test_counts_of_every_content_and_dtype_are_exact(bucket_case, to_tensor, all_dtypes):
    with all_dtypes():
        check(bucket_case, to_tensor(bucket_case))


if keras.backend.backend() == "tensorflow":  # the kernels of the others are those of their own adapters, and tested there

    def test_counts_in_a_graph_are_exact(bucket_case, to_tensor):
        import tensorflow as tf

        check(bucket_case, to_tensor(bucket_case), tf.function(measure))


def test_counts_of_ten_million_values_are_exact(ten_million, to_tensor):
    check(ten_million, to_tensor(ten_million))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_counts_of_any_values_are_exact(data, bucket_dtype, cast_case, to_tensor, all_dtypes):
    size = data.draw(st.sampled_from([0, 1, 100]))
    values = data.draw(hnp.arrays(np.float64, size, elements=st.floats(width=64)))
    case = cast_case(values, bucket_dtype)
    with all_dtypes():
        check(case, to_tensor(case))


def test_tensors_of_several_shapes_and_dtypes_are_one_capture(cast_case, to_tensor):
    rng = np.random.default_rng(3)
    cases = [
        cast_case(rng.normal(size=shape), dtype) for shape in [(), (3, 4), (0, 2), (70_000,)] for dtype in ["float32", "float16"]
    ]
    counts, specials, _ = (np.asarray(array) for array in measure([to_tensor(case) for case in cases]))
    np.testing.assert_array_equal(counts, [case.expected.counts for case in cases])
    np.testing.assert_array_equal(specials, [case.expected.specials for case in cases])


def test_a_capture_of_nothing_has_no_rows():
    assert [tuple(array.shape) for array in measure([])] == [(0, 1024), (0, 4), (0, 4)]


def test_complex_values_count_by_their_magnitude(cast_case, to_tensor):
    parts = np.random.default_rng(4).normal(size=(2, 1000))
    case = type(cast_case(np.zeros(1), "float32"))("complex64", (parts[0] + 1j * parts[1]).astype(np.complex64))
    counts, *_ = (np.asarray(array) for array in measure([to_tensor(case)]))
    assert counts.sum() == 1000
    assert counts[0, 512:].sum() == 0
    assert np.abs(counts[0] - case.expected.counts).sum() <= 2  # the last bit of a magnitude depends on the library
