"""Distances of histograms and norms are what they are defined to be."""

import doctest

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from multiboard.bucket_rows import BucketRows, joined_rows
from multiboard.buckets import measure
from multiboard.compare import distances, divergence, joining, scalar_differences
from multiboard.compare.distances import earth_movers_distance, histogram_distances, log2_ratio, octave_distances

SAMPLES = st.integers(0, 2**32 - 1)


def sample(seed, size=200):
    """Values of several magnitudes and signs, with zeros."""
    rng = np.random.default_rng(seed)
    values = rng.normal(rng.normal(), 1, size) * 10.0 ** rng.integers(-3, 3)
    return np.where(rng.random(size) < rng.random() / 4, 0.0, values)


def foreign(values, bins=30):
    """Rows with edges that depend on the data, as other writers make them."""
    counts, edges = np.histogram(values, bins)
    return np.column_stack([edges[:-1], edges[1:], counts.astype(float)])


MAKERS = (
    foreign,
    lambda x: measure(x).rows(),
    lambda x: np.zeros((0, 3)) * x[0],
    lambda x: foreign(x * 1e3, 7),
    lambda x: foreign(x, 1),
)
"""Make histograms with different edges, and an empty one."""


def emd(a, b):
    return float(histogram_distances([a], [b]).emd[0])


def by_brute_force(a, b, points=4001):
    """The mean distance of the quantiles of two histograms."""
    at = (np.arange(points) + 0.5) / points
    ends = []
    for rows in (a, b):
        reached = np.cumsum(rows[:, 2]) / rows[:, 2].sum()
        index = np.minimum(np.searchsorted(reached, at), len(rows) - 1)
        before = np.concatenate([[0], reached])[index]
        way = (at - before) / (reached[index] - before)
        ends.append(rows[index, 0] + way * (rows[index, 1] - rows[index, 0]))
    return float(np.abs(ends[0] - ends[1]).mean())


@settings(max_examples=40, deadline=None)
@given(SAMPLES, SAMPLES)
def test_the_distance_is_that_of_the_quantiles_whatever_the_edges_are(first, second):
    values, others = sample(first), sample(second)
    span = max(np.ptp(values), np.ptp(others)) + abs(values.mean() - others.mean())
    for make in (lambda x: measure(x).rows(), foreign):
        a, b = make(values), make(others)
        assert emd(a, b) == pytest.approx(by_brute_force(a, b), rel=0.02, abs=span / 1000)


@settings(max_examples=40, deadline=None)
@given(SAMPLES, SAMPLES)
def test_many_captures_at_once_give_what_each_gives_alone(first, second):
    a = [measure(sample(first + i)).rows() for i in range(3)]
    b = [measure(sample(second + i)).rows() for i in range(3)]
    assert histogram_distances(a, b).emd == pytest.approx(
        [earth_movers_distance(*pair) for pair in zip(a, b, strict=True)], rel=1e-6
    )


@settings(max_examples=20, deadline=None)
@given(SAMPLES)
def test_many_captures_with_any_edges_at_once_give_what_each_gives_alone(seed):
    a, b = ([make(sample(first + i)) for i, make in enumerate(MAKERS)] for first in (seed, seed + 9))
    for left, right in ((a, b), (b, a)):
        together = histogram_distances(left, right)
        for at, pair in enumerate(zip(left, right, strict=True)):
            alone = histogram_distances(*([one] for one in pair))
            assert [values[at] for values in together] == pytest.approx([float(values[0]) for values in alone], rel=1e-9)
        octaves = [float(octave_distances([one], [other])[0]) for one, other in zip(left, right, strict=True)]
        assert octave_distances(left, right) == pytest.approx(octaves, rel=1e-9)
    assert histogram_distances(a, a).emd.tolist() == [0] * len(a)
    assert octave_distances(a, a).tolist() == [0] * len(a)


@settings(max_examples=20, deadline=None)
@given(SAMPLES)
def test_rows_in_one_narrow_array_give_the_same_numbers(seed):
    a, b = ([measure(sample(first + i)).rows() for i in range(4)] for first in (seed, seed + 9))
    narrow = [BucketRows(one.rows.astype(np.float32), one.lengths) for one in map(joined_rows, (a, b))]
    np.testing.assert_array_equal(histogram_distances(*narrow), histogram_distances(a, b))
    np.testing.assert_array_equal(octave_distances(*narrow), octave_distances(a, b))


