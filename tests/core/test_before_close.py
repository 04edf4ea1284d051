"""What is to be done before a run is closed."""

import pytest

import multiboard as mb


def test_what_is_done_before_the_end_of_a_run_can_still_log(log_dir, steps):
    calls = []
    with mb.Run(log_dir) as run:
        run.before_close(lambda: run.log({"x": 1.0}, 7))
        run.before_close(lambda: calls.append(run.closed))
        run.log({"x": 0.0}, 0)
    run.close()
    assert calls == [False]
    assert steps(log_dir) == [0, 7]


def test_what_raises_before_the_end_of_a_run_is_said_and_the_run_is_closed(log_dir, steps):
    def fail():
        raise ZeroDivisionError

    calls = []
    with pytest.warns(mb.MultiboardWarning, match="before the end of the run raised ZeroDivisionError"), mb.Run(log_dir) as run:
        run.before_close(fail)
        run.before_close(lambda: calls.append(1))
        run.log({"x": 0.0}, 0)
    assert run.closed
    assert calls == [1]
    assert steps(log_dir) == [0]


def test_an_interrupt_before_the_end_of_a_run_closes_it_all_the_same(log_dir, steps):
    def interrupt():
        raise KeyboardInterrupt

    run = mb.Run(log_dir)
    run.before_close(interrupt)
    run.log({"x": 0.0}, 0)
    with pytest.raises(KeyboardInterrupt):
        run.close()
    assert run.closed
    assert steps(log_dir) == [0]


def test_a_child_run_has_its_own(log_dir):
    calls = []
    with mb.Run(log_dir) as run:
        child = run.child("validation")
        child.before_close(lambda: calls.append("child"))
        run.before_close(lambda: calls.append("run"))
        child.close()
        assert calls == ["child"]
    assert calls == ["child", "run"]
