"""TensorBoard shows the same of a run before, during and after its files are merged, with both loaders."""

import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest

import multiboard as mb
from multiboard.records import frame, unframe
from multiboard.retention.policy import Limits
from multiboard.retention.rewriting import rewrite

KILLED = """
import os, signal, sys
from pathlib import Path
from multiboard.retention.rewriting import rewrite

left = int(sys.argv[2])

def hook(event, arguments):
    global left
    if event in {"os.rename", "os.remove"}:
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(hook)
rewrite(Path(sys.argv[1]), idle=0.0)
"""
PLACE = "compacted"
LIVE = {"fast": "live of the fast loader", "slow": "live of the slow loader"}
STATES = ("before", "behind the writing", "behind the rename", "behind a deletion", "after")


def write(run, begin, end):
    random = np.random.default_rng(begin)
    for step in range(begin, end):
        run.log({"train/loss": 1 / (step + 1)}, step)
        if step % 4 == 0:
            run.histogram("params/kernel", random.normal(size=300), step)
            run.image("picture", random.random((8, 8, 3)), step)


@pytest.fixture(scope="module")
def states(board_dir, tmp_path_factory):
    """The run in each state, and one of another logger, which has no SessionLog."""
    made = tmp_path_factory.mktemp("states") / PLACE
    with mb.Run(made / "before", config={"lr": 0.5}, max_file_bytes=9000) as run:
        write(run, 0, 60)
    with mb.Run(made / "before", resume=True, max_file_bytes=9000) as run:
        write(run, 40, 80)
    foreign = made / "foreign before"
    foreign.mkdir()
    for number in range(2):
        with mb.SummaryWriter(made / "written") as writer:
            for step in range(20 * number, 20 * number + 20):
                writer.add_scalar("train/loss", step, step)
        (file,) = (made / "written").iterdir()
        _without_start(file, foreign / f"events.out.tfevents.170000000{number}.host")
        shutil.rmtree(made / "written")
    for prefix in ("", "foreign "):
        for kills, state in enumerate(STATES[1:-1]):
            _kill(made / f"{prefix}before", made / f"{prefix}{state}", kills)
        shutil.copytree(made / f"{prefix}before", made / f"{prefix}after")
        assert rewrite(made / f"{prefix}after", idle=0).left_alone == ""
        assert len(list((made / f"{prefix}after").iterdir())) == 1
    for name in LIVE.values():
        shutil.copytree(made / "before", made / name)
    shutil.copytree(made / "before", made / "thinned")
    assert rewrite(made / "thinned", Limits(media=3, histograms=5), idle=0).thinned
    return made.rename(board_dir / PLACE)  # all of them at once: no server sees how they come about


def _without_start(file, target):
    records = list(unframe(file.read_bytes(), []))
    target.write_bytes(b"".join(frame(record) for number, record in enumerate(records) if number != 1))


def _kill(run, copy, kills):
    shutil.copytree(run, copy)
    done = subprocess.run([sys.executable, "-c", KILLED, str(copy), str(kills)], timeout=60, check=False)
    assert done.returncode == -signal.SIGKILL
    assert len(list(copy.iterdir())) > 1


def numbers(points):
    return [(step, value) for _, step, value in points]


@pytest.fixture(scope="module")
def seen():
    """The loaders that have read all runs."""
    return set()


@pytest.fixture
def ready(states, board, seen):
    """A board that has read all runs to their ends."""
    if board.loader not in seen:
        board.wait_for(
            lambda: {scalars(board, run.name)[-1][0] for run in states.iterdir()},
            lambda last: last == {79, 39},
        )
        seen.add(board.loader)
    return board


def scalars(board, run):
    return [(step, value) for _, step, value in board.scalars(f"{PLACE}/{run}", "train/loss")]


@pytest.mark.parametrize("state", STATES[1:])
def test_every_state_shows_what_was_there_before(ready, state):
    line = scalars(ready, "before")
    assert [step for step, _ in line] == list(range(80))
    assert scalars(ready, state) == line
    for path, tag in (("histograms/histograms", "params/kernel"), ("images/images", "picture")):
        before, now = (ready.json(f"data/plugin/{path}", run=f"{PLACE}/{run}", tag=tag) for run in ("before", state))
        assert len(before) >= 20
        assert [point.get("step") if isinstance(point, dict) else point[1:] for point in now] == [
            point.get("step") if isinstance(point, dict) else point[1:] for point in before
        ]


@pytest.mark.parametrize("state", STATES[1:])
def test_so_does_every_state_of_a_run_without_session_log(ready, state):
    line = scalars(ready, "foreign before")
    assert [step for step, _ in line] == list(range(40))
    assert scalars(ready, f"foreign {state}") == line


def test_a_thinned_run_shows_all_scalars_and_the_histograms_that_are_left(ready):
    assert scalars(ready, "thinned") == scalars(ready, "before")
    histograms = ready.json("data/plugin/histograms/histograms", run=f"{PLACE}/thinned", tag="params/kernel")
    assert [point[1] for point in histograms] == [0, 20, 40, 56, 76]
    images = ready.json("data/plugin/images/images", run=f"{PLACE}/thinned", tag="picture")
    assert [image["step"] for image in images] == [0, 40, 76]


def test_hyper_parameters_are_there_once(ready, states):
    runs = [f"{PLACE}/{run.name}" for run in states.iterdir() if not run.name.startswith("foreign")]
    _, rows = ready.hparams()
    mine = {name: row for name, row in rows.items() if name.startswith(f"{PLACE}/")}
    assert sorted(mine) == sorted(runs)
    assert {row["hparams"]["lr"] for row in mine.values()} == {0.5}


def test_a_server_that_has_read_the_run_need_not_begin_again(ready, states):
    name = LIVE[ready.loader]
    line = scalars(ready, name)
    assert rewrite(states / name, idle=0).changed
    with mb.Run(states / name, resume=True) as run:
        write(run, 80, 90)
    found = ready.wait_for(lambda: scalars(ready, name), lambda found: found[-1][0] == 89)
    assert found[:80] == line
    assert [step for step, _ in found] == list(range(90))
