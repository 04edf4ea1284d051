"""Processes that are killed lose nothing that was flushed, and what they leave is finished by the next one."""

import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import multiboard as mb
from multiboard.remote import RemoteOptions
from multiboard.remote.store import Store
from multiboard.urls import join

TRAINING = """
import sys, time
import multiboard as mb
from multiboard.remote import RemoteOptions

if __name__ == "__main__":
    run = mb.Run(sys.argv[1], resume=True, remote=RemoteOptions(upload_every=0.1, close_timeout=float(sys.argv[3])))
    child = run.child("validation")
    print("begins", run.start_step, flush=True)
    for step in range(run.start_step, int(sys.argv[2])):
        run.log({"x": float(step), "y": 0.5}, step)
        run.histogram("h", [1.0, 2.0, step], step)
        if step % 10 == 9:
            child.log({"z": float(step)}, step)
            if run.flush():
                print("flushed", step, flush=True)
        time.sleep(0.003)
    run.close()
    print("closed", flush=True)
"""


@pytest.fixture
def start(tmp_path, s3_environment, monkeypatch):
    """What starts a training, whose spool can be reached by this process, too."""
    script = tmp_path / "train.py"
    script.write_text(TRAINING)
    started = []

    def start(url, last, endpoint=None, close_timeout=60):
        if endpoint:
            monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
        process = subprocess.Popen(
            [sys.executable, "-W", "ignore", str(script), url, str(last), str(close_timeout)], stdout=subprocess.PIPE, text=True
        )
        monkeypatch.setenv("AWS_ENDPOINT_URL", s3_environment["AWS_ENDPOINT_URL"])
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
        process.stdout.close()


def wait_until_flushed(process, seconds):
    """Return the first step of a training, and the last one that was flushed when the time is over."""
    word, first = process.stdout.readline().split()
    assert word == "begins"
    due, flushed = time.monotonic() + seconds, int(first) - 1
    for line in process.stdout:
        flushed = int(line.split()[1])
        if time.monotonic() >= due:
            break
    return int(first), flushed


def test_killed_again_and_again_nothing_that_was_flushed_is_lost_and_nothing_doubled(
    start, bucket, proxy, faults, fetched, tmp_path
):
    url, kept = join(bucket, "first"), []
    chance = np.random.default_rng(7)
    for name in ("slow down", "cut after", "internal error"):
        proxy.inject(faults[name], times=2)
        process = start(url, 10**6, proxy.address)
        kept.append(wait_until_flushed(process, chance.uniform(0.1, 0.9)))
        process.kill()
        process.wait()
        proxy.mend()
    last = kept[-1][1] + 50
    assert start(url, last).wait(60) == 0
    runs = mb.read(fetched(url))
    flushed = {step for first, end in kept for step in range(first, end + 1)}
    for tag in ("x", "y"):
        assert runs["."].scalars[tag].step.tolist() == list(range(last))
    assert runs["."].scalars["x"].value.tolist() == list(range(last))
    others = runs["."].histograms["h"].step.tolist(), runs["validation"].scalars["z"].step.tolist()
    for steps, every in zip(others, (1, 10), strict=True):  # which are written after the scalars, so that some were not flushed
        assert steps == sorted(set(steps))
        assert {step for step in flushed if step % every == every - 1} <= set(steps)
    assert not any(run.damage for run in runs.values())
    assert not list((tmp_path / "state" / "multiboard" / "spool").iterdir())


def test_killed_between_upload_and_deletion_a_segment_is_not_sent_again(proxy, bucket, faults, tmp_path):
    url = join(bucket, "first")
    options = RemoteOptions(proxy.options(), close_timeout=0.1)
    proxy.inject(faults["denied"], times=1e9)
    with pytest.warns(mb.MultiboardWarning), mb.Run(url, remote=options) as run:
        run.log({"x": 1.0}, 0)
    proxy.mend()
    (segment,) = tmp_path.glob("state/multiboard/spool/*/first/*.step0")
    Store(url).put(str(segment), segment.name)
    proxy.sizes.clear()
    with mb.Run(url, resume=True, remote=RemoteOptions(proxy.options())) as run:
        run.log({"x": 2.0}, 1)
    assert len(Store(url).list()) == 2
    assert [path.rpartition(".")[2] for path in proxy.sizes] == ["step1"]


def test_a_torn_record_is_cut_and_all_before_it_arrives(start, fetched, tmp_path):
    url = f"file://{tmp_path}/store/first"
    process = start(url, 10**6)
    wait_until_flushed(process, 0.3)
    process.kill()
    process.wait()
    lives = [path for path in tmp_path.glob("state/multiboard/spool/*/first/*") if ".step" not in path.name and path.is_file()]
    for live in lives:
        live.write_bytes(live.read_bytes()[:-3])
    assert lives
    with mb.Run(url, resume=True) as run:
        start_step = run.start_step
        run.log({"x": 0.5}, start_step)
    data = mb.read(fetched(url))["."]
    assert not data.damage
    assert data.scalars["x"].step.tolist() == list(range(start_step + 1))


def test_sigterm_writes_and_uploads_everything(start, bucket, fetched, tmp_path):
    url = join(bucket, "first")
    process = start(url, 10**6)
    _, flushed = wait_until_flushed(process, 0.3)
    process.terminate()
    assert process.wait(60) == -signal.SIGTERM
    data = mb.read(fetched(url))["."]
    assert data.scalars["x"].step.tolist()[: flushed + 1] == list(range(flushed + 1))
    assert data.status == "failure"
    assert not list((tmp_path / "state" / "multiboard" / "spool").iterdir())


def test_two_processes_with_one_url_disturb_neither_each_other_nor_their_spools(start, fetched, tmp_path):
    url = f"file://{tmp_path}/store/first"
    both = [start(url, 60), start(url, 60)]
    for process in both:
        assert process.wait(60) == 0
    steps = mb.read(fetched(url))["."].scalars["x"].step.tolist()
    assert len(steps) >= 60
    assert set(steps) == set(range(60))
    assert not list((tmp_path / "state" / "multiboard" / "spool").iterdir())
