"""A precision and recall curve counts what its definition says."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import multiboard as mb
from multiboard.kinds.pr_curve import curve

RNG = np.random.default_rng(0)


def by_definition(labels, predictions, weights, number):
    """The oracle: one comparison for each threshold."""
    rows = []
    for i in range(number):
        positive = predictions * (number - 1) >= i
        tp, fp = weights[positive & labels].sum(), weights[positive & ~labels].sum()
        tn, fn = weights[~positive & ~labels].sum(), weights[~positive & labels].sum()
        rows.append([tp, fp, tn, fn, tp / (tp + fp) if tp + fp else 0, tp / (tp + fn) if tp + fn else 0])
    return np.array(rows).T


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.floats(0, 1), st.integers(0, 9)), max_size=40), st.integers(2, 130))
def test_the_rows_are_those_of_the_definition(examples, number):
    labels, predictions, weights = (np.array([e[i] for e in examples], d) for i, d in enumerate((bool, float, float)))
    np.testing.assert_allclose(
        curve(labels, predictions, weights, number), by_definition(labels, predictions, weights, number), atol=1e-12
    )


def test_labels_predictions_and_weights_of_any_shape_arrive(written):
    labels, predictions, weights = RNG.integers(0, 2, (5, 8)), RNG.random((5, 8)), RNG.random((5, 8))
    data = written(lambda run: run.pr_curve("p", labels, predictions, 3, num_thresholds=11, weights=weights))
    expected = by_definition(labels.astype(bool), predictions, weights, 11)
    np.testing.assert_allclose(data.pr_curves["p"].value[0], expected, rtol=1e-6)


def test_predictions_that_are_no_probabilities_are_left_out_and_said(written):
    with pytest.warns(mb.MultiboardWarning, match=r"'p' got 3 of 5 examples at step 3"):
        data = written(lambda run: run.pr_curve("p", [1, 1, 1, 0, 0], [0.9, np.nan, 1.1, -0.1, 0.2], 3, num_thresholds=3))
    assert data.pr_curves["p"].value[0][:, 1].tolist() == [1, 0, 1, 0, 1, 1]


def test_a_curve_of_nothing_is_a_curve_of_zeros(written):
    assert not written(lambda run: run.pr_curve("p", [], [], 0)).pr_curves["p"].value[0].any()


def test_a_curve_that_was_computed_elsewhere_is_kept(written):
    rows = RNG.random((6, 20)).astype(np.float32)
    data = written(lambda run: run.pr_curve_raw("p", *rows, 3, num_thresholds=20))
    np.testing.assert_array_equal(data.pr_curves["p"].value[0], rows)
