"""What waits for a writer that hangs takes a stated memory; what has to go is thinned, counted and said, scalars last."""

import threading
import time

import numpy as np
import pytest

import multiboard as mb
from multiboard.buckets import Statistics, measure
from multiboard.budget import MemoryBudget, Thinning, stride
from multiboard.counting import counted
from multiboard.values import Histogram, Text


class Stuck:
    """A pending number that hangs the writer until it is let go, as a device would."""

    def __init__(self):
        self.asked, self.go = threading.Event(), threading.Event()

    def fetch(self):
        self.asked.set()
        assert self.go.wait(60)
        return 0.0


@pytest.fixture
def stuck(log_dir):
    """A function that returns a run whose writer hangs, and what lets it go."""
    opened = []

    def open_stuck(**arguments):
        run = mb.Run(log_dir, **arguments)
        run.log({"x": 0.0}, 0)
        run.log({"x": 0.0}, 1)
        pending = Stuck()
        run.log({"stuck": pending}, 2)
        assert pending.asked.wait(30)
        opened.append((run, pending))
        return run, pending

    yield open_stuck
    for run, pending in opened:
        pending.go.set()
        run.close()


def test_a_loop_that_does_nothing_but_log_loses_nothing(log_dir):
    names = [f"train/{k}" for k in range(10)]
    with mb.Run(log_dir, memory_bytes=32 * 2**20) as run:
        for step in range(50_000):
            for name in names:
                run.scalar(name, 0.5, step)
    scalars = mb.read(log_dir)["."].scalars
    assert {name: len(series) for name, series in scalars.items()} == dict.fromkeys(names, 50_000)


def test_other_values_between_the_scalars_make_no_more_pauses(stuck, monkeypatch):
    pauses = []
    run, _ = stuck(memory_bytes=4_000_000)
    monkeypatch.setattr(time, "sleep", pauses.append)
    for step in range(3, 8_003):
        run.scalar("x", 1.0, step)
        if step % 10 == 0:
            run.histogram("h", [1.0], step)
    assert 1 <= len(pauses) <= 8


def test_scalars_beyond_the_memory_are_dropped_and_counted(log_dir, stuck):
    seen = []
    run, pending = stuck(memory_bytes=1_000_000, on_drop=lambda *drop: seen.append(drop))
    with pytest.warns(
        mb.MultiboardWarning, match="kind scalar are dropped from step .*'multiboard/dropped/scalar' counts"
    ) as said:
        for step in range(3, 10_003):
            run.log({"x": float(step), "y": 1.0}, step)
    assert len(said) == 1
    dropped = sum(count for _, count, _ in seen)
    assert 1000 < dropped < 20_000
    pending.go.set()
    run.close()
    data = mb.read(log_dir)["."]
    assert len(data.scalars["x"]) + len(data.scalars["y"]) - 2 == 20_000 - dropped
    counted = data.scalars["multiboard/dropped/scalar"]
    assert (counted.value[-1], counted.step[-1]) == (dropped, 10_002)


def test_histograms_are_thinned_first_and_never_take_the_room_of_scalars(log_dir, stuck):
    run, pending = stuck(memory_bytes=4_000_000)
    with pytest.warns(mb.MultiboardWarning, match="kind histogram are dropped") as said:
        for step in range(3, 1003):
            run.histogram("h", np.full(1000, float(step)), step)
            run.scalar("x", 1.0, step)
    pending.go.set()
    run.close()
    assert not [w for w in said if "kind scalar" in str(w.message)]
    data = mb.read(log_dir)["."]
    assert len(data.scalars["x"]) == 1002
    kept = data.histograms["h"].step
    gaps = np.diff(kept)
    assert gaps[0] == 1
    assert set(gaps.tolist()) >= {1, 2, 4}
    assert (np.diff(gaps) >= 0).all()
    assert len(kept) + data.scalars["multiboard/dropped/histogram"].value[-1] == 1000


@pytest.mark.parametrize("overflow", ["drop", "block"])
def test_distributions_of_large_arrays_are_counted_by_the_caller_once_memory_fills(log_dir, stuck, overflow):
    rng = np.random.default_rng(0)
    arrays = {f"h{k}": rng.normal(k, 1.0, 100_000).astype(np.float32) for k in range(40)}
    run, pending = stuck(memory_bytes=4_000_000, overflow=overflow)
    for tag, array in arrays.items():
        run.histogram(tag, array, 3)
    pending.go.set()
    run.close()
    data = mb.read(log_dir)["."]
    assert not [tag for tag in data.scalars if "dropped" in tag]
    for tag, array in arrays.items():
        assert data.histograms[tag].value[0][:, 2].tolist() == measure(array).rows()[:, 2].tolist()


def test_an_array_larger_than_the_memory_is_counted_by_the_caller(log_dir):
    with mb.Run(log_dir, memory_bytes=1_000_000) as run:
        run.histogram("h", np.zeros(1_000_000), 0)
    data = mb.read(log_dir)["."]
    assert len(data.histograms["h"]) == 1
    assert not data.scalars


def test_arrays_are_counted_by_the_caller_also_where_numpy_raises(log_dir):
    with np.errstate(all="raise"), mb.Run(log_dir, memory_bytes=1_000_000) as run:
        run.histogram("h", np.full(1_000_000, 1e-30), 0)
    assert mb.read(log_dir)["."].histograms["h"].value[0][:, 2].sum() == 1_000_000


