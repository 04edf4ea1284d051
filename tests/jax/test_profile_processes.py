"""Each process of a job profiles itself, into a file of its own in the session of all."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

import multiboard as mb
from multiboard.profile.xspace import HOST_PLANE, find_plane, read_space, stats_of

PROGRAM = Path(__file__).parent / "programs" / "profiled_process.py"


@pytest.fixture(scope="module")
def log_dir(tmp_path_factory):
    """The run of two processes that have trained on arrays split over both."""
    log_dir = tmp_path_factory.mktemp("processes")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    environment = os.environ | {"XLA_FLAGS": "--xla_force_host_platform_device_count=2", "JAX_PLATFORMS": "cpu"}
    commands = [[sys.executable, str(PROGRAM), address, str(number), str(log_dir)] for number in range(2)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    processes = [subprocess.Popen(command, env=environment, **pipes) for command in commands]
    try:
        outputs = [process.communicate(timeout=200) for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert [process.returncode for process in processes] == [0, 0], outputs
    first, second = (json.loads(output.splitlines()[-1]) for output, _ in outputs)
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
