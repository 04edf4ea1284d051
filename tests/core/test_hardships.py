"""Things that have broken the writer, or would have: each must cost nothing but itself."""

import errno
import os
import shutil
import signal
import stat
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

import multiboard as mb
from multiboard.arrays import fetch_array


def test_a_stream_for_warnings_that_is_closed_ends_neither_the_writer_nor_the_loop(log_dir, run_python, steps):
    code = """
import io, sys
import multiboard as mb
run = mb.Run(sys.argv[1])
sys.stderr = io.StringIO()
sys.stderr.close()
for step in range(300):
    run.log({"x": float("nan") if step == 100 else 1.0}, step)
    if step > 100:
        run.log({"x": "no number"}, step)
    if step % 100 == 99:
        assert run.flush()
run.close()
"""
    done = run_python(code, log_dir)
    assert done.returncode == 0
    assert steps(log_dir) == list(range(300))


@pytest.mark.parametrize("place", ["budget", "wake", "request"])
def test_a_signal_inside_a_call_does_not_wait_for_the_call(log_dir, run_python, place):
    """The handler runs while the main thread is in the middle of a call, and waits for the writer."""
    code = f"""
import os, signal, sys, threading, time
import numpy as np
import multiboard as mb
run = mb.Run(sys.argv[1], memory_bytes=5_000_000)
run.log({{"x": 1.0}}, 0)
run.log({{"x": 1.0}}, 1)
threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGTERM)).start()
place, step = {place!r}, 1
while True:
    step += 1
    if place == "budget":
        run.histogram("h", np.zeros(1000), step)
    elif place == "wake":
        run.flush(timeout=0)
    else:
        run.flush()
    run.log({{"x": 1.0}}, step)
"""
    for _ in range(4):
        done = run_python(code, log_dir)
        assert done.returncode == -signal.SIGTERM
        found = mb.read(log_dir)["."]
        assert not found.damage
        shutil.rmtree(log_dir)


def test_a_directory_that_cannot_be_made_again_at_once_costs_nothing_of_what_follows(log_dir, tmp_path, monkeypatch, steps):
    real = os.makedirs
    refuse = []

    def failing(*arguments, **options):
        if refuse:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(*arguments, **options)

    monkeypatch.setattr("multiboard.files.os.makedirs", failing)
    with pytest.warns(mb.MultiboardWarning, match="was deleted|cannot be written|counted while"), mb.Run(log_dir) as run:
        for step in range(200):
            if step == 50:
                assert run.flush()
                shutil.rmtree(log_dir)
                refuse.append(True)
            if step == 150:
                assert run.flush() is False
                refuse.clear()
            run.log({"x": float(step)}, step)
            run.histogram("h", [1.0], step)
            if step % 20 == 0:
                run.flush()
        assert run.flush()
    assert steps(log_dir) == list(range(50, 200))
    assert mb.read(log_dir)["."].histograms["h"].step.tolist() == list(range(50, 200))
    assert tmp_path.exists()


def test_records_that_waited_for_a_disk_are_described_in_the_new_file(log_dir, monkeypatch, steps):
    """The disk is full, and somebody deletes the directory of the run to make room."""
    write = os.write
    full = []

    def failing(descriptor, data):
        if full and descriptor > 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(descriptor, data)

    monkeypatch.setattr("multiboard.files.os.write", failing)
    with pytest.warns(mb.MultiboardWarning, match="was deleted|cannot be written|counted while"), mb.Run(log_dir) as run:
        for step in range(300):
            if step == 100:
                assert run.flush()
                full.append(True)
            if step == 200:
                assert run.flush() is False
                shutil.rmtree(log_dir)
                full.clear()
            run.log({"x": float(step), "y": 1.0}, step)
            run.image("i", np.zeros((2, 2)), step)
    data = mb.read(log_dir)["."]
    assert not data.damage
    assert steps(log_dir) == steps(log_dir, "y") == data.images["i"].step.tolist() == list(range(100, 300))


def test_a_child_that_is_closed_on_a_full_disk_loses_nothing_silently(log_dir, run_python):
    code = """
import resource, signal, sys
import multiboard as mb
said = []
run = mb.Run(sys.argv[1], memory_bytes=200_000, on_error=lambda cause, message: said.append(message))
child = run.child("child")
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100, resource.RLIM_INFINITY))
for step in range(5000):
    run.log({"x": 1.0}, step)
    if step % 500 == 0:
        run.flush()
for step in range(100):
    child.log({"y": 1.0}, step)
child.close()
assert any("100 records" in message or "101 records" in message for message in said), said[-3:]
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
run.close()
"""
    done = run_python(code, log_dir)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("limit", [300, 1000, 1700])
def test_files_of_a_few_records_hold_every_point(log_dir, limit):
    with mb.Run(log_dir, max_file_bytes=limit) as run:
        for step in range(500):
            run.scalar("a", step, step)
            run.scalar("b", step, step)
            run.log({"c": step, "d": 1.0}, step)
    scalars = mb.read(log_dir)["."].scalars
    assert {tag: column.step.tolist() for tag, column in scalars.items()} == {tag: list(range(500)) for tag in "abcd"}


def test_an_old_file_that_cannot_be_closed_does_not_end_the_run(log_dir, monkeypatch):
    close = os.close
    failed = []

    def failing(descriptor):
        is_file = stat.S_ISREG(os.fstat(descriptor).st_mode)  # and not the directory
        close(descriptor)
        if is_file and not failed:
            failed.append(descriptor)
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    with pytest.warns(mb.MultiboardWarning, match="could not be closed"), mb.Run(log_dir, max_file_bytes=2000) as run:
        run.log({"x": 0.0}, 0)
        monkeypatch.setattr("multiboard.files.os.close", failing)
        for step in range(1, 500):
            run.log({"x": float(step)}, step)
        assert run.flush()
    assert mb.read(log_dir)["."].scalars["x"].step.tolist() == list(range(500))


