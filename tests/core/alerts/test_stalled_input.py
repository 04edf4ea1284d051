"""A loop that waits is told, and one that is just fast is not."""

import pytest

import multiboard as mb
from multiboard.alerts.stalled_input import Pace, StalledInput
from multiboard.errors import MultiboardWarning


def stalls(shares, wait_ms=20.0):
    rule = StalledInput(100)
    found = []
    for at, share in enumerate(shares):
        numbers = {"perf/input_share": share, "perf/input_wait_ms": wait_ms}
        found += rule.saw_scalars(numbers, ("perf/input_share",), 10 * at)
    return found


def test_waiting_for_data_that_began_is_told_after_three_measurements():
    (alert,) = stalls([0.1] * 10 + [0.7, 0.8, 0.9, 0.9, 0.9])
    assert (alert.rule, alert.step, alert.tag, alert.value) == ("stalled_input", 120, "perf/input_share", 0.9)
    assert "it was 10 % before" in alert.message


def test_waiting_from_the_beginning_is_told_after_ten():
    assert [alert.step for alert in stalls([0.9] * 30)] == [90]


@pytest.mark.parametrize("shares", [[0.1] * 50, [0.4] * 50, [0.1, 0.9, 0.9] * 20, [float("nan")] * 20])
def test_a_loop_that_waits_little_or_seldom_is_not_told(shares):
    assert not stalls(shares)


def test_waits_of_less_than_a_millisecond_are_none():
    assert not stalls([0.9] * 50, wait_ms=0.5)


class Clock:
    """Stands in for the clock of the rule."""

    now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr("multiboard.alerts.stalled_input.monotonic", clock)
    return clock


def take_steps(pace, clock, steps, seconds):
    for step in steps:
        pace.saw(step)
        clock.now += seconds


def test_no_step_for_long_is_told_once_until_the_next_step(clock):
    pace = Pace(60.0)
    take_steps(pace, clock, range(6), 1.0)
    clock.now += 58.5
    assert pace.waited_too_long() is None
    clock.now += 1.0
    assert pace.waited_too_long() == 60.5
    assert pace.waited_too_long() is None
    pace.saw(6)
    assert pace.waited_too_long() is None
    clock.now += 182.0  # three times the longest time so far
    assert pace.waited_too_long() == 182.0


def test_what_is_logged_at_the_same_step_is_a_sign_of_life_before_the_alert_and_no_new_step_after_it(clock):
    pace = Pace(60.0)
    take_steps(pace, clock, range(6), 1.0)
    clock.now += 50.0
    pace.saw(5)
    clock.now += 50.0
    assert pace.waited_too_long() is None
    clock.now += 50.0
    assert pace.waited_too_long() == 100.0
    pace.saw(5)  # of `on_alert`
    clock.now += 500.0
    assert pace.waited_too_long() is None


def test_a_pause_of_a_usual_length_is_not_long(clock):
    pace = Pace(0.5)
    take_steps(pace, clock, range(8), 10.0)
    clock.now += 85.0
    assert pace.waited_too_long() is None
    clock.now += 10.0
    assert pace.waited_too_long() == 105.0


def test_no_step_is_seen_without_a_call_of_the_loop(log_dir, wait_until, clock):
    """The writer thread looks at the clock when it wakes up."""
    found = []
    with (
        mb.Run(log_dir, alerts=mb.Alerts(on_alert=found.append)) as run,
        pytest.warns(MultiboardWarning, match="nothing was logged"),
    ):
        for step in range(20):
            run.log({"train/loss": 1.0}, step)
            run.flush()
            clock.now += 1.0
        assert not found
        clock.now += 60.0
        wait_until(lambda: found)
    assert (found[0].rule, found[0].tag, found[0].step) == ("stalled_input", "", 19)
    assert mb.read(log_dir)["."].texts["alerts/stalled_input"].step.tolist() == [19]
