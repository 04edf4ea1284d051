"""Bytes and times are written as people write them."""

import doctest

import pytest

from multiboard import measures
from multiboard.errors import ArgumentError


def test_the_examples_of_the_docstrings():
    assert doctest.testmod(measures) == (0, 3)


@pytest.mark.parametrize(
    ("size", "shown"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (99_949, "99.9 kB"), (999_600, "1.0 MB"), (5e15, "5000.0 TB")],
)
def test_a_number_of_bytes_has_three_digits_or_four(size, shown):
    assert measures.shown_bytes(size) == shown


@pytest.mark.parametrize("text", ["", "30", "d", "-3d", "3 years", "1e3s", "nan s"])
def test_a_length_without_a_number_and_a_unit_is_refused(text):
    with pytest.raises(ArgumentError, match=r"argument '--idle' got .* write a number and a unit"):
        measures.seconds_of(text, "--idle")
