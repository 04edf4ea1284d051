"""What was logged is in the file: after flush, close, exit, fork, and a disk that was full for a while."""

import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

import multiboard as mb

LOOP = """
import os, signal, sys, time
import multiboard as mb
run = mb.Run(sys.argv[1], config={"lr": 0.1})
for step in range(1000):
    run.log({"x": float(step)}, step)
"""


def run_python(code, log_dir, **options):
    return subprocess.run(
        [sys.executable, "-c", code, str(log_dir)], capture_output=True, text=True, timeout=60, check=False, **options
    )


def steps(log_dir, tag="x"):
    return mb.read(log_dir)["."].scalars[tag].step.tolist()


def test_flush_returns_when_all_is_readable(log_dir):
    with mb.Run(log_dir) as run:
        for step in range(3000):
            run.log({"x": 1.0}, step)
        assert run.flush()
        assert steps(log_dir) == list(range(3000))


@pytest.mark.parametrize(
    ("ending", "code"),
    [
        ("pass", 0),
        ("del run", 0),
        ("sys.exit(3)", 3),
        ("raise RuntimeError", 1),
        ("run.close(); run.close()", 0),
        ("run.flush(); os._exit(0)", 0),
        ("run.flush(); os.kill(os.getpid(), signal.SIGKILL)", -signal.SIGKILL),
    ],
)
def test_every_way_to_end_leaves_everything_in_the_file(log_dir, ending, code):
    done = run_python(LOOP + ending, log_dir)
    assert done.returncode == code, done.stderr
    assert steps(log_dir) == list(range(1000))
    assert mb.read(log_dir)["."].damage == {}


def test_after_a_kill_at_most_the_last_interval_is_missing_and_the_file_reads_cleanly(log_dir):
    code = LOOP.replace("range(1000)", "range(10**9)").replace("float(step)}, step)", "time.time()}, step); time.sleep(0.001)")
    process = subprocess.Popen([sys.executable, "-c", code.replace('"x": time.time()', '"x": time.time() % 1e4'), str(log_dir)])
    try:
        time.sleep(2.0)
    finally:
        process.kill()
        process.wait()
    column = mb.read(log_dir)["."].scalars["x"]
    assert column.step.tolist() == list(range(len(column)))
    assert len(column) > 100


def test_values_survive_a_disk_that_is_full_for_a_while(log_dir):
    """A file size limit refuses writes as a full disk does, until it is lifted."""
    code = """
import resource, signal, sys, time
import multiboard as mb
run = mb.Run(sys.argv[1])
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (5000, resource.RLIM_INFINITY))
for step in range(2000):
    run.log({"x": float(step)}, step)
    if step % 500 == 0:
        run.flush()
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
run.close()
"""
    done = run_python(code, log_dir)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("cannot be written") == 1
    assert steps(log_dir) == list(range(2000))
    assert mb.read(log_dir)["."].damage == {}


def test_what_the_disk_refused_until_the_end_is_said(log_dir):
    code = """
import resource, signal, sys
import multiboard as mb
run = mb.Run(sys.argv[1])
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (5000, resource.RLIM_INFINITY))
for step in range(2000):
    run.log({"x": float(step)}, step)
run.close()
"""
    done = run_python(code, log_dir)
    assert done.returncode == 0, done.stderr
    assert "could not be written before the end" in done.stderr
    assert mb.read(log_dir)["."].damage == {}


def test_a_forked_child_leaves_the_parents_file_alone_and_does_not_hang(log_dir):
    code = (
        LOOP
        + """
pid = os.fork()
if pid == 0:
    for step in range(1000, 1100):
        run.log({"x": -1.0}, step)
    run.flush()
    run.close()
    sys.exit(0)
status = os.waitpid(pid, 0)[1]
for step in range(1000, 1500):
    run.log({"x": float(step)}, step)
run.close()
sys.exit(os.waitstatus_to_exitcode(status))
"""
    )
    done = run_python("import warnings; warnings.simplefilter('ignore', DeprecationWarning)\n" + code, log_dir)
    assert done.returncode == 0, done.stderr
    assert steps(log_dir) == list(range(1500))
    assert len(list(log_dir.iterdir())) == 1


def test_two_runs_in_one_directory_write_two_files(log_dir):
    with mb.Run(log_dir) as a, mb.Run(log_dir) as b:
        a.log({"a": 1.0}, 0)
        b.log({"b": 2.0}, 0)
    assert len(list(log_dir.iterdir())) == 2
    assert set(mb.read(log_dir)["."].scalars) == {"a", "b"}


def test_a_child_run_has_its_own_directory_and_the_same_thread(log_dir):
    threads = threading.active_count()
    with mb.Run(log_dir) as run:
        children = [run.child(f"part{k}") for k in range(10)]
        assert threading.active_count() == threads + 1
        for child in children:
            child.log({"x": 1.0}, 0)
        assert run.flush()
        assert len(mb.read(log_dir)) == 11
    assert all(len(mb.read(log_dir)[f"part{k}"].scalars["x"]) == 1 for k in range(10))
    with pytest.raises(mb.ClosedRunError):
        run.child("late")


def test_a_closed_child_gives_its_file_back(log_dir):
    with mb.Run(log_dir) as run:
        open_files = len(list(Path("/proc/self/fd").iterdir()))
        for k in range(20):
            with run.child(f"trial{k}") as child:
                child.log({"x": float(k)}, 0)
        assert len(list(Path("/proc/self/fd").iterdir())) == open_files
        assert [mb.read(log_dir)[f"trial{k}"].scalars["x"].value[0] for k in range(20)] == list(range(20))


def test_flush_says_that_the_disk_refuses(log_dir):
    code = """
import resource, signal, sys
import multiboard as mb
run = mb.Run(sys.argv[1])
run.log({"x": 1.0}, 0)
assert run.flush()
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1, resource.RLIM_INFINITY))
run.log({"x": 1.0}, 1)
assert run.flush() is False
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
assert run.flush()
"""
    done = run_python(code, log_dir)
    assert done.returncode == 0, done.stderr
    assert steps(log_dir) == [0, 1]


def test_closing_ends_the_thread(log_dir):
    threads = threading.active_count()
    mb.Run(log_dir).close()
    assert threading.active_count() == threads


def test_a_run_that_is_forgotten_is_written_and_its_thread_ends(log_dir):
    run = mb.Run(log_dir)
    thread = run._pipeline._thread
    run.log({"x": 1.0}, 0)
    del run
    thread.join(10)
    assert not thread.is_alive()
    assert steps(log_dir) == [0]
