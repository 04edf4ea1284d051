"""The two other ways to say which steps are profiled."""

import doctest
from importlib import import_module

import pytest

import multiboard as mb
from multiboard.profile.schedule import check_profile_batch, check_schedule, from_torch_schedule
from multiboard.profile.window import Windows


@pytest.mark.parametrize("module", ["schedule", "sessions", "frameworks", "triggers", "conversions"])
def test_the_examples_in_docstrings_are_true(module):
    assert doctest.testmod(import_module(f"multiboard.profile.{module}")).failed == 0


@pytest.mark.parametrize(
    ("arguments", "recorded"),
    [
        ((1, 1, 3, 1, 0), [2, 3, 4]),
        ((1, 1, 3, 2, 2), [4, 5, 6, 9, 10, 11]),
        ((0, 0, 2, 2, 0), [0, 1, 2, 3]),
        ((3, 2, 1, 0, 0), [5, 11, 17]),
    ],
)
def test_a_schedule_of_torch_records_the_same_steps(arguments, recorded):
    """The steps at which `torch.profiler.schedule` returns RECORD or RECORD_AND_SAVE."""
    windows = Windows(from_torch_schedule(*arguments), 60)
    assert [step for step in range(20) if "mark" in windows.reached(step, 0.0)] == recorded


@pytest.mark.parametrize("value", ["2,1", "x", -1, 1.5, True, (1, 2, 3), None, (), "0,4", object()])
def test_a_batch_that_is_none_is_refused(value):
    with pytest.raises(mb.ArgumentError, match="profile_batch"):
        check_profile_batch(value)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("start", (-1, 7, 2, None, None)),
        ("start", (1.5, 7, 2, None, None)),
        ("steps", (5, 0, 2, None, None)),
        ("warmup", (5, 7, -1, None, None)),
        ("warmup", (5, 7, True, None, None)),
        ("every", (5, 7, 2, 6, None)),
        ("repeat", (5, 7, 2, 10, -1)),
        ("repeat", (5, 7, 2, None, 3)),
    ],
)
def test_a_schedule_that_cannot_be_kept_is_refused(name, arguments):
    with pytest.raises(mb.ArgumentError) as refused:
        check_schedule(*arguments)
    assert refused.value.name == name


def test_windows_have_no_end_with_every_alone():
    assert check_schedule(5, 7, 2, 100, None).repeat == 0
