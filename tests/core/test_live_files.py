"""When a dashboard has to look at several files of a run."""

import fcntl
import os
import socket
import threading
import time

import pytest

import multiboard as mb
from multiboard import files
from multiboard.live_files import RECENT, live_files, several_live_files

pytestmark = pytest.mark.filterwarnings("ignore:.*is being written, too")


def age(directory):
    """Let all files of a directory be old."""
    for path in directory.iterdir():
        os.utime(path, (time.time() - 2 * RECENT,) * 2)


def test_one_writer_needs_one_file_also_after_a_rotation(log_dir):
    with mb.Run(log_dir / "a", max_file_bytes=2000) as run:
        for step in range(300):
            run.log({"x": 1.0}, step)
        run.flush()
        assert len(list((log_dir / "a").iterdir())) > 2
        assert not several_live_files(log_dir)


def test_two_writers_of_one_directory_need_two(log_dir):
    with mb.Run(log_dir / "a" / "b"), mb.Run(log_dir / "a" / "b"):
        age(log_dir / "a" / "b")
        assert several_live_files(log_dir)
        assert len(live_files(log_dir / "a" / "b")) == 2
    age(log_dir / "a" / "b")
    assert not several_live_files(log_dir)


def test_runs_side_by_side_need_one_each(log_dir):
    with mb.Run(log_dir / "a"), mb.Run(log_dir / "b"):
        assert not several_live_files(log_dir)


def test_a_writer_on_another_machine_is_seen_by_its_time(log_dir):
    with mb.Run(log_dir):
        (own,) = live_files(log_dir)
        (log_dir / own.replace(socket.gethostname(), "elsewhere")).write_bytes((log_dir / own).read_bytes())
        assert several_live_files(log_dir)
        age(log_dir)
        assert not several_live_files(log_dir)


def test_files_of_other_writers_count(log_dir):
    log_dir.mkdir()
    for name in ("events.out.tfevents.1700000000.host.1.0", "events.out.tfevents.1700000001.host.2.0"):
        (log_dir / name).write_bytes(b"")
    assert several_live_files(log_dir)


def test_who_asks_for_a_lock_as_a_file_is_created_takes_it_from_nobody(log_dir, monkeypatch):
    create = files._create

    def create_before_a_reader(*arguments):
        path, descriptor = create(*arguments)
        asking = os.open(path, os.O_RDONLY)
        fcntl.flock(asking, fcntl.LOCK_SH)
        threading.Timer(0.05, os.close, [asking]).start()
        return path, descriptor

    monkeypatch.setattr(files, "_create", create_before_a_reader)
    with mb.Run(log_dir):
        age(log_dir)
        assert len(live_files(log_dir)) == 1


def test_a_directory_that_is_not_there_holds_none(log_dir):
    assert not several_live_files(log_dir)