def test_only_large_arrays_on_the_host_are_counted_by_the_caller():
    def counts(values):
        return isinstance(counted(Histogram("h", values, 0, 0.0)).values, Statistics)

    assert counts(np.zeros(5000))
    assert not counts(np.zeros(500))
    assert not counts(Stuck())
    assert counted(Text("t", "words", 0, 0.0)) == Text("t", "words", 0, 0.0)


def test_a_caller_that_prefers_to_wait_loses_nothing(log_dir, stuck):
    run, pending = stuck(memory_bytes=300_000, overflow="block")
    done = threading.Event()

    def work():
        for step in range(3, 3003):
            run.log({"x": float(step)}, step)
            if step % 10 == 0:
                run.histogram("h", np.zeros(1000), step)
        done.set()

    threading.Thread(target=work).start()
    assert not done.wait(0.3)
    pending.go.set()
    assert done.wait(60)
    run.close()
    data = mb.read(log_dir)["."]
    assert len(data.scalars["x"]) == 3002
    assert len(data.histograms["h"]) == 300
    assert not [tag for tag in data.scalars if "dropped" in tag]


def test_a_value_that_can_never_fit_is_said_with_its_size(log_dir):
    with (
        pytest.warns(mb.MultiboardWarning, match=r"9\d{5} bytes is larger than three quarters of memory_bytes=1000000"),
        mb.Run(log_dir, memory_bytes=1_000_000) as run,
    ):
        run.image("i", np.zeros((500, 600, 3), np.uint8), 0)
    assert mb.read(log_dir)["."].scalars["multiboard/dropped/image"].value.tolist() == [1.0]


def test_what_there_is_once_in_a_run_is_never_dropped(log_dir, stuck):
    run, pending = stuck(memory_bytes=1_000_000)
    run.tensor("t", np.zeros(90_000), 3)
    run.hparams({"note": "x" * 500_000})
    run.layout({"a": {"b": ["Multiline", ["x"]]}})
    pending.go.set()
    run.close()
    data = mb.read(log_dir)["."]
    assert data.hparams["note"] == "x" * 500_000
    assert not [tag for tag in data.scalars if "dropped" in tag]


def test_the_memory_of_the_process_stays_within_the_budget(log_dir, run_python):
    code = """
import resource, sys, threading
import numpy as np
import multiboard as mb
class Stuck:
    asked, go = threading.Event(), threading.Event()
    def fetch(self):
        self.asked.set()
        self.go.wait(60)
        return 0.0
run = mb.Run(sys.argv[1], memory_bytes=32 * 2**20)
run.log({"x": 0.0}, 0)
run.log({"stuck": Stuck()}, 1)
Stuck.asked.wait(30)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for step in range(2, 150_002):
    run.log({"x": float(step), "y": 1.5 * step, "z": 2.5 * step}, step)
    if step % 100 == 0:
        run.image("i", np.random.rand(64, 64, 3), step)
grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
Stuck.go.set()
run.close()
print(grown)
"""
    done = run_python(code, log_dir)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 48 * 1024
    assert set(mb.read(log_dir)["."].scalars) >= {"multiboard/dropped/scalar", "multiboard/dropped/image"}


def test_a_disk_that_refuses_for_long_costs_the_newest_and_nothing_else(log_dir, run_python):
    code = """
import resource, signal, sys
import multiboard as mb
drops = []
run = mb.Run(sys.argv[1], memory_bytes=1_000_000, on_drop=lambda kind, count, step: drops.append(count))
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (5000, resource.RLIM_INFINITY))
for step in range(40_000):
    run.log({"x": float(step)}, step)
    if step % 1000 == 0:
        run.flush()
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
assert run.flush()
run.log({"x": 1.0}, 100_000)
run.close()
print(sum(drops))
"""
    done = run_python(code, log_dir)
    assert done.returncode == 0, done.stderr
    dropped = int(done.stdout)
    data = mb.read(log_dir)["."]
    assert not data.damage
    assert dropped > 1000
    assert len(data.scalars["x"]) == 40_001 - dropped
    assert data.scalars["x"].step[-1] == 100_000
    assert data.scalars["multiboard/dropped/scalar"].value[-1] == dropped


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"overflow": "wait"}, "'overflow' got 'wait'.*'drop' or 'block'"),
        ({"memory_bytes": 0}, "'memory_bytes' got 0"),
        ({"max_file_bytes": "1 GB"}, "'max_file_bytes' got '1 GB'"),
        ({"max_media_bytes": {"picture": 5}}, "'max_media_bytes' got 'picture'.*image"),
        ({"max_media_bytes": {"image": -5}}, "'max_media_bytes' got -5"),
    ],
)
def test_a_wrong_argument_is_one_clear_error(log_dir, arguments, message):
    with pytest.raises(mb.ArgumentError, match=message):
        mb.Run(log_dir, **arguments)
    assert not log_dir.exists()


def test_the_fuller_the_rarer():
    assert [stride(1, used, 1000) for used in (0, 499, 500, 749, 750, 875, 999, 1000)] == [1, 1, 2, 2, 4, 8, 512, 0]
    thinning = Thinning()
    used = 0
    for _ in range(10_000):
        used += 10 * thinning.keeps("tag", 10, used, 1000)
    assert 900 <= used <= 1000


def test_what_was_given_back_can_be_taken_again():
    budget = MemoryBudget(1000)
    for _ in range(50):
        assert budget.take("tag", 300, 0)
        budget.give_back(300)
    assert budget.take_if_free(750, 0)
    assert not budget.take_if_free(1, 0)
