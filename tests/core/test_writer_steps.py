"""The drop-in writer takes the steps and times that its peers take, and says what it changes."""

import time

import numpy as np
import pytest

import multiboard as mb

STEPS = {"None": (None, 0), "text": ("3", 3), "array": (np.array(4), 4), "one element": (np.array([5]), 5),
         "NumPy": (np.int32(6), 6), "float": (7.0, 7), "float array": (np.array(8.0), 8), "negative": (-2, -2)}  # fmt: skip


@pytest.fixture
def writer(log_dir):
    with mb.SummaryWriter(log_dir) as writer:
        yield writer


def column(writer, tag="x"):
    writer.close()
    return mb.read(writer.log_dir)["."].scalars[tag]


@pytest.mark.parametrize("form", STEPS)
def test_a_step_may_be_written_in_any_form(writer, form):
    step, number = STEPS[form]
    writer.add_scalar("x", 1.0, step)
    assert column(writer).step.tolist() == [number]


def test_a_fraction_is_cut_off_and_that_is_said_once(writer):
    with pytest.warns(mb.MultiboardWarning) as caught:
        for i in range(4):
            writer.add_scalar("x", 1.0, i / 2)
        assert column(writer).step.tolist() == [0, 0, 1, 1]
    said = [str(warning.message) for warning in caught if "is cut to" in str(warning.message)]
    assert said == ["step 0.5 is cut to 0: steps are integers; count in smaller units."]


def test_steps_may_repeat_and_go_back(writer):
    for step in [5, 5, 2, 9, 0]:
        writer.add_scalar("x", float(step), step)
    assert column(writer).step.tolist() == [5, 5, 2, 9, 0]


def test_without_a_wall_time_it_is_now(writer):
    before = time.time()
    writer.add_scalar("x", 1.0, 0)
    assert before <= column(writer).wall_time[0] <= time.time()


def test_use_metadata_fills_in_what_calls_leave_open(writer):
    with writer.use_metadata(global_step=10, walltime=20.0):
        writer.add_scalar("x", 1.0)
        writer.add_scalar("x", 1.0, 11, 21.0)
    writer.add_scalar("x", 1.0, None, 22.0)
    found = column(writer)
    assert (found.step.tolist(), found.wall_time.tolist()) == ([10, 11, 0], [20.0, 21.0, 22.0])


def test_use_metadata_ends_with_its_block_also_after_an_exception(writer):
    with pytest.raises(KeyError), writer.use_metadata(global_step=10):
        raise KeyError
    writer.add_scalar("x", 1.0)
    assert column(writer).step.tolist() == [0]


def test_use_metadata_may_be_nested(writer):
    with writer.use_metadata(walltime=20.0), writer.use_metadata(global_step=3):
        writer.add_scalar("x", 1.0)
    found = column(writer)
    assert (found.step.tolist(), found.wall_time.tolist()) == ([3], [20.0])
