"""The histograms of a tag in one array are a sequence of histograms like any other."""

import numpy as np
import pytest

from multiboard.bucket_rows import BucketRows, joined_rows, picked

ROWS = [np.array([[0.0, 1.0, 3.0], [1.0, 2.0, 4.0]]), np.zeros((0, 3)), np.array([[-1.0, -0.5, 1.0]])]


@pytest.fixture(params=[np.float32, np.float64])
def held(request):
    """Three histograms, one of them empty, as wide as they were written."""
    joined = joined_rows(ROWS)
    return BucketRows(joined.rows.astype(request.param), joined.lengths)


def equal(found, wanted):
    assert len(found) == len(wanted)
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(one, other)
        assert one.dtype == np.float64


def test_each_histogram_is_what_was_given(held):
    equal(held, ROWS)
    equal(held[::2], ROWS[::2])
    equal([held[-1], held[0]], [ROWS[-1], ROWS[0]])
    for beyond in (3, -4):
        with pytest.raises(IndexError):
            held[beyond]


def test_some_of_them_are_again_in_one_array(held):
    at = np.array([2, 0, 0, 1])
    equal(held.picked(at), [ROWS[i] for i in at])
    equal(held.picked(at[:0]), [])
    assert held.picked(at).rows.dtype == held.rows.dtype


def test_all_of_them_in_their_order_are_not_copied(held):
    assert picked(held, np.arange(3)) is held
    assert joined_rows(held) is held
    equal(picked(held, np.array([1, 2])), ROWS[1:])
    equal(picked(ROWS, np.array([1, 2])), ROWS[1:])


def test_no_histograms_are_no_rows():
    assert joined_rows([]).rows.shape == (0, 3)
    assert list(joined_rows([])) == []
