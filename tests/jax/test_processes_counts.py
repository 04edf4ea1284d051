"""What is split over two processes is counted exactly, and both can read it."""

import sys
from pathlib import Path

import numpy as np
import pytest

from multiboard.buckets import measure as expected_of

PROGRAM = Path(__file__).parent / "programs" / "process.py"


@pytest.fixture(scope="module")
def results(two_processes):
    """What each of two processes on this machine printed."""
    return two_processes("process.py")


@pytest.fixture(scope="module")
def expected():
    """Statistics of the whole array, from one process."""
    sys.path.insert(0, str(PROGRAM.parent))
    try:
        from process import values
    finally:
        sys.path.pop(0)
    return expected_of(values())


def test_both_processes_read_the_counts_of_all_values_however_these_are_split(results, expected):
    for result in results:
        assert result["devices"] == 4
        for counts, specials in zip(result["counts"], result["specials"], strict=True):
            np.testing.assert_array_equal(counts, expected.counts)
            np.testing.assert_array_equal(specials, expected.specials)


def test_both_processes_read_the_same_moments(results, expected):
    assert results[0]["moments"] == results[1]["moments"]
    np.testing.assert_allclose(results[0]["moments"], [expected.moments] * 5, rtol=1e-4)
