"""Rank 0 writes the run; the others take all calls, and write nothing, unless each is to have a run of its own."""

import json
import subprocess
import sys

import pytest

import multiboard as mb

EVERYTHING = """
import json, logging, os, sys
import numpy as np
import multiboard as mb
log_dir, arguments = sys.argv[1], json.loads(sys.argv[2])
run = mb.Run(log_dir, config={"lr": 0.1}, **arguments)
found = {"writes": run.writes, "start_step": run.start_step, "log_dir": run.log_dir, "last": run.last_step}
for step in range(run.start_step, run.start_step + 10):
    run.log({"x": float(step)}, step)
    run.histogram("h", np.ones(3), step)
run.text("t", "text", 3)
run.image("i", np.zeros((2, 2)), 3)
run.embedding("e", np.ones((2, 2)))
with run.child("part") as child:
    child.log({"y": 1.0}, 0)
    found["child_writes"] = child.writes
found["flushed"] = run.flush()
found["last"] = run.last_step
run.close()
print(json.dumps(found))
"""


@pytest.fixture
def on_rank(log_dir, monkeypatch):
    """A function that logs everything on a rank of a job, in a process of its own, and returns what that has seen."""

    def start(index, size=4, **arguments):
        for name, value in {"RANK": str(index), "WORLD_SIZE": str(size)}.items():
            monkeypatch.setenv(name, value)
        command = [sys.executable, "-W", "error", "-c", EVERYTHING, str(log_dir), json.dumps(arguments)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return start


def test_rank_0_writes_alone(on_rank, log_dir):
    assert on_rank(0)["writes"]
    before = {path: path.stat().st_mtime_ns for path in log_dir.rglob("*")}
    found = on_rank(3)
    assert (found["writes"], found["child_writes"], found["flushed"], found["last"]) == (False, False, True, 9)
    assert {path: path.stat().st_mtime_ns for path in log_dir.rglob("*")} == before
    assert mb.read(log_dir)["."].scalars["x"].step.tolist() == list(range(10))


def test_a_silent_rank_makes_no_directory(on_rank, log_dir):
    on_rank(1)
    on_rank(1, durable=True)
    assert not log_dir.exists()


def test_a_silent_rank_begins_at_the_step_of_rank_0(on_rank, log_dir):
    on_rank(0)
    with mb.Run(log_dir, resume=True) as first:  # has begun already, and is steps ahead
        first.log({"x": 1.0}, 10)
        first.log({"x": 1.0}, 11)
        first.flush()
        assert on_rank(2, resume=True)["start_step"] == first.start_step == 10


def test_each_rank_can_have_a_run_of_its_own(on_rank, log_dir):
    for index in (0, 3):
        found = on_rank(index, per_rank=True)
        assert (found["writes"], found["log_dir"]) == (True, str(log_dir / f"rank_0000{index}"))
    assert set(mb.read(log_dir)) == {f"rank_0000{index}{part}" for index in (0, 3) for part in ("", "/part")}
    assert on_rank(3, per_rank=True, resume=True)["start_step"] == 10


def test_a_process_alone_has_the_same_directories(log_dir, monkeypatch):
    monkeypatch.delenv("RANK", raising=False)
    with mb.Run(log_dir, per_rank=True) as run:
        assert run.log_dir == str(log_dir / "rank_00000")


def test_no_rank_is_asked_for_with_none(on_rank, log_dir):
    found = on_rank(3, per_rank=None)
    assert (found["writes"], found["log_dir"]) == (True, str(log_dir))
    assert mb.read(log_dir)["."].scalars["x"].step.tolist() == list(range(10))


def test_summary_writers_write_on_every_rank_that_makes_one(log_dir, monkeypatch):
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    with mb.SummaryWriter(log_dir) as writer:
        writer.add_scalar("x", 1.0, 0)
    assert mb.read(log_dir)["."].scalars["x"].value.tolist() == [1.0]


def test_a_silent_rank_asks_nobody_for_facts(log_dir, monkeypatch):
    from multiboard import facts

    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setattr(facts, "gather", lambda: pytest.fail("facts were gathered"))
    reports = []
    with mb.Run(log_dir, on_error=lambda *report: reports.append(report)) as run:
        run.log({"x": 1.0}, 0)
    assert not reports
