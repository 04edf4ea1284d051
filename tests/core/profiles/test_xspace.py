"""XSpace files: what is built can be read back, and a file is either whole or not there."""

import gzip

import pytest

from multiboard.errors import ProfileReadError
from multiboard.profile.xspace import PlaneBuilder, SpaceBuilder, XSpace, find_plane, read_space, stats_of, value_of, write_space


def built():
    builder = SpaceBuilder()
    plane = builder.plane("/host:CPU")
    line = plane.line(7, "python", 5)
    line.event("matmul", 1000, 500, {"tf_op": "fc/matmul:matmul", "n": -3, "share": 0.5, "raw": b"\x00", "addr": 2**63}, "shown")
    line.event("matmul", 2000, 500, {"tf_op": "fc/matmul:matmul"}, "shown")
    plane.stat("vendor", "none")
    return builder.space


def test_what_is_built_is_read_back(tmp_path):
    path = tmp_path / "host.xplane.pb"
    size = write_space(built(), path)
    assert path.stat().st_size == size
    space = read_space(path)
    assert space == built()
    plane = find_plane(space, "/host:CPU")
    event = plane.lines[0].events[0]
    assert (plane.lines[0].id, plane.lines[0].timestamp_ns, event.offset_ps, event.duration_ps) == (7, 5, 1000, 500)
    assert plane.event_metadata[event.metadata_id].name == "matmul"
    assert plane.event_metadata[event.metadata_id].display_name == "shown"
    assert stats_of(event, plane) == {"tf_op": "fc/matmul:matmul", "n": -3, "share": 0.5, "raw": b"\x00", "addr": 2**63}
    assert stats_of(plane, plane) == {"vendor": "none"}


def test_names_and_strings_are_kept_once():
    plane = built().planes[0]
    assert len(plane.event_metadata) == 1
    names = [one.name for one in plane.stat_metadata.values()]
    assert len(names) == len(set(names))
    first, second = (event.stats[0] for event in plane.lines[0].events)
    assert first.WhichOneof("value") == "ref_value"
    assert first == second


def test_a_plane_with_content_is_completed_with_its_own_names():
    space = built()
    before = space.planes[0].ByteSize()
    plane = PlaneBuilder(space.planes[0])
    event = space.planes[0].lines[0].events[1]
    plane.add_stat(event.stats, "n", 4)
    assert stats_of(event, plane.message)["n"] == 4
    assert SpaceBuilder(space).plane("/host:CPU").message is space.planes[0]
    assert space.planes[0].ByteSize() - before < 12


def test_a_stat_that_points_nowhere_is_an_empty_string():
    plane = built().planes[0]
    stat = plane.stats.add(metadata_id=99, ref_value=99)
    assert value_of(stat, plane) == ""
    assert stats_of(plane, plane) == {"vendor": "none"}
    assert value_of(plane.stats.add(), plane) is None


@pytest.mark.parametrize("content", [b"no profile", gzip.compress(b"neither", mtime=0), built().SerializeToString()[:-3]])
def test_a_file_that_is_no_profile_is_named(tmp_path, content):
    path = tmp_path / "host.xplane.pb"
    path.write_bytes(content)
    with pytest.raises(ProfileReadError, match=r"host\.xplane\.pb") as caught:
        read_space(path)
    assert caught.value.path == str(path)


def test_nothing_is_left_of_a_file_that_cannot_be_written(tmp_path):
    taken = tmp_path / "host.xplane.pb"
    taken.mkdir()
    with pytest.raises(OSError, match="host"):
        write_space(built(), taken)
    assert [path.name for path in tmp_path.iterdir()] == [taken.name]


def test_an_empty_profile_is_one(tmp_path):
    path = tmp_path / "host.xplane.pb"
    assert write_space(XSpace(), path) == 0
    assert len(read_space(path).planes) == 0
