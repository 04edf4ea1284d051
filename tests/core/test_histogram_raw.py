"""Bins that were counted elsewhere are kept as they are."""

import numpy as np
import pytest

import multiboard as mb


def rows(written, left, right, counts):
    return written(lambda run: run.histogram_raw("h", left, right, counts, 4)).histograms["h"].value[0].tolist()


def test_bins_keep_edges_and_counts_and_come_ascending(written):
    assert rows(written, [1.0, -2.0], [3.0, 1.0], [5, 7]) == [[-2, 1, 7], [1, 3, 5]]


def test_edges_and_counts_that_float32_cannot_hold_are_exact(written):
    assert rows(written, [0.1], [0.3], [2**24 + 1]) == [[0.1, 0.3, 2**24 + 1]]


def test_empty_bins_are_left_out(written):
    assert rows(written, np.arange(4.0), np.arange(1.0, 5.0), [0, 2, 0, 1]) == [[1, 2, 2], [3, 4, 1]]


def test_impossible_bins_are_left_out_and_said(written):
    with pytest.warns(mb.MultiboardWarning, match=r"'h' got 3 of 4 bins at step 4"):
        assert rows(written, [0, np.nan, 2, 5], [1, 2, np.inf, 4], [3, 1, 1, 1]) == [[0, 1, 3]]


def test_a_negative_count_is_left_out_and_said(written):
    with pytest.warns(mb.MultiboardWarning, match="negative"):
        assert rows(written, [0, 1], [1, 2], [-1, 1]) == [[1, 2, 1]]
