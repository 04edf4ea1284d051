"""With durable=True a call returns when its values are in the file."""

import os
import signal
import threading

import numpy as np
import pytest

import multiboard as mb


def test_nothing_accepted_is_missing_after_a_kill(log_dir, start_python, steps):
    code = """
import sys
import multiboard as mb
run = mb.Run(sys.argv[1], durable=True)
print("ready", flush=True)
for step in range(10**9):
    run.log({"x": float(step % 1000), "y": 1.0}, step)
    run.histogram("h", [1.0, 2.0], step)
    print(step, flush=True)
"""
    process = start_python(code, log_dir)
    for _ in range(200):
        process.stdout.readline()
    process.kill()
    with process:
        said = [int(line) for line in process.stdout.read().split()]  # `communicate` would lose what was read ahead
    data = mb.read(log_dir)["."]
    assert len(data.scalars["x"]) >= len(said) + 200
    assert len(data.histograms["h"]) >= len(said) + 200
    assert steps(log_dir) == list(range(len(data.scalars["x"])))


def test_there_is_no_thread_and_every_value_is_readable_at_once(log_dir, steps):
    threads = threading.active_count()
    with mb.Run(log_dir, durable=True, config={"lr": 0.1}) as run:
        assert threading.active_count() == threads
        for step in range(20):
            run.log({"x": float(step)}, step)
            run.scalar("y", step, step)
            run.image("i", np.zeros((2, 2)), step)
            data = mb.read(log_dir)["."]
            assert len(data.scalars["x"]) == len(data.scalars["y"]) == len(data.images["i"]) == step + 1
        assert run.flush()
        with run.child("validation") as child:
            child.log({"x": 1.0}, 0)
            assert steps(log_dir / "validation") == [0]
    assert mb.read(log_dir)["."].status == "success"


def test_many_threads_write_whole_records(log_dir):
    with mb.Run(log_dir, durable=True) as run:

        def work(k):
            for step in range(200):
                run.log({f"x{k}": float(step)}, step)

        workers = [threading.Thread(target=work, args=(k,)) for k in range(4)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
    data = mb.read(log_dir)["."]
    assert not data.damage
    assert all(data.scalars[f"x{k}"].step.tolist() == list(range(200)) for k in range(4))


def test_what_the_disk_refuses_is_kept_and_written_later(log_dir, run_python):
    code = """
import resource, signal, sys
import multiboard as mb
seen = []
run = mb.Run(sys.argv[1], durable=True, memory_bytes=20_000, on_drop=lambda *drop: seen.append(drop))
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
for step in range(1000):
    run.log({"x": float(step)}, step)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
run.log({"x": 1.0}, 2000)
run.close()
assert seen and {kind for kind, _, _ in seen} == {"scalar"}
print(len(seen))
"""
    done = run_python(code, log_dir)
    assert done.returncode == 0, done.stderr
    data = mb.read(log_dir)["."]
    dropped = int(done.stdout)
    found = data.scalars["x"].step.tolist()
    assert found == [*range(1000 - dropped), 2000]
    assert data.scalars["multiboard/dropped/scalar"].value[-1] == dropped


def test_a_fork_leaves_the_file_to_the_parent(log_dir, run_python, steps):
    code = """
import os, sys, warnings
warnings.simplefilter("ignore", DeprecationWarning)
import multiboard as mb
run = mb.Run(sys.argv[1], durable=True)
run.log({"x": 0.0}, 0)
run.log({"x": 0.0}, 1)
pid = os.fork()
if pid == 0:
    run.log({"x": 9.0}, 9)
    run.close()
    os._exit(0)
os.waitpid(pid, 0)
run.log({"x": 0.0}, 2)
"""
    assert run_python(code, log_dir).returncode == 0
    assert steps(log_dir) == [0, 1, 2]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_signal_loses_nothing(log_dir, number, start_python, end, steps):
    code = """
import sys, time
import multiboard as mb
run = mb.Run(sys.argv[1], durable=True)
for step in range(100):
    run.log({"x": float(step)}, step)
print("ready", flush=True)
time.sleep(30)
"""
    status, _ = end(start_python(code, log_dir), lambda process: os.kill(process.pid, number))
    assert status == -number
    assert steps(log_dir) == list(range(100))
