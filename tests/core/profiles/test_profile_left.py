"""A step that was announced but never came, as at the end of data of unknown length, leaves nothing in the session."""

import pytest

import multiboard as mb
from multiboard.profile.sessions import profiles_of
from multiboard.profile.xspace import find_plane, read_space, stats_of


def steps_in(log_dir):
    (path,) = profiles_of(log_dir).glob("*/*.xplane.pb")
    plane = find_plane(read_space(path), "/host:CPU")
    return [stats_of(event, plane)["step_num"] for line in plane.lines for event in line.events]


def test_a_step_that_was_left_before_it_began_is_marked_when_it_does(toy, log_dir):
    profiler = mb.Profiler(log_dir, start=5, steps=3, warmup=0, convert="now")
    for n in (5, 6, 7):
        profiler.reached(n)
    profiler.left(7)
    for n in (7, 8):
        profiler.reached(n)
    profiler.close()
    assert toy.steps() == [[5, 6, 7, 7]]
    assert steps_in(log_dir) == [5, 6, 7]


@pytest.mark.usefixtures("toy")
def test_a_step_that_was_left_and_never_began_has_no_marker(log_dir):
    profiler = mb.Profiler(log_dir, start=5, steps=2, warmup=0, convert="now")
    profiler.reached(5)
    profiler.reached(6)
    profiler.left(6)
    profiler.reached(7)
    profiler.close()
    assert steps_in(log_dir) == [5]
