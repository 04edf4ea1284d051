"""A run that somebody may write is left alone."""

from pathlib import Path

import pytest

import multiboard as mb
from multiboard.retention import rewriting
from multiboard.retention.deletion import delete
from multiboard.retention.lives import held, opened_for_writing
from multiboard.retention.policy import Limits
from multiboard.retention.rewriting import rewrite

LIVE = """
import sys, time, multiboard as mb
run = mb.Run(sys.argv[1])
run.log({"x": 1.0}, 0)
run.flush()
print("written", flush=True)
time.sleep(60)
"""
OPEN = """
import sys, time
file = open(sys.argv[1] + "/events.out.tfevents.1", "ab")
print("opened", flush=True)
time.sleep(60)
"""


def contents(directory):
    return {path.name: path.read_bytes() for path in directory.iterdir()}


@pytest.mark.parametrize("touch", [rewrite, lambda path, **idle: rewrite(path, Limits(2, 2, 2), **idle), delete])
def test_a_run_of_another_process(log_dir, start_python, end, touch):
    process = start_python(LIVE, log_dir)
    before = contents(log_dir)
    found = touch(log_dir, idle=0.0)
    assert found.left_alone.endswith("is being written")
    assert contents(log_dir) == before
    end(process, lambda process: process.kill())


def test_a_file_that_another_logger_holds_open(log_dir, start_python, end):
    log_dir.mkdir()
    process = start_python(OPEN, log_dir)
    found = rewrite(log_dir, idle=0.0, opened=opened_for_writing())
    assert found.left_alone == "events.out.tfevents.1 is open for writing in a process of this computer"
    end(process, lambda process: process.kill())


def test_a_file_that_somebody_only_reads_is_no_obstacle(resumed):
    file = next(resumed.iterdir())
    this = file.stat().st_dev, file.stat().st_ino
    with file.open("rb"):
        assert this not in opened_for_writing()
    with file.open("ab"):
        assert this in opened_for_writing()


def test_a_run_that_was_written_a_moment_ago(log_dir):
    with mb.Run(log_dir) as run:
        run.log({"x": 1.0}, 0)
    assert "has to rest for 3600 s" in rewrite(log_dir).left_alone
    assert "has to rest for 3600 s" in delete(log_dir).left_alone
    assert rewrite(log_dir, idle=0.0).left_alone == ""


@pytest.mark.parametrize("from_inside", [False, True])
def test_a_run_that_waits_for_its_upload(resumed, monkeypatch, from_inside):
    for name in ("spool.json", "lock"):
        (resumed.parent / name).touch()
    if from_inside:
        monkeypatch.chdir(resumed)
    assert "is a spool" in rewrite(Path() if from_inside else resumed).left_alone


def test_a_run_at_which_another_command_works(resumed):
    with held(resumed) as free:
        assert free
        assert rewrite(resumed).left_alone == "another command is at work on it"
    assert rewrite(resumed).left_alone == ""


@pytest.mark.parametrize("begins", ["resumes", "appends"])
def test_a_run_that_somebody_begins_to_write_meanwhile(resumed, monkeypatch, begins):
    class Slow(rewriting.Merger):
        """While it reads, the run goes on."""

        def pieces(self):
            yield from super().pieces()
            if begins == "resumes":
                with mb.Run(resumed, resume=True) as run:
                    run.log({"train/loss": 0.0}, 80)
            else:
                with max(resumed.glob("events*")).open("ab") as file:
                    file.write(b"more")

    monkeypatch.setattr(rewriting, "Merger", Slow)
    files = {path.name for path in resumed.iterdir()}
    done = rewrite(resumed)
    assert done.left_alone == "somebody has begun to write it"
    assert done.after == done.before
    there = {path.name for path in resumed.iterdir()}
    assert files <= there
    assert not [name for name in there if name.endswith((".whole", ".part"))]
    assert len(there - files) == (begins == "resumes")


def test_a_file_that_grows_at_the_last_moment_stays(resumed, monkeypatch):
    first = min(resumed.iterdir())
    replace = Path.replace

    def grow(part, target):
        with first.open("ab") as file:
            file.write(b"more")
        return replace(part, target)

    monkeypatch.setattr(Path, "replace", grow)
    assert rewrite(resumed).left_alone == f"{first.name} has just grown and stays"
    assert first.read_bytes().endswith(b"more")
