"""One real TensorBoard per loader for the whole test run, over one directory in which every test owns runs."""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from multiboard.dashboard import HOST, free_port

if TYPE_CHECKING:
    from pathlib import Path

WITHOUT_TENSORFLOW = "import sys; sys.modules['tensorflow'] = None; from tensorboard.main import run_main; run_main()"
"""TensorBoard as it is where TensorFlow is not installed: it begins and ends in a fifth of the time."""
LOADERS = {"fast": "--load_fast=true", "slow": "--load_fast=false"}
DEADLINE = 120.0


@dataclass
class Board:
    """A running TensorBoard."""

    loader: str
    address: str
    process: subprocess.Popen
    output: Path

    def bytes(self, path, **query):
        url = f"{self.address}{path}?{urllib.parse.urlencode(query)}" if query else f"{self.address}{path}"
        with urllib.request.urlopen(url, timeout=30) as response:
            body = response.read()
            zipped = response.headers["Content-Encoding"] == "gzip"  # XProf zips without being asked
            return gzip.decompress(body) if zipped else body, response.headers["Content-Type"]

    def json(self, path, **query):
        return json.loads(self.bytes(path, **query)[0])

    def post(self, path, body):
        request = urllib.request.Request(self.address + path, json.dumps(body).encode(), {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=30) as response:
            return json.loads(response.read())

    def scalars(self, run, tag):
        return self.json("data/plugin/scalars/scalars", run=run, tag=tag)

    def hparams(self, **query):
        """Return the HParams tab: what it knows of the columns, and the rows by run, of any status."""
        statuses = ["STATUS_UNKNOWN", "STATUS_SUCCESS", "STATUS_FAILURE", "STATUS_RUNNING"]
        request = {"experimentName": "", "allowedStatuses": statuses, "colParams": [], "startIndex": 0, "sliceSize": 10000}
        experiment = self.post("data/plugin/hparams/experiment", {"experimentName": ""})
        groups = self.post("data/plugin/hparams/session_groups", {**request, **query}).get("sessionGroups", [])
        rows = [(session["name"], group) for group in groups for session in group["sessions"]]
        assert len(dict(rows)) == len(rows)
        return experiment, dict(rows)

    def hparams_of_ended(self, runs, ended):
        """Return the HParams tab when it has so many runs, and so many of them to their ends: it may be amid one."""

        def told(answer):
            statuses = [row["sessions"][0].get("status", "STATUS_UNKNOWN") for row in answer[1].values()]
            return len(statuses) == runs and sum(status != "STATUS_UNKNOWN" for status in statuses) == ended

        return self.wait_for(self.hparams, told)

    def ready(self):
        """Return this server when it answers."""
        self.wait_for(lambda: self.json("data/environment"), bool)
        return self

    def wait_for(self, question, accept):
        """Ask until the answer is accepted; return it. Fails at the deadline with the last answer."""
        deadline = time.monotonic() + DEADLINE
        answer = None
        while time.monotonic() < deadline:
            assert self.process.poll() is None, self.output.read_text()[-3000:]
            try:
                answer = question()
                if accept(answer):
                    return answer
            except (urllib.error.URLError, KeyError, ConnectionError) as error:
                answer = error
            time.sleep(0.3)
        raise AssertionError(f"the last answer was {answer!r}")


@pytest.fixture(scope="session")
def board_dir(tmp_path_factory):
    """The directory that both servers read."""
    return tmp_path_factory.mktemp("board")


@contextlib.contextmanager
def serve(log_dir, outputs, *, tensorflow=True, more=()):
    """Start a TensorBoard per loader over a directory, and stop them."""
    main = ["-m", "tensorboard.main"] if tensorflow else ["-c", WITHOUT_TENSORFLOW]
    started = {}
    for loader, option in LOADERS.items():
        output = outputs / f"{loader}.txt"
        port = free_port()
        command = [sys.executable, *main, "--logdir", str(log_dir), "--host", HOST, "--port", str(port)]
        options = [option, "--reload_interval=1", "--samples_per_plugin=scalars=999999999,images=100,text=100"]
        with output.open("w") as sink:
            process = subprocess.Popen([*command, *options, *more], stdout=sink, stderr=sink)
        started[loader] = Board(loader, f"http://{HOST}:{port}/", process, output)
    try:
        yield started
    finally:
        for board in started.values():
            board.process.terminate()
        for board in started.values():
            try:
                board.process.wait(10)
            except subprocess.TimeoutExpired:
                board.process.kill()
                board.process.wait()
    for board in started.values():
        assert "Traceback" not in board.output.read_text()


@pytest.fixture(scope="session")
def serving():
    """The function `serve`."""
    return serve


@pytest.fixture(scope="session")
def without_tensorflow(tmp_path_factory):
    """The variables of a process whose TensorBoard does not find TensorFlow, so that it begins and ends sooner."""
    directory = tmp_path_factory.mktemp("without_tensorflow")
    (directory / "tensorflow.py").write_text("raise ImportError\n")
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(directory), *filter(None, [os.environ.get("PYTHONPATH")])])}


@pytest.fixture(scope="session")
def boards(board_dir, tmp_path_factory):
    with serve(board_dir, tmp_path_factory.mktemp("output")) as started:
        yield started


@pytest.fixture(scope="module")
def own_board_dir(tmp_path_factory):
    """The directory of servers of one test module, for what would change the tabs of all runs."""
    return tmp_path_factory.mktemp("own_board")


@pytest.fixture(scope="module")
def own_boards(own_board_dir, tmp_path_factory):
    with serve(own_board_dir, tmp_path_factory.mktemp("own_output"), tensorflow=False) as started:
        yield started


@pytest.fixture(params=LOADERS)
def own_board(request, own_boards):
    """TensorBoard over the directory of the module, with one of its two loaders, ready to answer."""
    return own_boards[request.param].ready()


@pytest.fixture(params=LOADERS)
def board(request, boards):
    """TensorBoard with one of its two loaders, ready to answer."""
    return boards[request.param].ready()
