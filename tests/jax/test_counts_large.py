"""Large tensors, and small ones beside them, are counted exactly."""

import numpy as np

from multiboard_jax.statistics import measure


def test_ten_million_values_are_counted_exactly(ten_million, as_array, assert_measured):
    assert_measured(measure([as_array(ten_million)]), 0, ten_million.expected, ten_million.array)


def test_small_and_large_tensors_of_one_capture_keep_their_order(cast_case, as_array, assert_measured):
    rng = np.random.default_rng(3)
    sizes = [5, 70_000, 0, 131_072, 256, 65_537, 65_536, 1]
    dtypes = ["bfloat16", "float32", "int32", "float16", "bool", "bfloat16", "float32", "float32"]
    cases = [cast_case(rng.normal(size=n) * 5, dtype) for n, dtype in zip(sizes, dtypes, strict=True)]
    measured = measure([as_array(case) for case in cases])
    for row, case in enumerate(cases):
        assert_measured(measured, row, case.expected, case.widened)
