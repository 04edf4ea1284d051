"""What becomes of a window behind the training: a session, a summary at its first step, and nothing left behind if it fails."""

import errno
import json
import os
import shutil
import stat
import sys
import tempfile
import time
from pathlib import Path

import pytest

import multiboard as mb
from multiboard.profile import conversions, summary
from multiboard.profile.processing import finish_session
from multiboard.profile.sessions import profiles_of
from multiboard.profile.tracer import Raw
from multiboard.profile.xspace import read_space

HOST = os.uname().nodename
pytestmark = pytest.mark.usefixtures("toy")


@pytest.fixture(autouse=True)
def temporary(tmp_path, monkeypatch):
    """The directory of temporary files, which is empty at the end."""
    directory = tmp_path / "temporary"
    directory.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(directory))
    yield directory
    assert not list(directory.iterdir())


def train(profiler, count=20):
    for n in range(count):
        with profiler.step(n):
            time.sleep(0.001)


@pytest.mark.parametrize("convert", ["background", "now"])
def test_a_window_becomes_a_session_and_numbers_at_its_first_step(log_dir, sessions, convert):
    with mb.Run(log_dir) as run:
        train(mb.Profiler(run, start=5, steps=3, convert=convert))
    assert sessions(log_dir) == {"step_000005": [f"{HOST}.multiboard.json", f"{HOST}.xplane.pb"]}
    space = read_space(profiles_of(log_dir) / "step_000005" / f"{HOST}.xplane.pb")
    assert [len(line.events) for plane in space.planes for line in plane.lines] == [3]
    data = mb.read(log_dir)["."]
    assert data.scalars["profile/step_ms"].step.tolist() == [5]
    assert data.scalars["profile/step_ms"].value[0] >= 1
    assert data.texts["profile/top_ops"].step.tolist() == [5]


def test_the_directory_of_a_run_gets_only_the_session(log_dir, sessions):
    with mb.Profiler(log_dir, start=5, steps=3) as profiler:
        train(profiler)
    assert list(sessions(log_dir)) == ["step_000005"]
    assert [path.name for path in log_dir.iterdir()] == ["plugins"]


def test_a_second_training_in_the_same_directory_gets_sessions_of_its_own(log_dir, sessions):
    for _ in range(2):
        with mb.Profiler(log_dir, start=5, steps=3, convert="now") as profiler:
            train(profiler)
    assert list(sessions(log_dir)) == ["step_000005", "step_000005_r2"]


def test_only_the_newest_windows_are_kept(toy, log_dir, sessions):
    with (
        pytest.warns(mb.MultiboardWarning, match="no profile from step 20 on: it was closed before this step had ended"),
        mb.Profiler(log_dir, start=2, steps=1, warmup=0, every=2, keep=3, convert="now") as profiler,
    ):
        train(profiler)
    assert list(sessions(log_dir)) == ["step_000014", "step_000016", "step_000018"]
    assert len(toy.steps()) == 10


def test_raw_files_can_be_kept(log_dir, sessions):
    with mb.Profiler(log_dir, start=2, steps=2, keep_raw=True) as profiler:
        train(profiler)
    assert sessions(log_dir)["step_000002"] == [f"{HOST}.multiboard.json", f"{HOST}.toy.xspace", f"{HOST}.xplane.pb"]


def test_what_was_left_for_later_can_be_finished(log_dir, sessions):
    with mb.Profiler(log_dir, start=5, steps=3, convert="lazy") as profiler:
        train(profiler)
    assert sessions(log_dir) == {"step_000005": [f"{HOST}.multiboard.json", f"{HOST}.toy.xspace"]}
    session = profiles_of(log_dir) / "step_000005"
    assert finish_session(session)[HOST].scalars()["profile/step_ms"] >= 1
    assert sessions(log_dir) == {"step_000005": [f"{HOST}.multiboard.json", f"{HOST}.xplane.pb"]}
    assert finish_session(session) == {}


def test_a_window_has_no_more_steps_than_its_events_allow(toy, log_dir):
    with pytest.warns(mb.MultiboardWarning, match="gets 2 steps instead of 4, because of max_events=3"):
        profiler = mb.Profiler(log_dir, start=0, steps=4, warmup=0, every=10, repeat=2, max_events=3, convert="now")
        profiler.driver._conversions.events_per_step = 1.5
        train(profiler)
        profiler.close()
    assert toy.steps() == [[0, 1], [10, 11, 12]]


def program(tmp_path, text):
    path = tmp_path / "python"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


@pytest.mark.parametrize("end", ["kill -9 $$", "echo no answer; exit 3", "echo 'half an {'"])
def test_a_process_that_dies_leaves_the_raw_files_for_later(log_dir, sessions, tmp_path, monkeypatch, end):
    monkeypatch.setattr(conversions.sys, "executable", program(tmp_path, end))
    with (
        pytest.warns(mb.MultiboardWarning, match="its process ended with status .* 'multiboard profile convert"),
        mb.Run(log_dir) as run,
    ):
        train(mb.Profiler(run, start=5, steps=3))
    assert sessions(log_dir) == {"step_000005": [f"{HOST}.multiboard.json", f"{HOST}.toy.xspace"]}
    assert finish_session(profiles_of(log_dir) / "step_000005")
    assert "profile/step_ms" not in mb.read(log_dir)["."].scalars


@pytest.mark.parametrize("executable", ["/nowhere/python", "", None])
def test_without_another_process_the_thread_does_it(log_dir, sessions, monkeypatch, executable):
    monkeypatch.setattr(conversions.sys, "executable", executable)
    with mb.Profiler(log_dir, start=5, steps=3) as profiler:
        train(profiler)
    assert sessions(log_dir)["step_000005"] == [f"{HOST}.multiboard.json", f"{HOST}.xplane.pb"]


