"""Real TensorBoard over a bucket: by itself, and by `multiboard serve`."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

import numpy as np
import pytest

import multiboard as mb
from multiboard.dashboard import HOST, SAMPLES, free_port
from multiboard.remote import RemoteOptions

WITHOUT_TENSORFLOW = "import sys; sys.modules['tensorflow'] = None; from tensorboard.main import run_main; run_main()"
"""Beside TensorFlow, TensorBoard takes the file systems of TensorFlow, which has none for S3."""
DEADLINE = 120.0


def data(address, path, **query):
    with urllib.request.urlopen(f"{address}data/{path}?{urllib.parse.urlencode(query)}", timeout=30) as response:
        return json.loads(response.read())


def points(address, run, tag, plugin="scalars", kind="scalars", **query):
    return data(address, f"plugin/{plugin}/{kind}", run=run, tag=tag, **query)


def wait_for(process, question, accept):
    """Ask until the answer is accepted, and return it."""
    deadline = time.monotonic() + DEADLINE
    answer = None
    while time.monotonic() < deadline:
        assert process.poll() is None
        try:
            answer = question()
            if accept(answer):
                return answer
        except (urllib.error.URLError, ConnectionError) as error:
            answer = error
        time.sleep(0.2)
    raise AssertionError(f"the last answer was {answer!r}")


@contextlib.contextmanager
def running(command, output, environment=None):
    with output.open("w") as sink:
        process = subprocess.Popen(command, stdout=sink, stderr=sink, env=environment)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)
    assert "Traceback" not in output.read_text()


@contextlib.contextmanager
def tensorboard(url, tmp_path):
    """A TensorBoard over a URL."""
    port = free_port()
    options = ["--logdir", url, "--host", HOST, "--port", str(port), "--reload_interval=1", SAMPLES]
    with running([sys.executable, "-c", WITHOUT_TENSORFLOW, *options], tmp_path / "output.txt") as process:
        yield process, f"http://{HOST}:{port}/"


@contextlib.contextmanager
def served(url, tmp_path, *options):
    """`multiboard serve` of a URL, where TensorFlow cannot be imported: TensorBoard begins in a fifth of the time."""
    (tmp_path / "hidden").mkdir()
    (tmp_path / "hidden" / "tensorflow.py").write_text("raise ImportError")
    path = os.pathsep.join(filter(None, [str(tmp_path / "hidden"), os.environ.get("PYTHONPATH")]))
    port = free_port()
    command = [sys.executable, "-m", "multiboard.cli", "serve", url, "--port", str(port), "--refresh", "0.5"]
    command += ["--", "--reload_interval=1", *options]
    with running(command, tmp_path / "output.txt", os.environ | {"PYTHONPATH": path}) as process:
        yield process, f"http://{HOST}:{port}/"


@pytest.fixture
def files(tmp_path):
    """The event files of a run of 40 steps, several, in the order of the steps."""
    directory = tmp_path / "local" / "first"
    with mb.Run(directory, facts=False, max_file_bytes=4000) as run:
        for step in range(40):
            run.scalar("loss", step / 4, step)
            run.histogram("weights", np.arange(step + 2.0), step)
            run.image("picture", np.full((4, 4, 3), step / 40), step)
            run.flush()
    found = sorted(directory.iterdir())
    assert len(found) > 3
    return found


@pytest.mark.parametrize("viewer", [tensorboard, served])
def test_all_segments_of_a_run_are_shown_and_later_ones_appear(viewer, files, s3, bucket, tmp_path):
    def upload(some):
        for file in some:
            s3.upload_file(str(file), bucket.removeprefix("s3://"), f"runs/first/{file.name}")

    upload(files[:2])
    with viewer(f"{bucket}/runs", tmp_path) as (process, address):
        early = wait_for(process, lambda: points(address, "first", "loss"), lambda found: len(found) > 1)
        assert len(early) < 40
        upload(files[2:])
        scalars = wait_for(process, lambda: points(address, "first", "loss"), lambda found: len(found) == 40)
        assert [point[1:] for point in scalars] == [[step, step / 4] for step in range(40)]
        histograms = points(address, "first", "weights", "histograms", "histograms")
        assert [sum(row[2] for row in point[2]) for point in histograms] == [step + 2 for step in range(40)]
        images = points(address, "first", "picture", "images", "images", sample=0)
        assert [image["step"] for image in images] == list(range(40))


def test_tensorboard_opens_a_directory_by_its_url(files, tmp_path):
    with tensorboard(f"file://{files[0].parents[1]}", tmp_path) as (process, address):
        scalars = wait_for(process, lambda: points(address, "first", "loss"), lambda found: len(found) == 40)
    assert [point[2] for point in scalars] == [step / 4 for step in range(40)]


def test_serve_goes_on_while_the_server_is_away(files, s3, bucket, proxy, faults, tmp_path, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.address)
    name = bucket.removeprefix("s3://")
    s3.upload_file(str(files[0]), name, f"runs/first/{files[0].name}")
    with served(f"{bucket}/runs", tmp_path) as (process, address):
        early = wait_for(process, lambda: points(address, "first", "loss"), bool)
        proxy.inject(faults["denied"], method="", times=1000)
        wait_for(process, (tmp_path / "output.txt").read_text, lambda told: "tried again" in told)
        assert points(address, "first", "loss") == early
        proxy.mend()
        for file in files[1:]:
            s3.upload_file(str(file), name, f"runs/first/{file.name}")
        wait_for(process, lambda: points(address, "first", "loss"), lambda found: len(found) == 40)
    told = (tmp_path / "output.txt").read_text()
    assert len(re.findall("tried again", told)) == 1
    assert os.environ["AWS_SECRET_ACCESS_KEY"] not in told


def test_a_run_on_a_url_is_shown_while_it_is_written(bucket, tmp_path):
    with mb.Run(f"{bucket}/runs/live", facts=False, remote=RemoteOptions(upload_every=0.2)) as run:
        run.scalar("loss", 0.0, 0)
        run.flush()
        with tensorboard(f"{bucket}/runs", tmp_path) as (process, address):
            for step in range(1, 4):
                run.scalar("loss", float(step), step)
                run.flush()
                wait_for(process, lambda: points(address, "live", "loss"), lambda found, step=step: len(found) == step + 1)


def test_segments_of_two_writers_that_come_out_of_order_are_all_shown(s3, bucket, tmp_path):
    for writer in range(2):
        with mb.Run(tmp_path / str(writer), facts=False) as run:
            for step in range(5):
                run.scalar(f"loss/{writer}", float(step), step)

    def upload(writer):
        (file,) = (tmp_path / str(writer)).iterdir()
        s3.upload_file(str(file), bucket.removeprefix("s3://"), f"runs/first/events.out.tfevents.1700000000.00000{writer}.host.1")

    upload(1)
    with served(f"{bucket}/runs", tmp_path, "--load_fast=false") as (process, address):
        wait_for(process, lambda: points(address, "first", "loss/1"), lambda found: len(found) == 5)
        upload(0)
        wait_for(process, lambda: points(address, "first", "loss/0"), lambda found: len(found) == 5)
