"""Whatever the values are, the counts are those of the core."""

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from multiboard_jax.statistics import measure

SIZES = st.sampled_from([0, 7, 257])  # few, because each shape is compiled
VALUES = arrays(np.float64, SIZES, elements=st.floats(allow_subnormal=True) | st.floats(width=32))
FIXTURES = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@given(values=VALUES)
@FIXTURES
def test_any_values_are_counted_as_the_core_counts_them(values, bucket_dtype, cast_case, as_array, with_64_bits):
    case = cast_case(values, bucket_dtype)
    with with_64_bits(bucket_dtype == "float64"):
        measured = measure([as_array(case)])
    np.testing.assert_array_equal(np.asarray(measured.counts)[0], case.expected.counts)
    np.testing.assert_array_equal(np.asarray(measured.specials)[0], case.expected.specials)
    np.testing.assert_allclose(np.asarray(measured.moments)[0, 2:], case.expected.moments[2:], rtol=0, atol=2.0**-126)
