"""The bucket scheme counts what a plain comparison with its edges counts."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from multiboard.buckets import BUCKETS, EDGES, LARGEST, NAN, NEG_INF, POS_INF, SIDE, SMALLEST, SQUARES, SUM, ZERO, measure

TINY = 2.0**-126
ANY_FLOAT32 = hnp.arrays(np.float32, st.integers(0, 300), elements=st.floats(width=32, allow_subnormal=True))


def count_by_comparison(values):
    """The oracle: a search among the edges instead of bit patterns."""
    counts = np.zeros(BUCKETS, np.int64)
    finite = values[np.isfinite(values)].astype(np.float64)
    for side, magnitudes in enumerate([finite[finite > 0], -finite[finite < 0]]):
        index = np.searchsorted(EDGES, magnitudes[magnitudes >= TINY], side="right") - 1
        np.add.at(counts, side * SIDE + np.minimum(index, SIDE - 1), 1)
    specials = [np.sum(np.abs(finite) < TINY), np.isnan(values).sum(), np.sum(values == np.inf), np.sum(values == -np.inf)]
    return counts, specials


def test_counts_equal_a_search_among_the_edges(bucket_case):
    values = bucket_case.widened
    with np.errstate(over="ignore"):
        clipped = np.where(np.isfinite(values), np.clip(values.astype(np.float64), -3.4028234e38, 3.4028234e38), values)
    counts, specials = count_by_comparison(clipped.astype(np.float32))
    measured = bucket_case.expected
    np.testing.assert_array_equal(measured.counts, counts)
    np.testing.assert_array_equal(measured.specials, specials)


@given(ANY_FLOAT32)
def test_any_float32_is_counted_exactly_once(values):
    measured = measure(values)
    assert measured.counts.sum() + measured.specials.sum() == values.size
    counts, specials = count_by_comparison(values)
    np.testing.assert_array_equal(measured.counts, counts)
    np.testing.assert_array_equal(measured.specials, specials)


@given(ANY_FLOAT32, ANY_FLOAT32)
def test_merging_equals_measuring_together(a, b):
    merged, together = measure(a) + measure(b), measure(np.concatenate([a, b]))
    np.testing.assert_array_equal(merged.counts, together.counts)
    np.testing.assert_array_equal(merged.specials, together.specials)
    np.testing.assert_array_equal(merged.moments[SMALLEST:], together.moments[SMALLEST:])


def test_ten_million_values_are_counted(ten_million):
    measured = ten_million.expected
    assert measured.finite == 10_000_000
    np.testing.assert_allclose(measured.moments[SUM], ten_million.array.sum(dtype=np.float64), rtol=1e-4, atol=1)
    np.testing.assert_allclose(measured.moments[SQUARES], np.square(ten_million.array, dtype=np.float64).sum(), rtol=1e-5)
    assert measured.moments[SMALLEST] == ten_million.array.min()
    assert measured.moments[LARGEST] == ten_million.array.max()


def test_rows_are_ascending_contain_the_values_and_have_no_infinite_edge(bucket_case):
    measured = bucket_case.expected
    rows = measured.rows()
    assert rows[:, 2].sum() == measured.finite
    assert np.isfinite(rows).all()
    assert (rows[:, 0] <= rows[:, 1]).all()
    assert (rows[1:, 0] >= rows[:-1, 1]).all()


def test_edges_are_exact_in_float32():
    np.testing.assert_array_equal(EDGES.astype(np.float32).astype(np.float64), EDGES)


def test_zeros_are_a_row_of_width_zero():
    np.testing.assert_array_equal(measure([0.0, -0.0, 1.0]).rows(), [[0, 0, 2], [1, 1.125, 1]])


def test_open_buckets_end_at_the_observed_extremes():
    rows = measure([-1e30, 5e25]).rows()
    np.testing.assert_allclose(rows[[0, -1], [0, 1]], [-1e30, 5e25])


def test_nothing_finite_gives_no_rows_but_counts():
    measured = measure([np.nan, np.inf, -np.inf, -np.inf])
    assert measured.rows().shape == (0, 3)
    assert measured.specials.tolist() == [0, 1, 1, 2]
    assert np.isnan(measured.mean)
    assert np.isnan(measured.norm)


def test_float64_beyond_float32_is_finite_and_in_the_highest_bucket():
    measured = measure(np.array([1e300, -1e300, np.inf]))
    assert measured.specials[[ZERO, NAN, POS_INF, NEG_INF]].tolist() == [0, 0, 1, 0]
    assert measured.counts[[SIDE - 1, BUCKETS - 1]].tolist() == [1, 1]


def test_complex_values_are_measured_by_magnitude():
    np.testing.assert_array_equal(measure(np.array([3 + 4j])).counts, measure([5.0]).counts)


@pytest.mark.parametrize("q", [0.01, 0.1, 0.5, 0.9, 0.99])
def test_quantiles_of_a_normal_distribution_are_within_half_a_percent(q):
    values = np.abs(np.random.default_rng(0).normal(size=500_000)) + 0.01
    assert measure(values).quantile(q) == pytest.approx(np.quantile(values, q), rel=5e-3)


def test_quantiles_of_a_point_mass_are_exact():
    assert measure(np.full(100, 1.03)).quantile(0.5) == pytest.approx(1.03, rel=1e-6)


@settings(max_examples=50)
@given(hnp.arrays(np.float32, st.integers(1, 200), elements=st.floats(-1e6, 1e6, width=32)))
def test_moments_are_those_of_the_values(values):
    measured = measure(values)
    exact = values.astype(np.float64)
    np.testing.assert_allclose(measured.mean, exact.mean(), rtol=1e-4, atol=1e-4 * np.abs(exact).max())
    vanishing = 3.8e-23 * np.sqrt(len(values))  # whose squares are below all of float32
    np.testing.assert_allclose(measured.norm, np.sqrt(np.square(exact).sum()), rtol=1e-5, atol=vanishing)
