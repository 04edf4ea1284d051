"""What is kept, and what goes, while the disk refuses to take it: a full device, which refuses every write."""

import os
from pathlib import Path

import pytest

import multiboard as mb
from multiboard.backlog import Backlog
from multiboard.files import EventFile
from multiboard.reports import Reports


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


def test_what_the_disk_refuses_is_kept_in_its_order_and_counted(refusing):
    file, make_room = refusing
    backlog = Backlog(file, Reports())
    for i in range(15):
        backlog.add(bytes([i]) * 100, records=2)
    with pytest.warns(mb.MultiboardWarning, match="No space left"):
        assert backlog.flush() is False
    assert backlog.size == 1500
    make_room()
    assert backlog.flush()
    assert backlog.size == 0
    assert Path(file.path).read_bytes().endswith(b"".join(bytes([i]) * 100 for i in range(15)))


def test_what_is_lost_at_the_end_is_said_in_records(refusing):
    file, _ = refusing
    backlog = Backlog(file, Reports())
    backlog.add(bytes(100), records=7)
    backlog.add(bytes(100))
    with pytest.warns(mb.MultiboardWarning) as caught:
        backlog.close()
    assert "8 records for" in str(caught[-1].message)


def test_a_refused_slice_is_not_tried_again_before_the_next_flush(refusing):
    file, _ = refusing
    reports = Reports()
    backlog = Backlog(file, reports)
    with pytest.warns(mb.MultiboardWarning, match="cannot be written"):
        for _ in range(50):
            backlog.add(bytes(2**18))
    assert reports.counts["write failed: No space left on device"] == 1
