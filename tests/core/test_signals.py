"""A program that a signal ends leaves everything in the file, and ends as it would without us."""

import signal

import pytest

import multiboard as mb

LOOP = """
import os, signal, sys, time
import multiboard as mb
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # a test run in the background is started with both ignored
signal.signal(signal.SIGINT, signal.default_int_handler)
run = mb.Run(sys.argv[1], config={"lr": 0.1})
print("ready", flush=True)
for step in range(10**9):
    run.log({"x": float(step % 1000)}, step)
    print(step, file=sys.stderr, flush=True)
    time.sleep(0.001)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_after_a_signal_everything_is_in_the_file(log_dir, number, start_python, end, steps):
    process = start_python(LOOP, log_dir)
    while process.stderr.readline() != "300\n":
        pass
    status, errors = end(process, lambda p: p.send_signal(number))
    assert status == -number
    lines = [line for line in errors.splitlines() if line.isdigit()]
    said = int(lines[-1]) if lines else 300
    found = steps(log_dir)
    assert found == list(range(len(found)))
    assert len(found) > said
    data = mb.read(log_dir)["."]
    assert data.status == "failure"
    assert not data.damage


def test_a_handler_of_the_program_keeps_its_place(log_dir, run_python, steps):
    code = """
import os, signal, sys
import multiboard as mb
signal.signal(signal.SIGTERM, lambda *_: (run.log({"x": 5.0}, 5), sys.exit(7)))
run = mb.Run(sys.argv[1])
run.log({"x": 0.0}, 0)
os.kill(os.getpid(), signal.SIGTERM)
"""
    assert run_python(code, log_dir).returncode == 7
    assert steps(log_dir) == [0, 5]


def test_a_signal_that_comes_while_the_run_is_being_closed_hangs_nobody(log_dir, run_python):
    code = """
import os, signal, sys, threading, time
import multiboard as mb
for i in range(30):
    run = mb.Run(os.path.join(sys.argv[1], str(i)))
    for step in range(50):
        run.log({"x": float(step)}, step)
    if i == 20:
        threading.Timer(0.02, os.kill, (os.getpid(), signal.SIGTERM)).start()
    run.close()
time.sleep(30)
"""
    assert run_python(code, log_dir).returncode == -signal.SIGTERM
    assert all(len(run.scalars["x"]) == 50 for run in mb.read(log_dir).values() if run.scalars)


def test_a_signal_that_comes_while_close_holds_the_lock_of_the_writer_thread_hangs_nobody(log_dir, run_python, steps):
    code = """
import linecache, os, signal, sys, threading
import multiboard as mb
run = mb.Run(sys.argv[1])
run.log({"x": 0.0}, 0)
def strike(frame, event, argument):
    line = linecache.getline(frame.f_code.co_filename, frame.f_lineno).strip()
    if frame.f_code.co_filename == threading.__file__ and line == "lock.release()":
        sys.settrace(None)
        os.kill(os.getpid(), signal.SIGTERM)
    return strike
sys.settrace(strike)
run.close()
sys.settrace(None)
os.kill(os.getpid(), signal.SIGTERM)  # where threads have no such lock
"""
    assert run_python(code, log_dir).returncode == -signal.SIGTERM
    assert steps(log_dir) == [0]


def test_a_forked_child_dies_of_a_signal_at_once(log_dir, run_python, steps):
    code = """
import os, signal, sys, time, warnings
warnings.simplefilter("ignore", DeprecationWarning)
import multiboard as mb
run = mb.Run(sys.argv[1])
pid = os.fork()
if pid == 0:
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    time.sleep(30)
time.sleep(0.2)
os.kill(pid, signal.SIGTERM)
status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
run.log({"x": 1.0}, 0)
run.close()
sys.exit(0 if status == -signal.SIGTERM else 1)
"""
    done = run_python(code, log_dir)
    assert done.returncode == 0, done.stderr
    assert steps(log_dir) == [0]


@pytest.mark.parametrize(
    ("ending", "status"), [("pass", "success"), ("raise RuntimeError", "failure"), ("sys.exit(3)", "success")]
)
def test_a_program_that_closes_nothing_still_ends_its_session(log_dir, ending, status, run_python):
    code = "import sys\nimport multiboard as mb\nrun = mb.Run(sys.argv[1], config={'lr': 0.1})\nrun.log({'x': 1.0}, 0)\n"
    run_python(code + ending, log_dir)
    assert mb.read(log_dir)["."].status == status


def test_the_handler_is_installed_only_in_the_main_thread(log_dir, run_python, steps):
    """A run that another thread opens cannot install one, and must not fail for it."""
    code = """
import sys, threading
import multiboard as mb
threading.Thread(target=lambda: mb.Run(sys.argv[1]).log({"x": 1.0}, 0)).start()
"""
    done = run_python(code, log_dir)
    assert (done.returncode, done.stderr) == (0, "")
    assert steps(log_dir) == [0]
