"""Which steps are profiled: the schedule, what comes in between, and what ends a window."""

import pytest

from multiboard.profile.schedule import Schedule
from multiboard.profile.window import NEVER, OPEN, WAITING, Windows


def drive(windows, steps, seconds=None):
    """Go through steps, calling only where it is asked for; return what was to be done, by step."""
    done = {}
    for step in steps:
        if step >= windows.next_step:
            actions = windows.reached(step, 0.0 if seconds is None else seconds(step))
            if actions:
                done[step] = " ".join(actions)
    return done


def test_a_window_warms_up_then_marks_its_steps_then_closes():
    windows = Windows(Schedule(5, 3, 2, None, 1), 60)
    expected = {3: "prepare", 5: "start mark", 6: "mark", 7: "mark", 8: "close"}
    assert drive(windows, range(20)) == expected
    assert windows.next_step == NEVER


def test_nothing_is_called_before_the_first_step_that_warms_up():
    windows = Windows(Schedule(500, 7, 2, None, 1), 60)
    windows.reached(0, 0.0)
    assert windows.next_step == 498


def test_a_window_at_the_very_beginning_begins_when_it_has_warmed_up():
    assert drive(Windows(Schedule(0, 2, 3, None, 1), 60), range(9)) == {0: "prepare", 3: "start mark", 4: "mark", 5: "close"}


def test_without_a_warm_up_the_first_step_can_be_captured():
    assert drive(Windows(Schedule(0, 2, 0, None, 1), 60), range(9)) == {0: "start mark", 1: "mark", 2: "close"}


@pytest.mark.parametrize(("repeat", "begins"), [(1, [5]), (2, [5, 15]), (0, [5, 15, 25, 35])])
def test_windows_repeat_as_often_as_they_are_asked_for(repeat, begins):
    done = drive(Windows(Schedule(5, 3, 2, 10, repeat), 60), range(40))
    assert [step for step, actions in done.items() if "start" in actions] == begins


def test_windows_without_a_gap_close_and_begin_at_the_same_step():
    done = drive(Windows(Schedule(2, 2, 1, 2, 3), 60), range(12))
    assert done[4] == done[6] == "close start mark"
    assert done[8] == "close"


@pytest.mark.parametrize(("first", "begins"), [(5, [7, 15, 25]), (6, [15, 25]), (13, [15, 25]), (14, [16, 25]), (15, [17, 25])])
def test_a_resumed_training_takes_the_next_window_that_it_can_warm_up_for(first, begins):
    done = drive(Windows(Schedule(5, 3, 2, 10, 0), 60), range(first, 29))
    assert [step for step, actions in done.items() if "start" in actions] == begins


def test_a_training_that_is_resumed_behind_the_only_window_captures_nothing():
    windows = Windows(Schedule(5, 3, 2, None, 1), 60)
    assert drive(windows, range(6, 30)) == {}
    assert windows.coming is None


def test_windows_of_the_process_before_count_as_repeated():
    done = drive(Windows(Schedule(5, 3, 2, 10, 2), 60), range(8, 60))
    assert [step for step, actions in done.items() if "start" in actions] == [15]


def test_steps_that_are_never_named_do_not_lose_a_window():
    done = drive(Windows(Schedule(500, 7, 2, None, 1), 60), range(0, 1000, 32))
    assert done == {512: "start mark", 544: "close"}


def test_windows_that_are_jumped_over_are_one_window():
    done = drive(Windows(Schedule(5, 3, 2, 10, 0), 60), [0, 42, 50, *range(51, 60)])
    assert [step for step, actions in done.items() if "start" in actions] == [42, 50, 55]


def test_a_step_before_the_last_one_closes_a_window():
    windows = Windows(Schedule(5, 3, 0, None, 1), 60)
    assert drive(windows, [4, 5, 6, 0, 1]) == {5: "start mark", 6: "mark", 0: "close"}
    assert windows.why == "step 0 came after step 6"


def test_a_step_that_was_only_guessed_may_be_followed_by_a_smaller_one():
    windows = Windows(Schedule(5, 10, 0, None, 1), 60)
    assert windows.reached(5, 0.0) == ("start", "mark")
    assert windows.reached(9, 0.0, guessed=True) == ("mark",)
    assert windows.reached(6, 0.0) == ("mark",)
    assert windows.reached(4, 0.0) == ("close",)


