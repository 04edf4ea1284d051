"""The last step of a directory is that of its values, found fast and whatever the files went through."""

import subprocess
import sys

import numpy as np
import pytest

import multiboard as mb
from multiboard import proto
from multiboard.last_step import last_step
from multiboard.records import frame


def test_a_directory_without_values_has_none(tmp_path):
    assert last_step(tmp_path / "missing") is None
    assert last_step(tmp_path) is None
    mb.Run(tmp_path / "empty").close()
    assert last_step(tmp_path / "empty") is None


@pytest.mark.parametrize("steps", [[0], [0, 3, 9, 4], [2**40, 5], [2**60], [-7, -9], range(1000)])
def test_it_is_the_largest_step_of_any_file(tmp_path, steps):
    half = len(steps) // 2
    for part in (steps[half:], steps[:half]):
        with mb.Run(tmp_path) as run:
            for step in part:
                run.scalar("x", 1.0, step)
    assert last_step(tmp_path) == max(steps)


def test_every_kind_counts_but_not_what_lies_below(tmp_path):
    with mb.Run(tmp_path / "run") as run:
        run.scalar("x", 1.0, 3)
        run.image("i", np.zeros((2, 2), np.uint8), 8)
    with mb.Run(tmp_path / "run" / "below") as run:
        run.scalar("x", 1.0, 99)
    assert last_step(tmp_path / "run") == 8


def test_a_graph_counts(tmp_path):
    (tmp_path / "tfevents").write_bytes(frame(proto.Event(step=4, graph_def=b"xxxx" * 9).SerializeToString()))
    assert last_step(tmp_path) == 4


def test_a_damaged_record_does_not_count(tmp_path):
    """The flipped bit makes a step of 2 a step of 66."""
    with mb.Run(tmp_path) as run:
        for step in range(3):
            run.scalar("x", 1.0, step)
    (file,) = tmp_path.iterdir()
    data = bytearray(file.read_bytes())
    position = data.rindex(b"\x10\x02\x2a") + 1
    data[position] ^= 64
    file.write_bytes(data)
    assert last_step(tmp_path) == 1


def test_files_of_unusual_order_are_understood(tmp_path):
    """Fields of a message may come in any order."""
    step, summary = b"\x10\x07", b"\x2a\x07\x0a\x05\x15" + bytes(4)
    (tmp_path / "tfevents").write_bytes(b"".join(map(frame, [summary + step, b"\x10\x09", b"\xff", b""])))
    assert last_step(tmp_path) == 7


def test_asking_imports_no_protobuf(tmp_path):
    code = "import sys; from pathlib import Path; from multiboard.last_step import last_step; last_step(Path(sys.argv[1]))\n"
    code += "print([name for name in sys.modules if name.startswith('google.protobuf')])"
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"
