"""What opens a window on demand."""

import os
import signal
import threading

import pytest

import multiboard as mb
from multiboard.profile import triggers
from multiboard.profile.triggers import SlowSteps


def slow_steps(trigger, durations):
    """Return the steps that were slow, when step n takes `durations[n]`."""
    now, slow = 0.0, []
    for step, seconds in enumerate([*durations, 0.0]):
        if trigger.was_slow(step, now):
            slow.append(step - 1)
        now += seconds
    return slow


def test_a_step_that_takes_more_than_twice_the_median_is_slow():
    assert slow_steps(SlowSteps(2, 5, 0), [1.0] * 20 + [1.9, 2.1] + [1.0] * 10) == [21]


def test_the_first_steps_have_nothing_to_be_compared_with():
    assert slow_steps(SlowSteps(2, 5, 0), [9.0] + [1.0] * 30) == []


def test_slow_steps_open_no_window_for_a_while_and_only_so_often():
    durations = ([1.0] * 19 + [5.0]) * 10
    assert slow_steps(SlowSteps(2, 1, 0), durations) == list(range(19, 200, 20))
    assert slow_steps(SlowSteps(2, 45, 0), durations) == [19, 79, 139, 199]
    assert slow_steps(SlowSteps(2, 45, 2), durations) == [19, 79]


def test_steps_that_were_not_seen_are_not_slow():
    trigger = SlowSteps(2, 1, 0)
    assert not any(trigger.was_slow(step, step * 1.0) for step in range(20))
    assert not trigger.was_slow(90, 90.0)
    assert not trigger.was_slow(5, 95.0)


def test_a_slow_step_opens_a_window_at_the_next_one(toy, log_dir, monkeypatch):
    clock = iter(float(n + (20 if n > 30 else 0)) for n in range(1000))
    monkeypatch.setattr(triggers, "perf_counter", lambda: next(clock))
    with mb.Profiler(log_dir, start=None, steps=2, trigger="slow>2x", convert="lazy") as profiler:
        for n in range(60):
            profiler.reached(n)
    assert toy.steps() == [[31, 32]]


def test_a_signal_opens_a_window_and_the_programs_own_handler_is_called_too(toy, log_dir):
    seen = []
    before = signal.signal(signal.SIGUSR1, lambda *_: seen.append("own"))
    try:
        profiler = mb.Profiler(log_dir, start=None, steps=2, trigger=signal.SIGUSR1, convert="lazy")
        for n in range(20):
            profiler.reached(n)
            if n in {4, 12}:
                os.kill(os.getpid(), signal.SIGUSR1)
        profiler.close()
        os.kill(os.getpid(), signal.SIGUSR1)
        assert toy.steps() == [[5, 6], [13, 14]]
        assert seen == ["own"] * 3
    finally:
        signal.signal(signal.SIGUSR1, before)


@pytest.mark.usefixtures("toy")
def test_a_signal_handler_that_was_set_later_stays(log_dir):
    before = signal.getsignal(signal.SIGUSR1)
    profiler = mb.Profiler(log_dir, start=None, trigger=signal.SIGUSR1)
    signal.signal(signal.SIGUSR1, later := lambda *_: None)
    try:
        profiler.close()
        assert signal.getsignal(signal.SIGUSR1) is later
    finally:
        signal.signal(signal.SIGUSR1, before)


@pytest.mark.usefixtures("toy")
def test_a_signal_in_another_thread_is_said_to_open_nothing(log_dir):
    made = []
    thread = threading.Thread(target=lambda: made.append(mb.Profiler(log_dir, start=None, trigger=signal.SIGUSR1)))
    with pytest.warns(mb.MultiboardWarning, match="main thread only"):
        thread.start()
        thread.join()
    assert made


def test_a_file_opens_a_window_and_is_deleted(toy, log_dir, tmp_path, monkeypatch, wait_until):
    monkeypatch.setattr(triggers, "_LOOK", 0.01)
    path = tmp_path / "profile_now"
    profiler = mb.Profiler(log_dir, start=None, steps=2, trigger=path, convert="lazy")
    profiler.reached(0)
    path.touch()
    wait_until(lambda: not path.exists() and profiler.next_step < 0)
    for n in range(1, 9):
        profiler.reached(n)
    profiler.close()
    assert toy.steps() == [[1, 2]]


@pytest.mark.usefixtures("toy")
def test_looking_out_keeps_no_profiler_alive(log_dir, tmp_path, monkeypatch, wait_until):
    monkeypatch.setattr(triggers, "_LOOK", 0.01)
    before = signal.getsignal(signal.SIGUSR1)
    profiler = mb.Profiler(log_dir, start=None, trigger=[signal.SIGUSR1, tmp_path / "file", "slow>3x"])
    assert signal.getsignal(signal.SIGUSR1) != before
    del profiler
    assert signal.getsignal(signal.SIGUSR1) == before
    wait_until(lambda: not any(thread.name == "multiboard-profile-trigger" for thread in threading.enumerate()))


@pytest.mark.parametrize("paused", [False, True])
def test_a_step_is_slow_that_waits_for_its_data_but_not_for_a_validation(toy, log_dir, monkeypatch, paused):
    now = 0.0
    monkeypatch.setattr(triggers, "perf_counter", lambda: now)
    with mb.Profiler(log_dir, start=None, steps=2, trigger="slow>2x", convert="lazy") as profiler:
        for n in range(60):
            if n == 30 and paused:
                profiler.left(n)
            now += 20.0 if n == 30 else 0.5
            with profiler.step(n):
                now += 0.5
    assert toy.steps() == ([] if paused else [[31, 32]])
