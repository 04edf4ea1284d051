"""Two profilers of one process in one profile."""

from multiboard.profile.merge import merge
from multiboard.profile.summary import summarize
from multiboard.profile.xspace import SpaceBuilder, XSpace, find_plane

SECOND = 10**9


def captured(start, *offsets):
    """Return a profile that started at some nanoseconds, with a step and operations at offsets in nanoseconds."""
    builder = SpaceBuilder()
    builder.plane("Task Environment").stat("profile_start_time", start)
    line = builder.plane("/host:CPU").line(1, "main", 7)
    line.event("train", 0, 10**12, {"_r": 1, "step_num": 0})
    for offset in offsets:
        line.event("call", (offset - 7) * 1000, 1000, {"tf_op": "add:add"})
    builder.plane("/device:GPU:0").line(1, "Stream #1").event("kernel", 0, 5)
    return builder.space


def absolute(space, plane, start):
    found = find_plane(space, plane)
    return [start + line.timestamp_ns + event.offset_ps // 1000 for line in found.lines for event in line.events]


def test_events_of_the_other_profile_are_on_the_clock_of_the_first():
    for starts in ((5 * SECOND, 6 * SECOND), (6 * SECOND, 5 * SECOND), (5 * SECOND, 5 * SECOND)):
        main, other = captured(starts[0], 100), captured(starts[1], 50, 2 * SECOND)
        before = summarize(main)
        merge(main, other, "torch")
        expected = [one for one in absolute(other, "/host:CPU", starts[1]) if one >= starts[0]]
        assert absolute(main, "/device:CUSTOM:torch host", starts[0]) == expected
        assert min(line.timestamp_ns for plane in main.planes for line in plane.lines) >= 0
        assert summarize(main) == before
        assert other == captured(starts[1], 50, 2 * SECOND)


def test_devices_of_the_other_profile_are_left_out():
    main = captured(0, 100)
    merge(main, captured(0, 50), "torch")
    names = [plane.name for plane in main.planes]
    assert names == ["Task Environment", "/host:CPU", "/device:GPU:0", "/device:CUSTOM:torch host"]
    assert len({plane.id for plane in main.planes}) == len(names)


def test_nothing_in_the_other_profile_adds_nothing():
    main = captured(0, 100)
    merge(main, XSpace(), "torch")
    assert main == captured(0, 100)


def test_warnings_of_both_are_kept():
    main, other = captured(0), captured(0, 5)
    other.warnings.append("events are left out")
    merge(main, other, "torch")
    assert list(main.warnings) == ["events are left out"]
