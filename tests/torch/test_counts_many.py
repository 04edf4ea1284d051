"""Tensors that share packs do not mix."""

import numpy as np
import pytest
import torch

import multiboard as mb
from multiboard.buckets import KEYS, LARGEST, SMALLEST, SQUARES, SUM
from multiboard.buckets import measure as expected_of
from multiboard_torch.statistics import CPU, measure

LIMIT = CPU.elements
LARGE = 5000
SIZES = {
    "large ones and a small one": [LARGE, 100_000, 9000, 1, 20_000],
    "as large as their table of keys": [KEYS - 1, KEYS, KEYS + 1],
    "many small": [1, 2, 3] * 60,
    "empty between": [0, 5, 0, 0, 7, 0],
    "all empty": [0, 0],
    "around the pack size": [LIMIT - 1, 1, LIMIT, LIMIT + 1, 3, 2 * LIMIT, 1],
    "rest shared with small ones": [LIMIT + 10, 20, 30, 0, 40],
}


@pytest.mark.parametrize("sizes", SIZES.values(), ids=SIZES)
def test_each_tensor_gets_its_own_row(sizes, kernel, assert_measured):
    generator = torch.Generator().manual_seed(0)
    tensors = [torch.randn(size, generator=generator) * 10.0 ** (row % 7) for row, size in enumerate(sizes)]
    measured = measure(tensors, kernel._replace(elements=LIMIT))
    for row, tensor in enumerate(tensors):
        assert_measured(measured, row, expected_of(tensor.numpy()), tensor.numpy())


def test_dtypes_may_be_mixed_in_one_call(kernel, assert_measured):
    arrays = [np.array([1.5, np.nan], np.float16), np.arange(-3, 3), np.array([1e300, -np.inf]), np.array([True, False])]
    measured = measure([torch.from_numpy(array) for array in arrays], kernel)
    for row, array in enumerate(arrays):
        assert_measured(measured, row, expected_of(array), np.float64(array).clip(-3.4028235e38, 3.4028235e38))


@pytest.mark.parametrize("repeats", [1, LARGE])
def test_a_nan_in_one_tensor_leaves_the_moments_of_its_neighbours(repeats, kernel):
    pairs = [torch.tensor(pair).repeat(repeats) for pair in ([float("nan"), 2.0], [3.0, 4.0])]
    measured = measure(pairs, kernel)
    assert measured.moments[:, [SUM, SMALLEST, LARGEST]].tolist() == [[2 * repeats, 2, 2], [7 * repeats, 3, 4]]
    np.testing.assert_allclose(measured.moments[:, SQUARES], [4 * repeats, 25 * repeats], rtol=3e-7)  # through the norm


@pytest.mark.parametrize(
    "content", [[np.nan], [np.inf, -np.inf], [3e38, 3e38, -1.0]], ids=["NaN", "infinities", "sum beyond float32"]
)
def test_a_large_tensor_of_a_sum_that_is_not_finite(content, kernel, assert_measured):
    values = np.tile(np.float32(content), LARGE)
    assert_measured(measure([torch.from_numpy(values)], kernel), 0, expected_of(values), values)


def test_a_tensor_on_the_cpu_is_counted_by_the_caller_once_memory_fills(log_dir):
    tensor = torch.randn(400, 1000).t()
    with mb.Run(log_dir, memory_bytes=1_000_000) as run:
        run.histogram("h", tensor, 0)
    data = mb.read(log_dir)["."]
    assert not data.scalars
    assert data.histograms["h"].value[0][:, 2].tolist() == expected_of(tensor.numpy()).rows()[:, 2].tolist()
