"""Each process of a job profiles itself, into a file of its own in the session of all."""

import pytest

import multiboard as mb
from multiboard.profile.xspace import HOST_PLANE, find_plane, read_space, stats_of


@pytest.fixture(scope="module")
def log_dir(tmp_path_factory, two_processes):
    """The run of two processes that have trained on arrays split over both."""
    log_dir = tmp_path_factory.mktemp("processes")
    first, second = two_processes("profiled_process.py", str(log_dir))
    assert first == second
    return log_dir


def test_a_session_has_the_file_of_every_process_with_the_same_steps(log_dir):
    (session,) = (log_dir / "plugins" / "profile").iterdir()
    files = sorted(session.glob("*.xplane.pb"))
    assert [file.name for file in files] == ["rank0.xplane.pb", "rank1.xplane.pb"]
    for file in files:
        plane = find_plane(read_space(file), HOST_PLANE)
        found = [
            stats_of(event, plane)["step_num"]
            for line in plane.lines
            for event in line.events
            if plane.event_metadata[event.metadata_id].name == "train"
        ]
        assert found == [4, 5]


def test_process_0_logs_the_summary(log_dir):
    assert mb.read(log_dir)["."].scalars["profile/step_ms"].step.tolist() == [4]
