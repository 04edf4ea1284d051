"""Who reads a run while its files are merged finds all of it once."""

from pathlib import Path

import pytest

import multiboard as mb
from multiboard.last_step import last_step
from multiboard.overview import overview
from multiboard.retention.rewriting import rewrite


@pytest.fixture
def merged_meanwhile(resumed, monkeypatch):
    """A run whose files are merged when the first of them is about to be read."""
    read, done = Path.read_bytes, []

    def read_bytes(path):
        if not done:
            done.append(rewrite(resumed).changed)
            assert not path.exists()
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", read_bytes)
    yield resumed
    assert done == [True]


def test_reading(merged_meanwhile):
    assert mb.read(merged_meanwhile)["."].scalars["train/loss"].step.tolist() == [*range(60), *range(40, 80)]


def test_counting(merged_meanwhile):
    assert overview(merged_meanwhile)["."].tags["scalars", "train/loss"].points == 100


def test_going_on(merged_meanwhile):
    assert last_step(merged_meanwhile) == 79
