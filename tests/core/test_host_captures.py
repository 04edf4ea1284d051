"""Arrays in host memory are captured as an adapter of a framework captures its tensors."""

import numpy as np
import pytest

import multiboard as mb
from multiboard import host_captures
from multiboard.buckets import measure
from multiboard.host_captures import capture_arrays

RNG = np.random.default_rng(0)
ARRAYS = {"params/a/kernel": RNG.normal(size=(8, 4)), "grads/a/kernel": RNG.normal(size=(8, 4)).astype(np.float32)}


def test_captured_arrays_are_histograms_norms_and_ratios(tmp_path):
    with mb.Run(tmp_path) as run:
        capture_arrays(run, ARRAYS | {"updates/a/kernel": -0.1 * ARRAYS["grads/a/kernel"]}, 3)
    data = mb.read(tmp_path)["."]
    for tag, values in ARRAYS.items():
        assert data.histograms[tag].step.tolist() == [3]
        assert data.scalars[f"norm/{tag}"].value[0] == pytest.approx(np.linalg.norm(values), rel=1e-5)
        written = data.histograms[tag].value[0]
        assert written[:, 2].sum() == measure(values).finite
    assert data.scalars["update_ratio/a/kernel"].step.tolist() == [3]
    assert data.scalars["nonfinite/grads"].value.tolist() == [0]


def test_arrays_that_change_after_the_call_are_written_as_they_were(tmp_path):
    values = np.ones(4)
    with mb.Run(tmp_path) as run:
        capture_arrays(run, {"params/a": values}, 0)
        values[:] = 100.0
    assert mb.read(tmp_path)["."].scalars["norm/params/a"].value.tolist() == [2.0]


def test_non_finite_values_and_empty_arrays_are_counted(tmp_path):
    with mb.Run(tmp_path) as run:
        capture_arrays(run, {"grads/a": np.array([1.0, np.nan]), "grads/b": np.zeros((0, 3))}, 0)
    assert mb.read(tmp_path)["."].scalars["nonfinite/grads/a"].value.tolist() == [1]


def test_a_capture_beyond_the_memory_for_copies_is_left_out_and_said(tmp_path, monkeypatch):
    monkeypatch.setattr(host_captures, "HELD_BYTES", 100)
    with mb.Run(tmp_path) as run, pytest.warns(mb.MultiboardWarning, match="the capture of step 0 was left out"):
        capture_arrays(run, {"params/a": np.zeros(1000)}, 0)
        capture_arrays(run, {"params/b": np.zeros(5)}, 0)
    assert set(mb.read(tmp_path)["."].histograms) == {"params/b"}


@pytest.mark.parametrize("array", [[[1], [1, 2]], None, "text", [object()]])
def test_what_is_no_array_of_numbers_is_left_out_and_costs_no_other(tmp_path, array):
    with mb.Run(tmp_path) as run, pytest.warns(mb.MultiboardWarning, match="'params/b' was left out"):
        capture_arrays(run, {"params/a": np.ones(4), "params/b": array}, 0)
    assert set(mb.read(tmp_path)["."].histograms) == {"params/a"}


def test_a_capture_of_nothing_writes_nothing(tmp_path):
    told = []
    with mb.Run(tmp_path, on_error=lambda *problem: told.append(problem)) as run:
        capture_arrays(run, {}, 0)
    assert told == []
