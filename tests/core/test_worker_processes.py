"""Processes that a training starts: they never write into the file of their parent, and never hang."""

import os
import pickle
import subprocess
import sys

import pytest

import multiboard as mb

PROGRAM = """
import multiprocessing, sys, warnings
warnings.simplefilter("ignore", DeprecationWarning)
import multiboard as mb

def work(run, step):
    for i in range(50):
        run.log({"x": -1.0}, step + i)
        run.histogram("h", [1.0], step + i)
    run.flush()
    run.close()
    return run.closed

if __name__ == "__main__":
    method = sys.argv[2]
    context = multiprocessing.get_context(method)
    with mb.Run(sys.argv[1], config={"lr": 0.1}) as run:
        for step in range(STEPS):
            run.log({"x": float(step)}, step)
        with context.Pool(2) as pool:
            answers = pool.starmap(work, [(run, 0), (run, 100)])
        assert answers == [True, True], answers
        for step in range(STEPS, 200):
            run.log({"x": float(step)}, step)
"""


@pytest.mark.parametrize("steps_before", [0, 1, 50])
@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_a_worker_that_gets_the_run_writes_nothing(log_dir, tmp_path, method, steps_before, steps):
    """Also where it is sent the run before the first step, in which mistakes are raised."""
    program = tmp_path / "program.py"
    program.write_text(PROGRAM.replace("STEPS", str(steps_before)))
    code = f"import runpy, sys; sys.argv[0] = {str(program)!r}; runpy.run_path({str(program)!r}, run_name='__main__')"
    done = subprocess.run(
        [sys.executable, str(program), str(log_dir), method], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, (code, done.stderr)
    assert "is closed and takes no more values" in done.stderr
    assert steps(log_dir) == list(range(200))
    assert len(list(log_dir.iterdir())) == 1


def test_a_child_dies_of_a_signal_that_comes_before_its_first_instruction(log_dir, run_python):
    """Otherwise a pool that ends at once waits for its workers for ever."""
    code = """
import os, signal, sys, time, warnings
warnings.simplefilter("ignore", DeprecationWarning)
import multiboard as mb
with mb.Run(sys.argv[1]) as run:
    run.log({"x": 1.0}, 0)
    for number in [signal.SIGTERM, signal.SIGHUP] * 10:
        pid = os.fork()
        if pid == 0:
            time.sleep(20)
            os._exit(0)
        os.kill(pid, number)
        status = os.waitpid(pid, 0)[1]
        assert status == number, (status, number)
    assert not signal.pthread_sigmask(signal.SIG_BLOCK, [])
"""
    done = run_python(code, log_dir)
    assert done.returncode == 0, done.stderr


def test_a_fork_in_the_middle_of_everything_hangs_nobody(log_dir, run_python):
    code = """
import faulthandler, os, sys, threading, warnings
warnings.simplefilter("ignore", DeprecationWarning)
import multiboard as mb
run = mb.Run(sys.argv[1], memory_bytes=10_000_000)
stop = False
def work(k):
    step = 0
    while not stop:
        run.log({f"x{k}": 1.0}, step)
        run.histogram(f"h{k}", [1.0, 2.0], step)
        step += 1
threads = [threading.Thread(target=work, args=(k,)) for k in range(3)]
for thread in threads:
    thread.start()
for _ in range(60):
    pid = os.fork()
    if pid == 0:
        faulthandler.dump_traceback_later(20, exit=True, file=2)
        run.log({"child": 1.0}, 0)
        run.flush()
        run.close()
        os._exit(0)
    if os.waitpid(pid, 0)[1]:
        os._exit(1)
stop = True
for thread in threads:
    thread.join()
run.close()
"""
    done = run_python(code, log_dir, env={**os.environ, "PYTHONUNBUFFERED": ""})  # unbuffered streams have no locks
    assert done.returncode == 0, done.stderr
    data = mb.read(log_dir)["."]
    assert not data.damage
    assert "child" not in data.scalars


def test_a_run_that_was_sent_elsewhere_is_closed(log_dir):
    with mb.Run(log_dir) as run:
        copy = pickle.loads(pickle.dumps(run))  # noqa: S301  # our own bytes
        assert copy.closed
        assert copy.log_dir == run.log_dir
        assert not run.closed
        with pytest.warns(mb.MultiboardWarning, match="is closed"):
            copy.log({"x": 1.0}, 0)