def test_the_same_step_again_changes_nothing():
    windows = Windows(Schedule(5, 3, 0, None, 1), 60)
    assert drive(windows, [5, 5, 5, 6, 6]) == {5: "start mark", 6: "mark"}


def test_a_window_closes_at_the_first_step_after_its_seconds():
    windows = Windows(Schedule(5, 100, 0, None, 1), 60)
    done = drive(windows, range(200), seconds=lambda step: step * 13.0)
    assert list(done) == [5, 6, 7, 8, 9, 10]
    assert done[10] == "close"
    assert windows.why == "max_seconds=60 have passed"


def test_a_window_that_is_over_in_time_is_not_called_early():
    windows = Windows(Schedule(5, 2, 0, None, 1), 60)
    assert drive(windows, range(10), seconds=lambda step: step * 100.0)[6] == "close"
    assert windows.why
    windows = Windows(Schedule(5, 1, 0, None, 1), 60)
    assert drive(windows, range(10), seconds=lambda step: step * 100.0)[6] == "close"
    assert not windows.why


def test_a_demand_opens_a_window_at_the_next_step_and_the_schedule_goes_on():
    windows = Windows(Schedule(50, 2, 2, None, 1), 60)
    drive(windows, range(10))
    windows.demand()
    done = drive(windows, range(10, 60))
    assert done == {10: "start mark", 11: "mark", 12: "close", 48: "prepare", 50: "start mark", 51: "mark", 52: "close"}


def test_a_demand_while_a_window_warms_up_is_that_window():
    windows = Windows(Schedule(50, 2, 4, None, 1), 60)
    drive(windows, range(48))
    windows.demand()
    assert drive(windows, range(48, 70)) == {48: "start mark", 49: "mark", 50: "close"}


def test_without_a_schedule_only_a_demand_opens_a_window():
    windows = Windows(Schedule(None, 2, 2, None, 1), 60)
    assert drive(windows, range(10)) == {}
    assert windows.next_step == NEVER
    windows.demand()
    assert drive(windows, range(10, 20)) == {10: "start mark", 11: "mark", 12: "close"}


def test_a_compilation_puts_off_a_window_that_has_not_begun():
    windows = Windows(Schedule(5, 2, 3, None, 1), 60)
    done = drive(windows, range(4))
    windows.compiled()
    done |= drive(windows, range(4, 20))
    assert done == {2: "prepare", 7: "start mark", 8: "mark", 9: "close"}


def test_a_compilation_in_a_window_changes_nothing():
    windows = Windows(Schedule(5, 3, 2, None, 1), 60)
    drive(windows, range(6))
    windows.compiled()
    assert windows.state == OPEN
    assert drive(windows, range(6, 20)) == {6: "mark", 7: "mark", 8: "close"}


def test_a_window_that_was_given_up_while_it_warmed_up_does_not_come_again():
    windows = Windows(Schedule(5, 3, 2, 10, 2), 60)
    assert drive(windows, range(4)) == {3: "prepare"}
    windows.closed()
    assert windows.state == WAITING
    done = drive(windows, range(4, 40))
    assert [step for step, actions in done.items() if "start" in actions] == [15]


def test_a_pause_lets_the_same_step_be_marked_again():
    windows = Windows(Schedule(5, 3, 0, None, 1), 60)
    drive(windows, [5, 6])
    windows.paused()
    assert drive(windows, [6, 7, 8]) == {6: "mark", 7: "mark", 8: "close"}


def test_of_two_that_count_the_same_updates_the_first_begins_the_steps():
    windows = Windows(Schedule(5, 3, 0, None, 1), 60)
    numbers = [4, 5, 4, 5, 5, 6, 5, 6, 6, 7, 6, 7, 7, 8, 7, 8]
    done = [(step, windows.reached(step, 0.0)) for step in numbers if step >= windows.next_step]
    assert [one for one in done if one[1]] == [(5, ("start", "mark")), (6, ("mark",)), (7, ("mark",)), (8, ("close",))]


def test_a_training_that_compiles_at_every_step_is_profiled_all_the_same():
    windows, begins = Windows(Schedule(5, 2, 3, 100, 0), 60), []
    for step in range(200):
        windows.compiled()
        begins += [step] * ("start" in windows.reached(step, 0.0))
    assert begins == [35, 135]
