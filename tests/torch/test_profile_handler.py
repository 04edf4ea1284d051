"""A profiler that a program has already gets sessions from one argument, in the place of tensorboard_trace_handler."""

import gzip
import inspect
import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch.profiler import ProfilerActivity, profile, schedule

import multiboard as mb
import multiboard.torch as mbt
from multiboard.errors import ArgumentError, MultiboardWarning
from multiboard.profile.xspace import HOST_PLANE, find_plane, read_space, stats_of

CPU = {"activities": [ProfilerActivity.CPU], "acc_events": True}
CYCLE = {"wait": 1, "warmup": 1, "active": 2, "repeat": 2}
X = torch.ones(3)


def train(handler, steps=8, **options):
    with profile(**CPU, on_trace_ready=handler, **options) as profiler:
        for _ in range(steps):
            X + 1
            profiler.step()


def sessions(log_dir):
    return sorted(path.relative_to(log_dir / "plugins" / "profile").as_posix() for path in log_dir.glob("plugins/profile/*/*.pb"))


def steps_in(path):
    """Return the numbers of the steps that are marked in a session."""
    plane = find_plane(read_space(path), HOST_PLANE)
    events = [stats_of(event, plane) for line in plane.lines for event in line.events]
    return sorted(stats["step_num"] for stats in events if "_r" in stats)


def test_it_takes_the_place_of_the_handler_of_pytorch():
    theirs = inspect.signature(torch.profiler.tensorboard_trace_handler).parameters
    ours = list(inspect.signature(mbt.trace_handler).parameters.values())
    for one, (_, other) in zip(ours[:3], theirs.items(), strict=False):
        assert (one.default, one.kind) == (other.default, other.kind)
    assert [one.name for one in ours[1:3]] == ["worker_name", "use_gzip"]


def test_each_cycle_becomes_a_session_with_its_steps(log_dir):
    handler = mbt.trace_handler(log_dir, "worker")
    train(handler, schedule=schedule(**CYCLE))
    handler.wait()
    assert sessions(log_dir) == ["step_000002/worker.xplane.pb", "step_000006/worker.xplane.pb"]
    assert steps_in(log_dir / "plugins" / "profile" / "step_000006" / "worker.xplane.pb") == [6, 7]


def test_a_profiler_without_a_schedule_is_one_session(log_dir):
    handler = mbt.trace_handler(str(log_dir))
    train(handler, steps=3)
    handler.wait()
    (session,) = sessions(log_dir)
    assert session.startswith("step_000000/")


def test_a_run_gets_the_summary(log_dir):
    with mb.Run(log_dir) as run:
        train(mbt.trace_handler(run), schedule=schedule(**CYCLE))
    assert mb.read(log_dir)["."].scalars["profile/step_ms"].step.tolist() == [2, 6]


@pytest.mark.parametrize(("zipped", "suffix", "opened"), [(False, ".json", open), (True, ".json.gz", gzip.open)])
def test_the_trace_of_pytorch_can_be_kept_under_its_name(zipped, suffix, opened, log_dir):
    handler = mbt.trace_handler(log_dir, "worker", use_gzip=zipped, keep_json=True)
    train(handler, steps=3, schedule=schedule(wait=0, warmup=1, active=2, repeat=1))
    handler.wait()
    (kept,) = log_dir.glob("worker.*.pt.trace.json*")
    assert kept.name.endswith(suffix)
    with opened(kept) as file:
        assert json.load(file)["traceEvents"]
    assert len(sessions(log_dir)) == 1


@pytest.mark.filterwarnings("ignore::multiboard.MultiboardWarning")
def test_a_directory_that_cannot_be_written_does_not_end_a_training(tmp_path):
    (tmp_path / "file").write_text("")
    handler = mbt.trace_handler(tmp_path / "file" / "below")
    train(handler, schedule=schedule(**CYCLE))
    handler.wait()
    train(mbt.trace_handler(tmp_path / "file" / "below", keep_json=True), schedule=schedule(**CYCLE))


def test_without_a_place_for_temporary_files_a_training_goes_on(log_dir, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "gone"))
    with pytest.warns(MultiboardWarning, match="a trace is lost: FileNotFoundError"):
        train(mbt.trace_handler(log_dir))


def test_a_trace_that_is_saved_already_is_said_to_be_lost(log_dir, tmp_path):
    handler = mbt.trace_handler(log_dir)

    def both(profiler):
        profiler.export_chrome_trace(str(tmp_path / "own.json"))
        handler(profiler)

    with pytest.warns(MultiboardWarning, match="a trace is lost: RuntimeError: Trace is already saved"):
        train(both, steps=3, schedule=schedule(wait=0, warmup=1, active=2, repeat=1))


@pytest.mark.parametrize(("log_dir", "name"), [(None, None), (3, None), ("runs", ""), ("runs", "a/b"), ("runs", ".hidden")])
def test_wrong_arguments_are_refused_at_once(log_dir, name):
    with pytest.raises(ArgumentError):
        mbt.trace_handler(log_dir, name)


PROGRAM = """
import sys, torch
import multiboard.torch as mbt
with torch.profiler.profile(
    activities=[torch.profiler.ProfilerActivity.CPU], on_trace_ready=mbt.trace_handler(sys.argv[1])
) as profiler:
    torch.ones(3) + 1
"""


def test_the_session_is_there_when_the_program_ends(log_dir):
    subprocess.run([sys.executable, "-c", PROGRAM, str(log_dir)], check=True, timeout=120, cwd=Path.cwd())
    assert len(sessions(log_dir)) == 1


class Traced(torch.utils.data.Dataset):
    """Profiles the making of each of its elements."""

    def __init__(self, make):
        self.make = make

    def __len__(self):
        return 4

    def __getitem__(self, number):
        with profile(**CPU, on_trace_ready=self.make()):
            return X + number


@pytest.mark.parametrize("whose", ["that of the training", "one of their own"])
def test_workers_of_a_loader_end_when_all_of_their_traces_are_sessions(whose, log_dir):
    handler = mbt.trace_handler(log_dir)
    data = Traced(lambda: handler if whose == "that of the training" else mbt.trace_handler(log_dir))
    elements = list(torch.utils.data.DataLoader(data, num_workers=2, multiprocessing_context="fork"))
    assert len(elements) == len(sessions(log_dir)) == 4
