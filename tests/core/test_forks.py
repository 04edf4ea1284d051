"""A forked child waits for no lock that a thread of its parent held: neither ours nor, because of us, one of the program."""

import pytest

BEGIN = """
import contextlib, faulthandler, os, sys, threading, time, warnings
warnings.simplefilter("ignore", DeprecationWarning)
import multiboard as mb

lock = threading.Lock()
inside = threading.Event()

def wait(*_):
    with lock:
        inside.set()
        time.sleep(0.5)

def fork_while(busy, child):
    threading.Thread(target=busy).start()
    inside.wait()
    pid = os.fork()
    if pid == 0:
        faulthandler.dump_traceback_later(20, exit=True, file=2)
        child()
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
"""


@pytest.fixture
def succeeds(log_dir, run_python):
    """A function that runs a program behind `BEGIN`."""

    def run(code):
        done = run_python(BEGIN + code, log_dir)
        assert done.returncode == 0, done.stderr
        return done.stderr

    return run


def test_a_fork_waits_for_a_warning_that_another_thread_is_saying(succeeds):
    """It may hold the lock of a stream."""
    succeeds("""
warnings.showwarning = wait
run = mb.Run(sys.argv[1])
fork_while(lambda: run.report("cause", "something"), lambda: lock.acquire(timeout=10) or os._exit(1))
run.close()
""")


def test_a_child_says_its_warnings_and_waits_for_nobody(succeeds):
    """Another thread of the program may have written to the stream when the process forked."""
    errors = succeeds("""
def show(message, *_):
    with lock:
        os.write(2, str(message).encode())

def child():
    began = time.monotonic()
    for step in range(100):
        run.log({"x": 1.0}, step)
        run.report(f"cause {step}", "never said")
    assert not run.flush()
    run.close()
    assert time.monotonic() - began < 5

warnings.showwarning = show
run = mb.Run(sys.argv[1])
fork_while(wait, child)
fork_while(inside.set, lambda: run.report("other cause", "said by a child"))
run.close()
""")
    assert "said by a child" in errors
    assert "never said" not in errors


def test_a_fork_waits_a_moment_only(succeeds):
    succeeds("""
def show(*_):
    inside.set()
    time.sleep(4)

warnings.showwarning = show
run = mb.Run(sys.argv[1])
began = time.monotonic()
fork_while(lambda: run.report("cause", "something"), int)
assert time.monotonic() - began < 3
run.close()
""")


def test_a_child_opens_writers_while_a_thread_of_the_parent_does_so(succeeds):
    succeeds("""
makedirs = os.makedirs

def slow(path, *arguments, **options):
    if threading.current_thread() is not threading.main_thread():
        wait()
    makedirs(path, *arguments, **options)

os.mkdir(sys.argv[1])
os.chdir(sys.argv[1])
os.makedirs = slow
fork_while(mb.GlobalSummaryWriter.getSummaryWriter, mb.GlobalSummaryWriter.getSummaryWriter)
writer = mb.SummaryWriter("sub")
inside.clear()

def add():
    with contextlib.suppress(mb.ClosedRunError):  # in the child
        writer.add_scalars("loss", {"a": 1.0}, 0, sub_runs=True)

fork_while(add, add)
""")
