"""TensorBoard shows all that eight processes have flushed, though they begin at the same moment and are killed and resumed."""

import os
import random
import subprocess
import sys
import time

import pytest

PLACE = "ranks"
PROCESSES, LIVES, STEPS = 8, 2, 30
WORKER = """
import os, signal, sys, time
import multiboard as mb
log_dir, index, first, last, begin, shared = sys.argv[1], *map(int, sys.argv[2:5]), float(sys.argv[5]), sys.argv[6] == "shared"
while time.time() < begin:
    pass
options = {"resume": "add", "per_rank": None} if shared else {"resume": True, "per_rank": True}
run = mb.Run(log_dir, **options)
assert shared or run.start_step == first, (run.start_step, first)
for step in range(first, last):
    run.log({f"x/{index}": float(step)}, step)
assert run.flush()
run.log({f"x/{index}": -1.0}, last) if shared else None  # may come to the file or not
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture(scope="module")
def flushed(board_dir, tmp_path_factory):
    """The number of points of each process by mode; all is written when TensorBoard sees it.

    While several processes write into one directory, its Python loader needs --reload_multifile=true.
    """
    made = tmp_path_factory.mktemp("ranks") / PLACE
    points = {mode: write(made / mode, mode) for mode in ("shared", "each")}
    made.rename(board_dir / PLACE)
    return points


def write(log_dir, mode):
    """Let all processes begin at the same moment and be killed, twice; return how many points each has flushed."""
    rng, done = random.Random(3), [0] * PROCESSES  # noqa: S311  # no secret
    for _ in range(LIVES):
        begin = time.time() + 1.0
        ends = [first + rng.randint(1, STEPS) for first in done]
        started = []
        for index, (first, last) in enumerate(zip(done, ends, strict=True)):
            command = [sys.executable, "-W", "ignore", "-c", WORKER, *map(str, (log_dir, index, first, last, begin, mode))]
            environment = os.environ | {"RANK": str(index), "WORLD_SIZE": str(PROCESSES)}
            started.append(subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True))
        errors = [process.communicate(timeout=60)[1] for process in started]
        assert [process.returncode for process in started] == [-9] * PROCESSES, errors
        done = ends
    return done


@pytest.mark.parametrize("mode", ["shared", "each"])
def test_every_flushed_point_is_shown(mode, flushed, board):
    for index, points in enumerate(flushed[mode]):
        run = f"{PLACE}/{mode}" if mode == "shared" else f"{PLACE}/{mode}/rank_0000{index}"
        shown = board.wait_for(
            lambda: board.scalars(run, f"x/{index}"),  # noqa: B023  # called at once
            lambda found: len(found) >= points,  # noqa: B023
        )
        assert [(step, value) for _, step, value in shown if value >= 0] == [(step, step) for step in range(points)]
