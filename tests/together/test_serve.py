"""`multiboard serve` opens the dashboard on this computer alone and says what its Profile tab needs."""

import io
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request

import pytest
from rich.console import Console

import multiboard as mb
from multiboard import dashboard
from multiboard.cli_serve import wait_for_end
from multiboard.profile.xspace import SpaceBuilder, write_space

ADDRESS = re.compile(r"http://127\.0\.0\.1:\d+/\S*")


@pytest.fixture
def runs(tmp_path):
    """A run with a session of one step."""
    with mb.Run(tmp_path / "one") as run:
        run.log({"train/loss": 1.0}, 0)
    session = tmp_path / "one" / "plugins" / "profile" / "step_000500"
    session.mkdir(parents=True)
    builder = SpaceBuilder()
    line = builder.plane("/host:CPU").line(1, "python", 0)
    line.event("train", 0, 10**9, {"_r": 1, "step_num": 500})
    write_space(builder.space, session / "rank0.xplane.pb")
    return tmp_path


@pytest.fixture
def serve(runs, without_tensorflow):
    """A function that runs the command."""
    return lambda *arguments, **options: _serve(runs, without_tensorflow, *arguments, **options)


def _serve(runs, environment, lines, before="pass", end=signal.SIGINT):
    """Return the first lines that the command prints, and how the addresses in them answered, until a signal ends it."""
    # A test run in the background is started with SIGINT ignored, and hands that on.
    listen = f"import runpy, signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); {before}; "
    start = [sys.executable, "-c", listen + "runpy.run_module('multiboard.cli', run_name='__main__')", "serve", str(runs)]
    process = subprocess.Popen(start, stdout=subprocess.PIPE, text=True, env=environment)
    try:
        printed = [next(process.stdout).strip() for _ in range(lines)]
        answers = []
        for address in ADDRESS.findall("\n".join(printed)):
            with urllib.request.urlopen(address, timeout=60) as response:
                answers.append(response.status)
    finally:
        process.send_signal(end)
        assert process.wait(30) == 0
        process.stdout.close()
    return printed, answers


def test_the_command_that_is_printed_can_be_pasted_whatever_the_directory_is_called(tmp_path):
    assert shlex.split(dashboard.command_line(tmp_path / "my runs; $HOME"))[:3] == [
        "tensorboard", "--logdir", str(tmp_path / "my runs; $HOME")
    ]  # fmt: skip


def test_it_names_timelines_that_open_without_the_internet(serve):
    printed, answers = serve(4)
    assert "need the internet in the browser" in printed[2]
    assert "step_000500" in printed[3]
    assert answers == [200, 200]


def test_it_says_how_to_install_what_shows_profiles(serve):
    printed, _ = serve(3, before="sys.modules['xprof'] = None")
    assert "pip install 'multiboard[profile]'" in printed[2]


def test_whoever_ends_the_command_ends_tensorboard(serve):
    printed, answers = serve(2, end=signal.SIGTERM)
    assert answers == [200]
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(ADDRESS.search(printed[1])[0], timeout=10)


def test_a_port_that_somebody_listens_on_is_refused_at_once(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        command = [sys.executable, "-m", "multiboard.cli", "serve", str(tmp_path), "--port", str(port)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert f"port {port} of 127.0.0.1 cannot be had" in done.stderr


def test_a_dashboard_that_ends_by_itself_is_an_error(tmp_path):
    port = dashboard.free_port()
    answers_once = (
        "import http.server as http; "
        f"http.HTTPServer(('127.0.0.1', {port}), http.SimpleHTTPRequestHandler).handle_request(); exit(3)"
    )
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "environment").touch()
    process = subprocess.Popen([sys.executable, "-c", answers_once], cwd=tmp_path, stderr=subprocess.DEVNULL)
    with pytest.raises(dashboard.DashboardError, match="ended with code 3"):
        wait_for_end(process, f"http://127.0.0.1:{port}/", Console(file=io.StringIO()))


def test_profiles_that_are_gone_or_named_by_any_bytes_are_no_obstacle(runs):
    session = runs / "one" / "plugins" / "profile" / "step_000500"
    (session / "gone.xplane.pb").symlink_to(runs / "nowhere")
    (runs / "one").rename(runs / os.fsdecode(b"\xff"))
    assert "run%3D%25FF%252Fstep_000500" in list(dashboard.profile_notes(runs, "http://127.0.0.1:1/"))[1]


def test_a_directory_that_does_not_exist_is_one_sentence(tmp_path):
    command = [sys.executable, "-m", "multiboard.cli", "serve", str(tmp_path / "no")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "does not exist" in done.stderr
