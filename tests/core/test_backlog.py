"""What is kept, and what goes, while the disk refuses to take it: a full device, which refuses every write."""

import os
from pathlib import Path

import pytest

import multiboard as mb
from multiboard.backlog import Backlog
from multiboard.files import EventFile
from multiboard.reports import Reports
from multiboard.sink import EventSink
from multiboard.values import Scalars


@pytest.fixture
def full_disk():
    """A descriptor of the device that is always full."""
    descriptor = os.open("/dev/full", os.O_WRONLY)
    yield descriptor
    os.close(descriptor)


@pytest.fixture
def refusing(log_dir, full_disk):
    """An event file whose disk is full, and a function that makes room."""
    file = EventFile(log_dir)
    real, file._descriptor = file._descriptor, full_disk

    def make_room():
        file._descriptor = real

    yield file, make_room
    make_room()
    file.close()


def test_beyond_the_limit_the_oldest_records_go_and_are_counted(refusing):
    file, make_room = refusing
    reports = Reports()
    backlog = Backlog(file, reports, limit=1000)
    with pytest.warns(mb.MultiboardWarning, match="No space left|dropped"):
        kept = [backlog.add(bytes([i]) * 100) for i in range(15)]
        assert backlog.flush() is False
    assert kept == [True] * 10 + [False] * 5
    assert reports.counts["record dropped"] == 5
    make_room()
    assert backlog.flush()
    assert Path(file.path).read_bytes().endswith(b"".join(bytes([i]) * 100 for i in range(5, 15)))


def test_after_dropped_records_the_tags_are_described_again(log_dir, full_disk):
    sink = EventSink(log_dir, Reports())
    sink._backlog._limit = 2000
    real, sink._file._descriptor = sink._file._descriptor, full_disk
    with pytest.warns(mb.MultiboardWarning):
        for step in range(100):
            sink.accept(Scalars(("x", "y"), (1.0, 2.0), step, 0.0))
            assert sink.flush() is False
    sink._file._descriptor = real
    sink.accept(Scalars(("x", "y"), (1.0, 2.0), 100, 0.0))
    sink.close()
    data = mb.read(log_dir)["."]
    assert data.scalars["x"].step[-1] == data.scalars["y"].step[-1] == 100
    assert not data.damage


def test_a_refused_slice_is_not_tried_again_before_the_next_flush(refusing):
    file, _ = refusing
    reports = Reports()
    backlog = Backlog(file, reports)
    with pytest.warns(mb.MultiboardWarning, match="cannot be written"):
        for _ in range(50):
            backlog.add(bytes(2**18))
    assert reports.counts["write failed: No space left on device"] == 1
