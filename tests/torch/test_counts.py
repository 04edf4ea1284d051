"""Both kernels count exactly what the core counts, for every content and dtype."""

import torch

from multiboard_torch.statistics import Measured, measure


def test_counts_specials_and_extremes_are_exactly_those_of_the_core(bucket_case, as_tensor, kernel, assert_measured):
    measured = measure([as_tensor(bucket_case)], kernel)
    assert_measured(measured, 0, bucket_case.expected, bucket_case.widened)


def test_arrays_have_the_agreed_shapes_and_dtypes(kernel):
    measured = measure([torch.ones(3), torch.zeros(2, 2)], kernel)
    assert isinstance(measured, Measured)
    assert [(tuple(array.shape), array.dtype) for array in measured] == [
        ((2, 1024), torch.int32),
        ((2, 4), torch.int32),
        ((2, 4), torch.float32),
    ]


def test_no_tensor_at_all_gives_no_rows(kernel):
    assert [tuple(array.shape) for array in measure([], kernel)] == [(0, 1024), (0, 4), (0, 4)]


def test_ten_million_values_are_counted_exactly(ten_million, as_tensor, kernel, assert_measured):
    assert_measured(measure([as_tensor(ten_million)], kernel), 0, ten_million.expected, ten_million.array)
