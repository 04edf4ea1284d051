"""Distances of tensors element by element: laws, and counts of numbers in between."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from multiboard.compare.exact_distances import coarser, distances, ulps

FINITE = st.floats(-(2.0**100), 2.0**100, width=32)
VECTORS = arrays.arrays(np.float32, st.integers(1, 12), elements=FINITE)
PAIRS = st.integers(1, 12).flatmap(lambda size: st.tuples(*(arrays.arrays(np.float32, size, elements=FINITE) for _ in range(2))))
F32 = ("float32", "float32")


@given(VECTORS)
def test_a_tensor_is_0_from_itself(values):
    found = distances(values, values, F32)
    assert (found.relative_l2, found.max_error, found.ulp_median, found.ulp_max) == (0, 0, 0, 0)
    assert math.isnan(found.cosine) if not values.any() else found.cosine == pytest.approx(1)


@given(PAIRS)
def test_cosine_error_and_units_are_symmetric(pair):
    there, back = distances(*pair, F32), distances(*pair[::-1], F32)
    assert there.cosine == pytest.approx(back.cosine, nan_ok=True)
    assert (there.max_error, there.ulp_median, there.ulp_max) == (back.max_error, back.ulp_median, back.ulp_max)


@given(PAIRS, st.integers(-20, 20))
def test_a_common_factor_changes_only_the_absolute_error(pair, exponent):
    factor = 2.0**exponent
    found = distances(*pair, ("float64", "float64"))
    scaled = distances(*(np.float64(side) * factor for side in pair), ("float64", "float64"))
    assert scaled.relative_l2 == pytest.approx(found.relative_l2)
    assert scaled.cosine == pytest.approx(found.cosine, nan_ok=True)
    assert scaled.max_error == pytest.approx(found.max_error * factor)


@given(st.sampled_from(["float16", "float32", "float64"]), st.floats(-1000, 1000, width=16), st.integers(0, 200))
def test_units_in_the_last_place_are_the_numbers_in_between(dtype, value, steps):
    begin = np.array([value], dtype)
    end = begin.copy()
    for _ in range(steps):
        end = np.nextafter(end, np.array(np.inf, dtype))
    assert ulps(begin, end, dtype).tolist() == [steps]


@pytest.mark.parametrize(("dtype", "smallest"), [("float16", 6e-8), ("float32", 1e-45), ("float64", 5e-324)])
def test_zeros_of_both_signs_are_one_number(dtype, smallest):
    a, b = np.array([-0.0, -smallest, 0.0], dtype), np.array([0.0, smallest, smallest], dtype)
    assert ulps(a, b, dtype).tolist() == [0, 2, 1]


def test_the_whole_range_of_a_type_can_be_counted():
    largest = np.array([np.finfo(np.float64).max])
    assert ulps(-largest, largest, "float64")[0] == pytest.approx(2.0 * 0x7FEFFFFFFFFFFFFF)


def test_bfloat16_beside_float32_is_counted_in_bfloat16():
    assert coarser("float32", "bfloat16") == coarser("bfloat16", "float16") == "bfloat16"
    exact = np.float32([1.0, 1.0 + 2**-7, 1.0 + 2**-9, 3.0, -1.0])
    other = np.float32([1.0 + 2**-7, 1.0 + 2**-7, 1.0, 3.0 + 2**-5, -1.0 - 2**-6])
    assert ulps(exact, other, "bfloat16").tolist() == [1, 0, 0, 2, 2]


def test_a_rounding_to_bfloat16_is_0_units_away():
    values = np.float32(np.random.default_rng(0).normal(size=1000))
    bits = values.view(np.uint32)
    rounded = ((bits + 0x7FFF + ((bits >> 16) & 1)) & 0xFFFF0000).view(np.float32)
    found = distances(values, rounded, ("float32", "bfloat16"))
    assert found.ulp_max == 0
    assert 0 < found.relative_l2 < 2**-8


def test_integers_have_no_units():
    found = distances(np.int32([1, 2]), np.int32([1, 3]), ("int32", "int32"))
    assert math.isnan(found.ulp_max)
    assert found.max_error == 1


def test_values_that_are_not_finite_must_be_the_same():
    values = np.float32([1, np.nan, np.inf, -np.inf])
    assert distances(values, values, F32)[1:] == (0, 0, 0, 0)
    for other in ([1, 2, np.inf, -np.inf], [1, np.nan, 3, -np.inf], [1, np.nan, np.inf, np.inf]):
        found = distances(values, np.float32(other), F32)
        assert found.relative_l2 == found.max_error == np.inf
    assert distances(values, np.float32([1, 2, np.inf, -np.inf]), F32).ulp_max == np.inf


def test_anything_beside_a_baseline_of_zeros_is_infinitely_far():
    assert distances(np.zeros(3, np.float32), np.float32([0, 0, 1]), F32).relative_l2 == np.inf


def test_a_mirrored_tensor_has_the_cosine_of_minus_1():
    values = np.float32([1, -2, 3])
    found = distances(values, -values, F32)
    assert found.cosine == pytest.approx(-1)
    assert found.relative_l2 == pytest.approx(2)


@given(st.floats(1e-300, 1e300))
def test_a_cosine_neither_overflows_nor_underflows(scale):
    values = np.array([3.0, 4.0]) * scale
    assert distances(values, values, ("float64", "float64")).cosine == pytest.approx(1)
