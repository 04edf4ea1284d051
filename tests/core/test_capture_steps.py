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
