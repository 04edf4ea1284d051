"""The steps of captures and the numbers of updates made before may come from NumPy, as they do out of a checkpoint."""

import numpy as np
import pytest

import multiboard as mb
from multiboard.arguments import check_start_step
from multiboard.buckets import measure
from multiboard.errors import ArgumentError
from multiboard.values import Capture, MeasuredBatch


class Batch:
    """One row of statistics that is there already."""

    def fetch(self):
        found = measure(np.ones(3, np.float32))
        return MeasuredBatch(found.counts[None], found.specials[None], np.float32(found.moments)[None])


@pytest.mark.parametrize("step", [7, np.int64(7), np.asarray(7)], ids=["int", "int64", "array"])
def test_a_capture_is_written_at_its_step_whatever_integer_that_is(step, tmp_path):
    with mb.Run(tmp_path / "run", facts=False) as run:
        run.capture(Capture(("params/kernel",), Batch(), step, 0.0))
    data = mb.read(tmp_path / "run")["."]
    assert data.histograms["params/kernel"].step.tolist() == [7]
    assert data.scalars["norm/params/kernel"].step.tolist() == [7]


def test_a_training_starts_at_an_integer_of_numpy():
    assert check_start_step(np.int32(5)) == 5
    assert type(check_start_step(np.int32(5))) is int


@pytest.mark.parametrize("value", [-1, 1.0, True, "3", np.ones(2, int)])
def test_anything_else_is_refused(value):
    with pytest.raises(ArgumentError, match="start_step"):
        check_start_step(value)


def test_a_budget_of_bytes_thins_out_the_distributions_of_captures(tmp_path):
    with mb.Run(tmp_path / "run", facts=False, max_media_bytes={"histogram": 2_000}) as run:
        run.capture(Capture(("params/kernel",), Batch(), 0, 0.0))
        with pytest.warns(mb.MultiboardWarning, match="max_media_bytes=2000"):
            for step in range(1, 200):
                run.capture(Capture(("params/kernel",), Batch(), step, 0.0))
            run.flush()
    data = mb.read(tmp_path / "run")["."]
    assert 5 < len(data.histograms["params/kernel"].step) < 50
    assert data.scalars["norm/params/kernel"].step.tolist() == list(range(200))


class Nothing:
    """A capture in which nothing was found."""

    def fetch(self):
        return MeasuredBatch(np.zeros(0, np.int32), np.zeros(0, np.int32), np.zeros(0, np.float32))


def test_a_capture_of_nothing_writes_nothing(tmp_path):
    with mb.Run(tmp_path / "run", facts=False) as run:
        run.scalar("a", 1.0, 0)
        run.capture(Capture((), Nothing(), 0, 0.0, if_any=True))
    data = mb.read(tmp_path / "run")["."]
    assert list(data.scalars) == ["a"]
    assert not data.histograms


class NormsAlone:
    """A capture that has counted no buckets."""

    def fetch(self):
        return MeasuredBatch(
            np.zeros((2, 0), np.int32), np.array([[0, 0, 0, 0], [0, 1, 0, 0]]), np.float32([[3, 9, 1, 2], [0, 0, 0, 0]])
        )


def test_a_capture_of_norms_alone_needs_no_buckets(tmp_path):
    with mb.Run(tmp_path / "run", facts=False) as run:
        run.capture(Capture(("params/a", "params/b"), NormsAlone(), 0, 0.0, histograms=False))
    data = mb.read(tmp_path / "run")["."]
    assert not data.histograms
    assert data.scalars["norm/params/a"].value.tolist() == [3.0]
    assert np.isnan(data.scalars["norm/params/b"].value).all()
    assert data.scalars["nonfinite/params/b"].value.tolist() == [1.0]
