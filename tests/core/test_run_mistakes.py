"""A wrong call raises one clear error in the first step, and only counts afterwards."""

import re
import sys

import numpy as np
import pytest
from PIL import Image

import multiboard as mb

MISTAKES = {
    "two kinds": (lambda run, step: run.histogram("loss", [1.0], step), mb.TagKindError, r"'loss' is a scalar.*'loss/histogram'"),
    "float step": (lambda run, _: run.log({"loss": 1.0}, 1.5), mb.StepError, r"step 1\.5 \(float\)"),
    "no step": (lambda run, _: run.log({"loss": 1.0}, None), mb.StepError, r"step None"),
    "bool step": (lambda run, _: run.log({"loss": 1.0}, True), mb.StepError, r"step True"),
    "huge step": (lambda run, _: run.log({"loss": 1.0}, 2**63), mb.StepError, r"2\*\*63"),
    "3-d scalar": (
        lambda run, step: run.log({"x": np.zeros((2, 3, 4))}, step),
        mb.ValueShapeError,
        r"'x'.*\[2, 3, 4\].*run\.histogram",
    ),
    "text scalar": (lambda run, step: run.log({"x": "0.5"}, step), mb.ValueKindError, r"'x' got '0\.5'"),
    "nested dict": (lambda run, step: run.log({"x": {"y": 1}}, step), mb.ValueKindError, r"'x'"),
    "no mapping": (lambda run, step: run.log([1.0], step), mb.ValueKindError, r"mapping of tags"),
    "empty tag": (lambda run, step: run.scalar("", 1.0, step), mb.TagError, r"non-empty string"),
    "number tag": (lambda run, step: run.scalar(7, 1.0, step), mb.TagError, r"7 \(int\)"),
    "list tag": (lambda run, step: run.scalar([1], 1.0, step), mb.TagError, r"\[1\] \(list\)"),
    "surrogate tag": (lambda run, step: run.scalar("\ud800", 1.0, step), mb.TagError, r"UTF-8"),
    "odd image": (lambda run, step: run.image("i", np.zeros((5, 6, 7, 8, 9)), step), mb.ValueShapeError, r"HWC"),
    "wrong axes": (
        lambda run, step: run.image("i", np.zeros((5, 6)), step, dataformats="CHW"),
        mb.ValueShapeError,
        r"dataformats='CHW'",
    ),
    "words": (lambda run, step: run.histogram("h", ["a"], step), mb.ValueKindError, r"array of numbers"),
    "number text": (lambda run, step: run.text("t", 5, step), mb.ValueKindError, r"a text is a string"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_in_the_first_step_it_raises_on_the_callers_line(log_dir, mistake):
    call, error, message = MISTAKES[mistake]
    with mb.Run(log_dir) as run:
        run.log({"loss": 1.0}, 0)
        with pytest.raises(error, match=message):
            call(run, 0)


@pytest.mark.parametrize("mistake", MISTAKES)
def test_later_it_warns_once_and_the_rest_is_kept(log_dir, mistake):
    call, _, message = MISTAKES[mistake]
    with pytest.warns(mb.MultiboardWarning) as caught, mb.Run(log_dir) as run:
        for step in range(4):
            run.log({"loss": 1.0}, step)
            if step >= 2:
                call(run, step)
    (found,) = [w for w in caught if re.search(message, str(w.message)) and "counted while" not in str(w.message)]
    assert found.filename == __file__
    assert mb.read(log_dir)["."].scalars["loss"].step.tolist() == [0, 1, 2, 3]


def test_one_wrong_value_of_a_dict_costs_only_itself(log_dir):
    with pytest.warns(mb.MultiboardWarning, match="'bad'"), mb.Run(log_dir) as run:
        run.log({"loss": 1.0}, 0)
        run.log({"loss": 2.0, "bad": "text", "more": 3.0}, 1)
    scalars = mb.read(log_dir)["."].scalars
    assert scalars["loss"].step.tolist() == [0, 1]
    assert scalars["more"].value.tolist() == [3.0]
    assert "bad" not in scalars


class NoValue:
    def __float__(self):
        raise RuntimeError("no value here")


FOREIGN = {
    "a number without a value": lambda run, step: run.log({"x": NoValue()}, step),
    "a picture for a number": lambda run, step: run.log({"x": Image.new("L", (2, 2))}, step),
    "axes that are no string": lambda run, step: run.image("i", np.zeros((2, 2)), step, dataformats=5),
    "a time that overflows": lambda run, step: run.log({"x": 1.0}, step, wall_time=10**400),
}


@pytest.mark.parametrize("call", FOREIGN)
def test_what_a_foreign_object_raises_does_not_reach_a_running_loop(log_dir, call):
    with pytest.warns(mb.MultiboardWarning), mb.Run(log_dir) as run:
        for step in range(3):
            run.log({"loss": 1.0}, step)
        FOREIGN[call](run, 3)
    assert len(mb.read(log_dir)["."].scalars["loss"]) == 3


def test_a_filter_that_turns_warnings_into_errors_does_not_end_a_training(log_dir, caplog):
    with mb.Run(log_dir) as run:
        for step in range(3):
            run.log({"loss": 1.0}, step)
            if step:
                run.log({"loss": "text"}, step)
    assert "'loss' got 'text'" in caplog.text


def test_a_closed_run_says_so_once_and_does_not_stop_the_training(log_dir):
    run = mb.Run(log_dir)
    for step in range(3):
        run.log({"loss": 1.0}, step)
    run.close()
    with pytest.warns(mb.MultiboardWarning, match="is closed") as caught:
        for step in range(3, 6):
            run.log({"loss": 1.0}, step)
    assert len(caught) == 1
    assert run.flush() is False


def test_a_run_closed_before_its_first_value_raises(log_dir):
    run = mb.Run(log_dir)
    run.close()
    with pytest.raises(mb.ClosedRunError, match="is closed"):
        run.log({"loss": 1.0}, 0)


@pytest.mark.parametrize("obstacle", ["file in the way", "no permission"])
def test_an_unwritable_directory_raises_one_error_that_names_it(tmp_path, obstacle):
    if obstacle == "file in the way":
        (tmp_path / "file").write_text("")
        target = tmp_path / "file" / "run"
    else:
        target = "/proc/multiboard"  # even root cannot create a directory there
    with pytest.raises(mb.LogDirError, match=r"log_dir .* cannot be written.*Choose a directory"):
        mb.Run(target)


def test_every_mistake_reaches_the_callback(log_dir):
    seen = []
    with (
        pytest.warns(mb.MultiboardWarning),
        mb.Run(log_dir, on_error=lambda cause, message: seen.append((cause, message))) as run,
    ):
        for step in range(5):
            run.log({"loss": 1.0}, step)
            if step:
                run.log({"loss": "x"}, step)
    assert [cause for cause, _ in seen].count("ValueKindError loss") == 4


def test_an_error_in_the_callback_does_not_reach_the_loop(log_dir):
    def broken(cause, message):
        raise RuntimeError(cause, message)

    with pytest.warns(mb.MultiboardWarning), mb.Run(log_dir, on_error=broken) as run:
        run.log({"loss": 1.0}, 0)
        run.log({"loss": "x"}, 1)


def test_an_exit_in_the_callback_does_not_end_the_writer(log_dir):
    def leaving(cause, message):
        sys.exit(f"{cause}: {message}")

    with pytest.warns(mb.MultiboardWarning), mb.Run(log_dir, on_error=leaving) as run:
        run.log({"loss": float("nan")}, 0)  # said in the writer thread
        assert run.flush(20)
        run.log({"loss": 2.0}, 1)
    assert mb.read(log_dir)["."].scalars["loss"].step.tolist() == [0, 1]


def test_closing_says_how_often_each_cause_occurred(log_dir):
    with pytest.warns(mb.MultiboardWarning) as caught, mb.Run(log_dir) as run:
        run.log({"loss": 1.0}, 0)
        for step in range(1, 4):
            run.log({"loss": "x"}, step)
    assert "counted while it ran: ValueKindError loss (3)" in str(caught[-1].message)
