"""Values that come without a step are counted by name."""

import pytest

from multiboard.trainers import StepCounts


@pytest.mark.parametrize(
    ("calls", "steps"),
    [
        ([("a", None), ("b", None), ("a", None), ("b", None)], [0, 0, 1, 1]),
        ([("ab", None), ("a", None), ("ab", None)], [0, 1, 2]),
        ([("a", 7), ("a", None), ("b", None)], [7, 8, 0]),
        ([("a", None), ("a", 0), ("a", None)], [0, 0, 1]),
    ],
)
def test_the_step_is_the_one_after_the_last_of_the_names(calls, steps):
    counts = StepCounts()
    assert [counts.step(names, given) for names, given in calls] == steps


def test_counting_begins_where_a_resumed_run_goes_on():
    assert StepCounts(5).step(["a"], None) == 5