def test_a_callback_may_call_the_run(log_dir):
    def on_error(cause, message):
        assert run.flush() is False
        run.text("log", f"{cause}: {message}", 1)

    with pytest.warns(mb.MultiboardWarning), mb.Run(log_dir, on_error=on_error, overflow="block") as run:
        run.log({"x": 1.0}, 0)
        run.log({"x": float("nan")}, 1)
        assert run.flush()
    assert "is not finite" in mb.read(log_dir)["."].texts["log"].value[0]


@pytest.mark.parametrize("durable", [False, True])
def test_a_run_that_is_forgotten_gives_its_file_back(tmp_path, durable, wait_until):
    def open_files():
        return len(list(Path("/proc/self/fd").iterdir()))

    before = open_files()
    for k in range(10):
        mb.Run(tmp_path / str(k), durable=durable).log({"x": 1.0}, 0)
    wait_until(lambda: open_files() <= before)
    assert all(len(run.scalars["x"]) == 1 for run in mb.read(tmp_path).values())


def test_a_pending_array_is_fetched_once_also_when_a_new_file_begins(log_dir):
    class Once:
        shape, nbytes = (100,), 800

        def fetch(self):
            assert not hasattr(self, "was")
            self.was = True
            return np.arange(100.0)

    with mb.Run(log_dir, max_file_bytes=1500) as run:
        for step in range(20):
            run.histogram("h", Once(), step)
    assert mb.read(log_dir)["."].histograms["h"].step.tolist() == list(range(20))
    assert fetch_array([1.0]).tolist() == [1.0]


def test_flush_brings_the_hyper_parameters_of_all_runs_below(log_dir):
    with mb.Run(log_dir) as run:
        grandchild = run.child("a").child("b")
        grandchild.hparams({"lr": 1})
        assert run.flush()
        assert mb.read(log_dir)["a/b"].hparams == {"lr": 1.0}


def test_a_durable_run_writes_its_hyper_parameters_before_the_first_value(log_dir, run_python):
    code = """
import os, signal, sys
import multiboard as mb
run = mb.Run(sys.argv[1], config={"lr": 1}, durable=True)
os.kill(os.getpid(), signal.SIGTERM)
"""
    assert run_python(code, log_dir).returncode == -signal.SIGTERM
    data = mb.read(log_dir)["."]
    assert (data.hparams, data.status) == ({"lr": 1.0}, "failure")


def test_a_copy_of_a_run_changes_no_handler(log_dir, run_python):
    code = """
import pickle, signal, subprocess, sys
import multiboard as mb
with mb.Run(sys.argv[1]) as run:
    copy = pickle.dumps(run)
check = "import pickle, signal, sys; pickle.loads(%r); sys.exit(signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL)" % copy
sys.exit(subprocess.run([sys.executable, "-c", check]).returncode)
"""
    done = run_python(code, log_dir)
    assert done.returncode == 0, done.stderr


def test_wide_calls_between_narrow_ones_do_not_exceed_the_memory(log_dir, run_python):
    code = """
import resource, sys, threading
import multiboard as mb
class Stuck:
    asked, go = threading.Event(), threading.Event()
    def fetch(self):
        self.asked.set()
        self.go.wait(60)
        return 0.0
run = mb.Run(sys.argv[1], memory_bytes=16 * 2**20)
tags = ["metric%d" % k for k in range(500)]
for step in range(200):
    run.log({tag: 1.5 * step for tag in tags}, step)
    run.scalar("x", 1.0, step)
run.flush()
run.log({"stuck": Stuck()}, 200)
Stuck.asked.wait(30)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for step in range(201, 8_000):
    run.log({tag: 1.5 * step for tag in tags}, step)
    run.scalar("x", 1.0, step)
grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
Stuck.go.set()
run.close()
print(grown)
"""
    done = run_python(code, log_dir)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 40 * 1024


def test_many_threads_may_close_a_child(log_dir):
    with mb.Run(log_dir) as run:
        for k in range(20):
            child = run.child(str(k))
            child.log({"x": 1.0}, 0)
            threads = [threading.Thread(target=child.close) for _ in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        run.log({"x": 1.0}, 0)
        assert run.flush()
    assert all(len(data.scalars["x"]) == 1 for data in mb.read(log_dir).values())
    assert "multiboard" in sys.modules


def test_a_git_that_hangs_holds_up_no_value(log_dir, tmp_path, run_python):
    git = tmp_path / "bin" / "git"
    git.parent.mkdir()
    git.write_text("#!/bin/sh\nexec sleep 30\n")
    git.chmod(0o755)
    code = """
import sys, time
import multiboard as mb
run = mb.Run(sys.argv[1], config={"lr": 1})
run.log({"x": 1.0}, 0)
deadline = time.monotonic() + 1.0
while not mb.read(sys.argv[1])["."].scalars:
    assert time.monotonic() < deadline
    time.sleep(0.01)
run.close()
"""
    done = run_python(code, log_dir, env={**os.environ, "PATH": f"{git.parent}:{os.environ['PATH']}"})
    assert done.returncode == 0, done.stderr
    data = mb.read(log_dir)["."]
    assert data.hparams == {"lr": 1.0}
    assert not [name for name in data.facts if "git" in name]
