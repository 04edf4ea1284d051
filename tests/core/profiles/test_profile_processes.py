"""Threads, forks, signals and the end of the program: no profiler stays on, and no window is captured twice."""

import copy
import os
import pickle
import signal
import sys
import threading
import warnings

import pytest

import multiboard as mb
from multiboard.profile.window import NEVER

TOY = """
import contextlib, os, signal, sys, threading, types
import multiboard as mb
from multiboard.profile import frameworks
from multiboard.profile.tracer import Raw

class Tracer:
    def __init__(self, request): self.folder = request.folder
    def prepare(self): print("prepare", flush=True)
    def start(self): print("start", flush=True)
    def step(self, number): print(number, flush=True)
    def pause(self): pass
    def input(self): return contextlib.nullcontext()
    def abort(self): print("abort", flush=True)
    def stop(self):
        print("stop", flush=True)
        path = os.path.join(self.folder, "toy.xplane.pb")
        open(path, "wb").close()
        return [Raw("xspace", path, "toy", {})]

sys.modules["toy"] = types.ModuleType("toy")
sys.modules["toy_adapter"] = types.ModuleType("toy_adapter")
sys.modules["toy_adapter"].make_tracer = Tracer
frameworks.ADAPTERS.clear()
frameworks.ADAPTERS["toy"] = "toy_adapter"
"""


def test_a_forked_child_does_nothing_to_the_window_of_its_parent(toy, log_dir, sessions):
    profiler = mb.Profiler(log_dir, start=2, steps=3, warmup=0, convert="lazy")
    for n in range(4):
        profiler.reached(n)
    child = os.fork()
    if child == 0:
        failed = 1
        try:
            before = list(toy.calls)
            with profiler.waiting(), profiler.step(4):
                pass
            for n in range(5, 20):
                profiler.reached(n)
            profiler.end()
            profiler.close()
            failed = int(toy.calls != before or profiler.next_step != NEVER)
        finally:
            os._exit(failed)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    for n in range(4, 9):
        profiler.reached(n)
    profiler.close()
    assert toy.steps() == [[2, 3, 4]]
    assert list(sessions(log_dir)) == ["step_000002"]


def test_a_window_belongs_to_the_thread_that_began_it(toy, log_dir, sessions):
    profiler = mb.Profiler(log_dir, start=2, steps=3, warmup=0, convert="lazy")
    go_on, reached = threading.Event(), threading.Event()

    def training():
        for n in range(4):
            profiler.reached(n)
        reached.set()
        go_on.wait(30)
        profiler.reached(4)

    thread = threading.Thread(target=training)
    thread.start()
    assert reached.wait(30)
    said = "steps 2 to 3 ended early: it was asked to end"
    with pytest.warns(mb.MultiboardWarning, match=said), pytest.warns(mb.MultiboardWarning, match="open in another thread"):
        profiler.reached(4)
        with profiler.waiting():
            pass
        profiler.close()
        assert toy.calls == ["start", 2, 3]
        go_on.set()
        thread.join()
        assert profiler.driver._conversions.wait(30)
    assert toy.calls == ["start", 2, 3, "stop"]
    assert list(sessions(log_dir)) == ["step_000002"]


def test_a_window_whose_thread_has_ended_is_stopped_by_another(toy, log_dir):
    profiler = mb.Profiler(log_dir, start=2, steps=3, warmup=0, convert="lazy")
    thread = threading.Thread(target=lambda: [profiler.reached(n) for n in range(4)])
    thread.start()
    thread.join()
    with pytest.warns(mb.MultiboardWarning, match="ended early"):
        profiler.close()
    assert toy.calls[-1] == "stop"


def test_many_threads_that_name_the_same_steps_open_one_window(toy, log_dir):
    profiler = mb.Profiler(log_dir, start=50, steps=1, warmup=0, max_seconds=1000, convert="lazy")
    barrier = threading.Barrier(4)

    def training():
        barrier.wait(30)
        for n in range(60):
            profiler.reached(n)

    threads = [threading.Thread(target=training) for _ in range(4)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mb.MultiboardWarning)  # of those that come while it is open, if any do
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        profiler.close()
    assert toy.calls == ["start", 50, "stop"]


@pytest.mark.parametrize(
    ("ending", "status"),
    [("", 0), ("raise ValueError", 1), ("sys.exit(3)", 3), ("os.kill(os.getpid(), signal.SIGINT)", -signal.SIGINT)],
)
@pytest.mark.parametrize("place", ["sys.argv[1]", "mb.Run(sys.argv[1])"])
def test_a_program_that_ends_in_a_window_stops_it_and_keeps_it(run_python, log_dir, sessions, ending, status, place):
    code = f"""{TOY}
signal.signal(signal.SIGINT, signal.default_int_handler)
profiler = mb.Profiler({place}, start=2, warmup=1)
for n in range(5):
    profiler.reached(n)
{ending}
"""
    done = run_python(code, log_dir)
    assert done.returncode == status, done.stderr
    assert done.stdout.split() == ["prepare", "start", "2", "3", "4", "stop"]
    assert "ended early: it was closed" in done.stderr
    assert [name for files in sessions(log_dir).values() for name in files if name.endswith(".xplane.pb")]


def test_a_program_that_is_terminated_in_a_window_ends_as_it_would(run_python, log_dir, tmp_path):
    code = f"""{TOY}
profiler = mb.Profiler(mb.Run(sys.argv[1]), start=2, warmup=1)
for n in range(5):
    profiler.reached(n)
signal.raise_signal(signal.SIGTERM)
"""
    environment = {**os.environ, "TMPDIR": str(tmp_path)}  # its temporary directory stays
    assert run_python(code, log_dir, env=environment).returncode == -signal.SIGTERM


def test_the_package_imports_no_profile_before_it_is_asked_for(run_python, log_dir):
    code = """
import sys
import multiboard as mb
assert not any(name.startswith("multiboard.profile") for name in sys.modules), sys.modules
mb.Profiler
assert "google.protobuf" not in sys.modules
assert not {"torch", "jax", "tensorflow", "keras", "xprof"} & set(sys.modules)
"""
    done = run_python(code, log_dir)
    assert done.returncode == 0, done.stderr


def test_a_profiler_that_is_forgotten_in_another_thread_leaves_nothing_on(toy, log_dir):
    profilers = [mb.Profiler(log_dir, start=2, steps=3, warmup=0)]
    for n in range(4):
        profilers[0].reached(n)
    thread = threading.Thread(target=profilers.clear)
    with pytest.warns(mb.MultiboardWarning, match="there is no profile from step 2 on: its profiler was deleted"):
        thread.start()
        thread.join()
    assert toy.calls == ["start", 2, 3, "abort"]


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))])  # noqa: S301  # our own
def test_a_copy_of_a_profiler_has_no_windows(toy, log_dir, duplicate):
    with mb.Profiler(log_dir, start=2, steps=3, warmup=0, convert="lazy") as profiler:
        batches = duplicate(profiler.input([0, 1]))
        other = duplicate(profiler)
        for n in range(10):
            with profiler.step(n), other.step(n):
                assert list(batches) == [0, 1]
    assert other.next_step == profiler.next_step == sys.maxsize
    assert toy.steps() == [[2, 3, 4]]
