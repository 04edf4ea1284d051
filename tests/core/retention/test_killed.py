"""Wherever a compaction is killed, the run is whole and nothing in it is there twice."""

import shutil
import signal

import multiboard as mb
from multiboard.retention.rewriting import rewrite

KILLED = """
import os, signal, sys
from pathlib import Path
from multiboard.retention.rewriting import rewrite

left = int(sys.argv[2])

def hook(event, arguments):
    global left
    if event in {"os.rename", "os.remove", "os.utime", "os.chmod"} or (event == "open" and ".part" in str(arguments[0])):
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(hook)
rewrite(Path(sys.argv[1]))
"""


def test_before_every_step_of_it(resumed, tmp_path, run_python, assert_equal):
    before = mb.read(resumed)["."]
    files = len(list(resumed.iterdir()))
    seen = []
    for number in range(100):
        copy = tmp_path / f"killed-{number}"
        shutil.copytree(resumed, copy)
        status = run_python(KILLED, copy, number).returncode
        assert_equal(mb.read(copy)["."], before)
        if status == 0:
            break
        assert status == -signal.SIGKILL
        there = list(copy.iterdir())
        seen.append((len(there), any(path.suffix == ".whole" for path in there), any(path.suffix == ".part" for path in there)))
        assert rewrite(copy).left_alone == ""
        assert_equal(mb.read(copy)["."], before)
        assert len(list(copy.iterdir())) == 1
    assert status == 0
    assert (files, False, False) in seen  # before anything was written
    assert (files + 1, False, True) in seen  # behind the writing
    assert (files + 1, True, False) in seen  # behind the rename
    assert (2, True, False) in seen  # before the last deletion


def test_left_overs_do_not_count_when_a_run_goes_on(resumed, run_python, steps, tmp_path):
    for number in range(100):
        copy = tmp_path / f"killed-{number}"
        shutil.copytree(resumed, copy)
        run_python(KILLED, copy, number)
        if sum(path.suffix == ".whole" for path in copy.iterdir()):
            break
    assert len(list(copy.iterdir())) > 2
    with mb.Run(copy, resume=True) as run:
        assert run.start_step == 80
        run.log({"train/loss": 0.0}, 80)
    assert steps(copy, "train/loss") == [*range(60), *range(40, 81)]