def test_the_distance_of_buckets_is_close_to_that_of_the_values():
    rng = np.random.default_rng(3)
    values, others = rng.normal(0, 1, 5000), rng.normal(0.2, 1.5, 5000)
    exact = np.abs(np.sort(values) - np.sort(others)).mean()
    assert emd(measure(values).rows(), measure(others).rows()) == pytest.approx(exact, rel=0.01)
    assert emd(foreign(values), foreign(others)) == pytest.approx(exact, rel=0.05)
    assert emd(measure(values).rows(), foreign(others, 200)) == pytest.approx(exact, rel=0.02)


@settings(max_examples=40, deadline=None)
@given(SAMPLES, SAMPLES)
def test_both_distances_are_symmetric_and_zero_for_equal_histograms(first, second):
    a, b = measure(sample(first)).rows(), measure(sample(second)).rows()
    for distance in (emd, lambda x, y: float(octave_distances([x], [y])[0])):
        assert distance(a, b) == pytest.approx(distance(b, a), rel=1e-9)
        assert distance(a, a) == 0
        assert distance(a, a * [1, 1, 7]) == pytest.approx(0, abs=1e-12)


@settings(max_examples=40, deadline=None)
@given(SAMPLES, SAMPLES, SAMPLES)
def test_no_way_over_a_third_histogram_is_shorter(first, second, third):
    a, b, c = (measure(sample(seed)).rows() for seed in (first, second, third))
    for distance in (emd, lambda x, y: float(octave_distances([x], [y])[0])):
        assert distance(a, c) <= (distance(a, b) + distance(b, c)) * (1 + 1e-9) + 1e-12


@settings(max_examples=40, deadline=None)
@given(SAMPLES, SAMPLES, st.integers(-6, 6))
def test_values_twice_as_large_are_twice_as_far_apart_and_relatively_as_far(first, second, power):
    values, others = sample(first), sample(second)
    plain = histogram_distances([measure(values).rows()], [measure(others).rows()])
    scaled = histogram_distances([measure(values * 2.0**power).rows()], [measure(others * 2.0**power).rows()])
    assert scaled.emd == pytest.approx(plain.emd * 2.0**power, rel=1e-9)
    assert scaled.relative == pytest.approx(plain.relative, rel=1e-9)


@pytest.mark.parametrize("octaves", [1, 3])
def test_values_moved_by_octaves_are_so_many_octaves_apart(octaves):
    values = np.random.default_rng(0).normal(size=300)
    moved = measure(values * 2.0**octaves).rows()
    assert octave_distances([measure(values).rows()], [moved]) == pytest.approx([octaves])
    assert octave_distances([foreign(np.abs(values) + 1)], [foreign(np.abs(values) + 1) * [2.0**octaves, 2.0**octaves, 1]]) == (
        pytest.approx([octaves], rel=0.05)
    )


def test_the_first_histogram_gives_the_scale():
    found = histogram_distances([measure([2.0, -2.0]).rows()], [measure([4.0, -4.0]).rows()])
    assert found.scale == pytest.approx([2.125])
    assert found.relative == pytest.approx([1.0], rel=0.05)


def test_a_histogram_without_values_is_infinitely_far_from_others_and_equal_to_another_one():
    empty, full = measure([np.nan]).rows(), measure([1.0]).rows()
    assert histogram_distances([empty, empty, full], [full, empty, empty]).emd.tolist() == [np.inf, 0, np.inf]
    assert octave_distances([empty, empty], [full, empty]).tolist() == [np.inf, 0]
    assert len(histogram_distances([], []).emd) == 0


def test_open_ends_of_old_files_do_not_make_the_distance_infinite():
    rows = np.array([[-1.7976931348623157e308, 1.0, 2.0], [1.0, 1.7976931348623157e308, 1.0]])
    assert np.isfinite(emd(rows, np.array([[0.0, 2.0, 3.0]])))
    assert emd(rows, rows) == 0


def test_one_value_that_crosses_an_edge_is_within_the_resolution():
    before = histogram_distances([measure([0.99, 0.5]).rows()], [measure([1.01, 0.5]).rows()])
    assert 0 < before.emd[0] <= before.resolution[0]


def test_a_ratio_of_norms_is_in_octaves_and_equal_values_are_none_apart():
    a = np.array([1.0, 8.0, 0.0, np.nan, np.inf, 1.0, 0.0])
    b = np.array([2.0, 2.0, 0.0, np.nan, np.inf, np.nan, 1.0])
    assert log2_ratio(a, b).tolist() == [1.0, -2.0, 0.0, 0.0, 0.0, np.inf, np.inf]


@pytest.mark.parametrize("module", [distances, divergence, joining, scalar_differences])
def test_the_examples_in_docstrings_are_true(module):
    assert doctest.testmod(module).failed == 0
