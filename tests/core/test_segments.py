"""Live files become segments that say at which step they end, without any package for remote storage."""

import doctest

import pytest

import multiboard as mb
from multiboard.event_writer import FileOptions
from multiboard.remote import RemoteOptions, segments
from multiboard.remote import sink as sink_module
from multiboard.remote.options import spool_root
from multiboard.remote.room import Room
from multiboard.reports import Reports
from multiboard.sink import EventSink
from multiboard.values import Scalars

TOKEN = "0123abcd"  # noqa: S105  # of a spool


def written(directory, steps):
    """Write a live file of a spool; return its path and the steps in it."""
    sink = EventSink(directory, Reports(), FileOptions(suffix=f".{TOKEN}"))
    for step in steps:
        sink.accept(Scalars(("x",), (1.0,), step, 1.7e9))
    sink.close()
    (path,) = directory.iterdir()
    return path


@pytest.mark.parametrize(("steps", "end"), [([3, 41, 7], "step41"), ([-5], "step-5"), ([], "nostep")])
def test_a_segment_says_where_it_ends(tmp_path, steps, end):
    path = written(tmp_path, steps)
    segment = segments.finish(str(path), path.stat().st_size)
    assert segment == f"{path}.{end}"
    assert segments.is_segment(segment, TOKEN)
    assert not segments.is_segment(segment, "99999999")
    assert segments.step_in_name(segment) == max(steps, default=None)
    assert not path.exists()


def test_the_file_of_a_killed_process_is_cut_behind_its_last_whole_record(tmp_path):
    path = written(tmp_path, [1, 2, 3])
    whole = path.read_bytes()
    path.write_bytes(whole[:-5])
    segment = segments.finish(str(path))
    assert segment == f"{path}.step2"
    (data,) = (mb.read(tmp_path)["."],)
    assert not data.damage
    assert data.scalars["x"].step.tolist() == [1, 2]


def test_a_file_without_any_event_becomes_no_segment(tmp_path):
    sink = EventSink(
        tmp_path, Reports(), FileOptions(None, suffix=f".{TOKEN}", after="events.out.tfevents.1700000000.000000.h.1")
    )
    sink.close()
    (path,) = tmp_path.iterdir()
    assert segments.finish(str(path)) is None
    assert not list(tmp_path.iterdir())
    assert segments.finish(str(path)) is None


def test_files_go_on_behind_one_that_is_no_longer_there(tmp_path):
    gone, finished = "events.out.tfevents.4000000000.000003.host.1.0123abcd.step9", []
    options = FileOptions(None, after=gone, finished=lambda path, size: finished.append((path, size)))
    sink = EventSink(tmp_path, Reports(), options)
    for step in range(3):
        sink.accept(Scalars(("x",), (1.0,), step, 1.7e9))
        sink.flush()
        assert sink.rotate()
        assert not sink.rotate()
    sink.close()
    names = [path.rpartition("/")[2] for path, _ in finished]
    assert len(names) == 4
    assert [gone, *names] == sorted([gone, *names])
    assert [size for _, size in finished] == [(tmp_path / name).stat().st_size for name in names]
    assert all(b"scalars" in (tmp_path / name).read_bytes() for name in names[:3]), "each describes its tags"


def test_a_full_room_keeps_values_in_memory_until_there_is_room(tmp_path):
    room, said = Room(300), []
    sink = EventSink(tmp_path, Reports(lambda cause, _: said.append(cause)), FileOptions(space=room, finished=lambda *_: None))
    with pytest.warns(mb.MultiboardWarning, match="spool_bytes=300 wait for their upload"):
        for step in range(10):
            sink.accept(Scalars(("x",), (1.0,), step, 1.7e9))
            sink.flush()
    assert sink.held_bytes() > 0
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 600
    assert len(set(said)) == 1
    room.free(1000)
    assert sink.flush()
    sink.close()
    assert mb.read(tmp_path)["."].scalars["x"].step.tolist() == list(range(10))


def test_the_directory_of_the_spools_is_where_the_user_wants_it(tmp_path, monkeypatch):
    monkeypatch.delenv("MULTIBOARD_SPOOL", raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert spool_root() == str(tmp_path / "multiboard" / "spool")
    monkeypatch.setenv("MULTIBOARD_SPOOL", str(tmp_path / "other"))
    assert spool_root() == str(tmp_path / "other")
    assert RemoteOptions(spool=tmp_path / "mine").spool_root == str(tmp_path / "mine")


def test_the_examples_in_docstrings_are_true():
    assert doctest.testmod(segments).failed == 0


class Counting:
    """Stands for the event files and for the directory of a run, and counts the segments."""

    close_timeout, asked, start_step, accept, accept_scalars, held_bytes = 0.0, 0.0, 0, None, None, None

    def __init__(self):
        self.segments = 0

    def flush(self):
        return True

    def rotate(self):
        self.segments += 1
        return True

    def ask_upload(self):
        self.asked = sink_module.monotonic()


@pytest.mark.parametrize(("asks", "least", "most"), [(False, 200, 350), (True, 1000, 2500)])
def test_a_day_of_logging_becomes_some_hundred_segments(monkeypatch, asks, least, most):
    now = [1000.0]
    monkeypatch.setattr(sink_module, "monotonic", lambda: now[0])
    counting = Counting()
    sink = sink_module.RemoteSink(counting, counting, every=15.0)
    for _ in range(24 * 60 * 60):
        now[0] += 1.0
        if asks:
            sink.ask_upload()
        sink.flush()
    assert least < counting.segments < most
