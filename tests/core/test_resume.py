"""A run that goes on where its directory ends."""

import pytest

import multiboard as mb
from multiboard.records import unframe


def starts(log_dir):
    """The steps of the session starts by file: SessionLog is field 7 of Event."""
    from multiboard import proto

    found = []
    for file in sorted(log_dir.iterdir()):
        events = [proto.Event.FromString(payload) for payload in unframe(file.read_bytes(), [])]
        found.append([event.step for event in events if event.session_log.status == 1])
    return found


def write(log_dir, first, last, **arguments):
    with mb.Run(log_dir, **arguments) as run:
        for step in range(first, last):
            run.log({"x": float(step)}, step)
        return run.start_step


def test_it_says_where_to_go_on(log_dir):
    assert write(log_dir, 0, 10, resume=True) == 0
    assert write(log_dir, 10, 15, resume=True) == 10
    assert write(log_dir, 15, 16, resume=True) == 15
    assert starts(log_dir) == [[0], [10], [15]]
    assert mb.read(log_dir)["."].scalars["x"].step.tolist() == list(range(16))


@pytest.mark.parametrize("first", [0, 3, 10])
def test_the_new_file_starts_again_at_the_first_step_that_is_written(log_dir, first):
    write(log_dir, 0, 10)
    write(log_dir, first, 12, resume=True, config={"lr": 0.1})
    assert starts(log_dir)[1] == [first]


def test_steps_beyond_the_end_leave_no_mark_behind_the_end(log_dir):
    write(log_dir, 0, 10)
    write(log_dir, 50, 60, resume=True)
    assert starts(log_dir)[1] == [10]


def test_hyperparameters_alone_are_no_step(log_dir):
    mb.Run(log_dir, config={"lr": 0.1}).close()
    assert write(log_dir, 0, 1, resume=True) == 0


def test_without_resume_a_directory_begins_again(log_dir):
    assert write(log_dir, 0, 3) == 0
    assert starts(log_dir) == [[0]]


@pytest.mark.parametrize("first", [0, 2, 9])
def test_what_is_added_replaces_nothing_in_tensorboard(log_dir, first):
    write(log_dir, 0, 3)
    with mb.Run(log_dir, resume="add", facts=False) as run:
        run.log({"y": 1.0}, first)
    data = mb.read(log_dir)["."].scalars
    assert data["x"].step.tolist() == [0, 1, 2]
    assert data["y"].step.tolist() == [first]
    assert starts(log_dir) == [[0], []]


def test_an_empty_directory_can_be_added_to(log_dir):
    write(log_dir, 5, 7, resume="add")
    assert starts(log_dir) == [[0]]


def test_another_word_than_add_is_refused(log_dir):
    with pytest.raises(mb.ArgumentError, match=r"argument 'resume' got 'append' .*True, False or 'add'"):
        mb.Run(log_dir, resume="append")


def test_a_child_run_goes_on_where_its_own_directory_ends(log_dir):
    with mb.Run(log_dir) as run:
        run.log({"x": 1.0}, 30)
        run.child("validation").log({"x": 1.0}, 20)
    with mb.Run(log_dir, resume=True) as run:
        assert run.start_step == 31
        assert run.child("validation").start_step == 21
        assert run.child("test").start_step == 0


def test_a_torn_tail_of_the_last_run_stops_nobody(log_dir):
    write(log_dir, 0, 10, facts=False)
    (file,) = log_dir.iterdir()
    file.write_bytes(file.read_bytes()[:-5])
    assert write(log_dir, 9, 12, resume=True) == 9
    assert mb.read(log_dir)["."].scalars["x"].step.tolist() == list(range(12))


def test_steps_in_any_order_are_accepted_and_kept(log_dir):
    order = [5, 3, 9, 0, 7, 7, 2**40, -4]
    with mb.Run(log_dir, resume=True) as run:
        for step in order:
            run.log({"x": float(step)}, step)
            run.histogram("h", [1.0], step)
    data = mb.read(log_dir)["."]
    assert data.scalars["x"].step.tolist() == data.histograms["h"].step.tolist() == order
