"""Runs that were resumed, killed or rotated look in real TensorBoard, with both loaders, as if written in one go."""

import subprocess
import sys

import numpy as np
import pytest

import multiboard as mb

WRITE = """
import os, sys, time
import multiboard as mb
run = mb.Run(sys.argv[1], config={"lr": 0.1}, resume=sys.argv[4] == "resume")
for step in range(int(sys.argv[2]), int(sys.argv[3])):
    run.log({"x": float(step), "y": 1.0}, step)
    run.histogram("h", [float(step)], step)
run.flush()
print(run.start_step)
sys.stdout.flush()
if sys.argv[4] == "die":
    os.kill(os.getpid(), 9)
run.close()
"""


def write(directory, first, end, how):
    """Write steps in a process of its own; return where it was told to begin."""
    command = [sys.executable, "-c", WRITE, str(directory), str(first), str(end), how]
    return int(subprocess.run(command, capture_output=True, text=True, timeout=60, check=how != "die").stdout)


@pytest.fixture(scope="module")
def lives(board_dir):
    """Runs by how they came about; each holds the steps 0 to 11."""
    write(board_dir / "resumed", 0, 10, "close")
    assert write(board_dir / "resumed", 5, 12, "resume") == 10
    write(board_dir / "killed", 0, 9, "die")
    (file,) = (board_dir / "killed").iterdir()
    with file.open("ab") as torn:
        torn.write(file.read_bytes()[:30])  # as if it had been killed in the middle of a write
    assert write(board_dir / "killed", 9, 12, "resume") == 9
    for first in range(0, 12, 3):
        assert write(board_dir / "often", first, first + 3, "resume") == first
    with mb.Run(board_dir / "rotated", max_file_bytes=900) as run:
        for step in range(12):
            run.log({"x": float(step), "y": 1.0}, step)
            run.histogram("h", [float(step)], step)
            assert run.flush()
    assert len(list((board_dir / "rotated").iterdir())) >= 3


NAMES = ("resumed", "killed", "often", "rotated")


@pytest.mark.usefixtures("lives")
@pytest.mark.parametrize("name", NAMES)
def test_scalars_go_from_the_first_to_the_last_step_without_a_zig_zag(board, name):
    points = board.wait_for(lambda: board.scalars(name, "x"), lambda found: len(found) == 12)
    assert [point[1:] for point in points] == [[step, float(step)] for step in range(12)]


@pytest.mark.usefixtures("lives")
@pytest.mark.parametrize("name", NAMES)
def test_histograms_do_so_too(board, name):
    points = board.wait_for(
        lambda: board.json("data/plugin/histograms/histograms", run=name, tag="h"), lambda found: len(found) == 12
    )
    assert [step for _, step, _ in points] == list(range(12))
    for _, step, rows in points:
        assert np.array(rows)[:, 2].sum() == 1
        assert rows[0][0] <= step <= rows[-1][1]


def test_a_new_process_without_resume_begins_again(board, board_dir):
    if not (board_dir / "again").exists():
        write(board_dir / "again", 0, 10, "close")
        write(board_dir / "again", 0, 3, "close")
    points = board.wait_for(lambda: board.scalars("again", "x"), lambda found: len(found) == 3)
    assert [point[1] for point in points] == [0, 1, 2]


def test_dropped_values_are_a_chart(board, board_dir):
    if not (board_dir / "dropped").exists():
        with pytest.warns(mb.MultiboardWarning), mb.Run(board_dir / "dropped", memory_bytes=1_000_000) as run:
            for step in range(3):
                run.image("i", np.zeros((500, 600, 3), np.uint8), step)
    points = board.wait_for(lambda: board.scalars("dropped", "multiboard/dropped/image"), bool)
    assert points[-1][1:] == [2, 3.0]