def test_a_frozen_program_is_not_started_again(log_dir, sessions, tmp_path, monkeypatch):
    monkeypatch.setattr(conversions.sys, "executable", program(tmp_path, f"touch {tmp_path}/started"))
    monkeypatch.setattr(conversions.sys, "frozen", True, raising=False)
    with mb.Profiler(log_dir, start=5, steps=3) as profiler:
        train(profiler)
    assert sessions(log_dir)["step_000005"] == [f"{HOST}.multiboard.json", f"{HOST}.xplane.pb"]
    assert not (tmp_path / "started").exists()


@pytest.mark.parametrize("convert", ["background", "now", "lazy"])
def test_a_directory_that_cannot_be_written_costs_the_profile_only(toy, tmp_path, convert):
    (tmp_path / "plugins").touch()
    with pytest.warns(mb.MultiboardWarning, match="the profile of steps 5 to 7 is lost: NotADirectoryError") as said:
        profiler = mb.Profiler(tmp_path, start=5, steps=3, every=10, convert=convert)
        train(profiler)
        profiler.close()
    assert len(said) == 1
    assert toy.steps() == [[5, 6, 7], [15, 16, 17]]


def test_a_disk_that_is_full_leaves_no_half_session(log_dir, monkeypatch):
    write = Path.write_bytes

    def full(path, content):
        write(path, content[:1])
        if path.is_relative_to(log_dir):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write(path, content)

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.warns(mb.MultiboardWarning, match="steps 5 to 7 is lost: .*No space left") as said, mb.Run(log_dir) as run:
        profiler = mb.Profiler(run, start=5, steps=3, convert="now")
        train(profiler)
    assert len(said) == 1
    assert not list(profiles_of(log_dir).glob("*"))


def test_a_session_that_is_deleted_meanwhile_costs_the_profile_only(log_dir, sessions, monkeypatch):
    claim = conversions.claim_session

    def claim_and_lose(*arguments):
        session = claim(*arguments)
        shutil.rmtree(session)
        return session

    monkeypatch.setattr(conversions, "claim_session", claim_and_lose)
    with pytest.warns(mb.MultiboardWarning, match="steps 5 to 7 is lost: OSError: FileNotFoundError"), mb.Run(log_dir) as run:
        train(mb.Profiler(run, start=5, steps=3))
    assert not sessions(log_dir)


def test_without_room_for_temporary_files_there_is_no_profile(toy, log_dir, monkeypatch, temporary):
    monkeypatch.setattr(tempfile, "tempdir", str(temporary / "missing"))
    with pytest.warns(mb.MultiboardWarning, match="from step 5 on: FileNotFoundError"), mb.Run(log_dir) as run:
        train(mb.Profiler(run, start=5, steps=3))
    assert not toy.calls


def test_the_end_of_a_run_waits_for_the_conversion(log_dir, monkeypatch):
    slowly = conversions._in_a_process
    monkeypatch.setattr(conversions, "_in_a_process", lambda job: (time.sleep(0.3), slowly(job))[1])
    with mb.Run(log_dir) as run:
        train(mb.Profiler(run, start=5, steps=3))
    assert mb.read(log_dir)["."].scalars["profile/step_ms"].step.tolist() == [5]


def test_the_end_of_a_run_does_not_wait_for_ever(log_dir, sessions, monkeypatch):
    slowly = conversions._in_a_process
    monkeypatch.setattr(conversions, "_in_a_process", lambda job: (time.sleep(0.5), slowly(job))[1])
    monkeypatch.setattr("multiboard.profile.driver.PATIENCE", 0.05)
    with pytest.warns(mb.MultiboardWarning, match="was not converted within 0.05 s"), mb.Run(log_dir) as run:
        profiler = mb.Profiler(run, start=5, steps=3)
        train(profiler)
    assert "profile/step_ms" not in mb.read(log_dir)["."].scalars
    assert profiler.driver._conversions.wait(30)
    assert sessions(log_dir)["step_000005"] == [f"{HOST}.multiboard.json", f"{HOST}.xplane.pb"]


def test_the_note_of_a_session_says_what_it_is_of(log_dir):
    with mb.Profiler(log_dir, start=5, steps=3, convert="now") as profiler:
        train(profiler)
    note = json.loads((profiles_of(log_dir) / "step_000005" / f"{HOST}.multiboard.json").read_text())
    assert note == {"step": 5, "steps": 3, "process": os.getpid()}


def test_a_file_beside_the_session_is_still_there_for_a_second_attempt(toy, log_dir, sessions, monkeypatch):
    make_plain = toy.make_tracer

    def make_tracer(request):
        tracer = make_plain(request)
        path = Path(request.folder, "memory.pickle")
        path.touch()
        stop = tracer.stop
        tracer.stop = lambda: [*stop(), Raw("artefact", str(path), "toy", {})]
        return tracer

    monkeypatch.setattr(sys.modules["toy_adapter"], "make_tracer", make_tracer)
    with (
        monkeypatch.context() as patched,
        pytest.warns(mb.MultiboardWarning, match="is not converted, ZeroDivisionError: .*: the raw files are kept"),
        mb.Profiler(log_dir, start=5, steps=3, convert="now") as profiler,
    ):
        patched.setattr(summary, "summarize", lambda *_, **__: 1 / 0)
        train(profiler)
    assert finish_session(profiles_of(log_dir) / "step_000005")
    assert sessions(log_dir)["step_000005"] == [f"{HOST}.memory.pickle", f"{HOST}.multiboard.json", f"{HOST}.xplane.pb"]
