"""Two writers in one directory write two files, and the second one says what TensorBoard will do."""

import subprocess
import sys
import warnings

import pytest

import multiboard as mb

WRITE = """
import sys
import multiboard as mb
tag, first = sys.argv[2], int(sys.argv[3])
run = mb.Run(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline() if tag == "a" else None
for step in range(first, first + 1000):
    run.log({tag: float(step)}, step)
run.close()
"""


def test_two_runs_of_one_process(log_dir, steps):
    with (
        mb.Run(log_dir) as first,
        pytest.warns(mb.MultiboardWarning, match="TensorBoard reads one live file per run.*of its own"),
        mb.Run(log_dir) as second,
    ):
        for step in range(100):
            first.log({"a": 1.0}, step)
            second.log({"b": 2.0}, step)
    assert len(list(log_dir.iterdir())) == 2
    assert steps(log_dir, "a") == steps(log_dir, "b") == list(range(100))


def test_two_processes_at_once(log_dir, run_python, steps):
    first = subprocess.Popen(
        [sys.executable, "-c", WRITE, str(log_dir), "a", "0"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    first.stdout.readline()
    second = run_python(WRITE, log_dir, "b", 0)
    assert "is being written, too" in second.stderr
    _, errors = first.communicate("\n", timeout=60)
    assert (first.returncode, errors) == (0, "")
    data = mb.read(log_dir)["."]
    assert not data.damage
    assert len(list(log_dir.iterdir())) == 2
    assert steps(log_dir, "a") == steps(log_dir, "b") == list(range(1000))


def test_a_writer_that_is_gone_is_no_second_one(log_dir, start_python, end):
    """Neither one that was closed nor one that was killed."""
    mb.Run(log_dir).close()
    code = "import sys, time\nimport multiboard as mb\nrun = mb.Run(sys.argv[1])\nprint(1, flush=True)\ntime.sleep(30)"
    end(start_python(code, log_dir), lambda process: process.kill())
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        mb.Run(log_dir).close()
    assert not said


def test_a_rotated_file_is_no_second_writer(log_dir):
    with warnings.catch_warnings(record=True) as said, mb.Run(log_dir, max_file_bytes=2000) as run:
        warnings.simplefilter("always")
        for step in range(1000):
            run.log({"x": 1.0}, step)
    assert not said
    assert len(list(log_dir.iterdir())) > 5
