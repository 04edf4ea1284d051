"""`multiboard serve` finds a port, passes options on, shows every point and says how the page is reached from elsewhere."""

import json
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request

import pytest
from click.testing import CliRunner

import multiboard as mb
from multiboard.access import PORT, access_notes, usual_port
from multiboard.cli import main

LISTEN = "import runpy, signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
"""A test run in the background is started with SIGINT ignored, and hands that on."""
SSH = {"SSH_CONNECTION": "10.0.0.2 50000 10.0.0.1 2222"}


class Page:
    """A dashboard that the command has opened, and what the command said."""

    def __init__(self, process, lines):
        self.process = process
        self.said = []
        for _ in range(lines):
            self.said.append(process.stdout.readline().strip())
        self.address = self.said[1].split()[3]

    def json(self, path):
        with urllib.request.urlopen(self.address + path, timeout=60) as response:
            return json.load(response)


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    """A file into which a browser writes the address that it opens."""
    directory = tmp_path_factory.mktemp("browser")
    script = directory / "browser"
    script.write_text(f'#!/bin/sh\necho "$1" > {directory / "opened"}\n')
    script.chmod(0o755)
    return script, directory / "opened"


@pytest.fixture(scope="module")
def page(tmp_path_factory, opened, without_tensorflow):
    """A dashboard over one run of 1,500 steps and another one that two processes write."""
    log_dir = tmp_path_factory.mktemp("runs")
    with mb.Run(log_dir / "long") as run:
        for step in range(1500):
            run.log({"x": float(step)}, step)
    writers = [mb.Run(log_dir / "shared", per_rank=None, on_error=lambda *_: None) for _ in range(2)]
    for number, writer in enumerate(writers):
        writer.log({f"writer-{number}": 1.0}, 0)
        writer.flush()
    command = [sys.executable, "-c", LISTEN + "runpy.run_module('multiboard.cli', run_name='__main__')", "serve", str(log_dir)]
    options = ["--path-prefix", "board/", "--open", "--", "--window_title", "a title", "--load_fast=false", "--reload_interval=1"]
    environment = {**without_tensorflow, **SSH, "http_proxy": "http://127.0.0.1:9", "BROWSER": f"{opened[0]} %s"}
    environment |= {"no_proxy": "", "NO_PROXY": ""}
    for name in ("VSCODE_IPC_HOOK_CLI", "JUPYTERHUB_SERVICE_PREFIX", "COLAB_RELEASE_TAG", "JPY_PARENT_PID"):
        environment.pop(name, None)
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            other.bind(("127.0.0.1", PORT))
            other.listen()
        except OSError:
            pass  # somebody else has it
        process = subprocess.Popen([*command, *options], stdout=subprocess.PIPE, text=True, env=environment)
        try:
            yield Page(process, 3)
        finally:
            for writer in writers:
                writer.close()
            process.send_signal(signal.SIGINT)
            with process:
                process.wait(timeout=60)
                rest = process.stdout.read()  # `communicate` would lose what was read ahead with the first lines
    assert process.returncode == 0
    assert "Port 6006 is taken, so this is another one." in rest
    assert "TensorBoard looks at all of them (--reload_multifile=true)" in rest


def test_the_page_lies_below_the_prefix_on_a_port_that_was_free(page):
    assert page.address.endswith("/board/")
    assert f":{PORT}/" not in page.address
    assert "long" in page.json("data/runs")
    port = page.address.split(":")[2].split("/")[0]
    with pytest.raises(urllib.error.HTTPError):
        urllib.request.urlopen(f"http://127.0.0.1:{port}/data/runs", timeout=60)


def test_what_stands_behind_two_dashes_goes_to_tensorboard(page):
    assert page.json("data/environment")["window_title"] == "a title"


def test_every_point_of_a_curve_is_there(page):
    assert len(page.json("data/plugin/scalars/scalars?run=long&tag=x")) == 1500


def test_all_live_files_of_a_run_are_looked_at(page):
    for number in range(2):
        assert len(page.json(f"data/plugin/scalars/scalars?run=shared&tag=writer-{number}")) == 1


def test_the_tunnel_through_ssh_is_a_line_to_copy(page):
    port = page.address.split(":")[2].split("/")[0]
    assert f"  ssh -N -L {port}:127.0.0.1:{port} " in page.said[2]
    assert "@10.0.0.1 -p 2222  and open " in page.said[2]
    assert page.address in page.said[2]


def test_a_browser_opens_the_page_if_that_is_wanted(page, opened):
    assert opened[1].read_text().strip() == page.address


@pytest.mark.parametrize("option", ["--logdir=x", "--bind_all", "--host", "--bind", "--port=1", "--path_prefix=/x"])
def test_options_that_the_command_sets_are_not_passed_on(tmp_path, option):
    done = CliRunner().invoke(main, ["serve", str(tmp_path), "--", option])
    assert done.exit_code == 2
    assert f"{option.partition('=')[0]} cannot be passed on" in done.output


def test_the_usual_port_is_taken_if_it_is_free_and_never_if_it_is_not():
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            other.bind(("127.0.0.1", PORT))
        except OSError:
            assert usual_port() != PORT
            return
        other.listen()
        assert usual_port() != PORT
    assert usual_port() == PORT


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"SSH_CONNECTION": "10.0.0.2 50000 10.0.0.1 22"}, "@10.0.0.1  and open http://127.0.0.1:7000/x/ there."),
        ({"JUPYTERHUB_SERVICE_PREFIX": "/user/a/"}, "/user/a/proxy/7000/"),
        ({"COLAB_RELEASE_TAG": "1"}, "%tensorboard --logdir 'my runs'"),
        ({"JPY_PARENT_PID": "1"}, "multiboard.show('my runs')"),
        ({"VSCODE_IPC_HOOK_CLI": "x"}, "VS Code forwards port 7000"),
    ],
)
def test_each_place_has_its_way_to_the_page(environment, said):
    everywhere = len(list(access_notes("my runs", 7000, "/x", {})))
    notes = list(access_notes("my runs", 7000, "/x", environment))
    assert len(notes) > everywhere
    assert said in "\n".join(notes)
