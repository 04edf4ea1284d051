"""Whatever the values and sizes are, the counts are those of the core."""

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from multiboard_torch.statistics import measure

VALUES = arrays(np.float64, st.integers(0, 40), elements=st.floats(allow_subnormal=True) | st.floats(width=32))
FIXTURES = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@given(contents=st.lists(VALUES, min_size=1, max_size=4))
@FIXTURES
def test_any_values_are_counted_as_the_core_counts_them(contents, bucket_dtype, cast_case, as_tensor, kernel):
    cases = [cast_case(values, bucket_dtype) for values in contents]
    measured = measure([as_tensor(case) for case in cases], kernel)
    for row, case in enumerate(cases):
        expected = case.expected
        np.testing.assert_array_equal(measured.counts[row].numpy(), expected.counts)
        np.testing.assert_array_equal(measured.specials[row].numpy(), expected.specials)
        np.testing.assert_array_equal(measured.moments[row, 2:].numpy(), expected.moments[2:])
