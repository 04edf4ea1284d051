"""How a drop-in writer begins and ends: its directory, its file, its attributes, and what follows after close."""

import re
import socket
import threading

import pytest

import multiboard as mb
from multiboard import proto
from multiboard.records import unframe


def starts(log_dir):
    """The step of the START record of each file, None without one."""
    found = []
    for file in sorted(log_dir.iterdir()):
        events = [proto.Event.FromString(payload) for payload in unframe(file.read_bytes(), [])]
        found.append(next((event.step for event in events[1:2] if not event.summary.value), None))
    return found


@pytest.mark.parametrize("comment", ["", "_lr0.1"])
def test_the_default_directory_is_named_by_time_and_host(tmp_path, monkeypatch, comment):
    monkeypatch.chdir(tmp_path)
    with mb.SummaryWriter(comment=comment) as writer:
        host = re.escape(socket.gethostname() + comment)
        assert re.fullmatch(rf"runs/[A-Z][a-z]{{2}}\d\d_\d\d-\d\d-\d\d_{host}", writer.log_dir)
    assert (tmp_path / writer.log_dir).is_dir()


@pytest.mark.parametrize("argument", ["log_dir", "logdir"])
def test_the_directory_has_all_the_names_of_the_peers(log_dir, argument):
    with mb.SummaryWriter(**{argument: log_dir}) as writer:
        assert {writer.log_dir, writer.logdir, writer.get_logdir(), writer.file_writer.get_logdir()} == {str(log_dir)}
        assert writer._get_file_writer() is writer.file_writer
        assert writer.all_writers == {str(log_dir): writer.file_writer}


def test_the_suffix_is_the_end_of_the_file_name(log_dir):
    mb.SummaryWriter(log_dir, filename_suffix=".mine").close()
    (file,) = log_dir.iterdir()
    assert file.name.endswith(".mine")
    assert "." in mb.read(log_dir)


def test_without_writing_to_disk_no_directory_appears(log_dir, tmp_path):
    with mb.SummaryWriter(log_dir, write_to_disk=False) as writer:
        for step in range(20):
            writer.add_scalar("x", 1.0, step)
        writer.add_scalars("m", {"a": 1.0}, 0, sub_runs=True)
        writer.add_hparams({"lr": 0.1}, {})
        writer.flush()
        writer.export_scalars_to_json(tmp_path / "scalars.json")
    assert not log_dir.exists()
    assert (tmp_path / "scalars.json").read_text() == "{}"


def test_purge_step_is_where_the_file_starts_again(log_dir):
    mb.SummaryWriter(log_dir).close()
    mb.SummaryWriter(log_dir, purge_step=5).close()
    mb.SummaryWriter(log_dir).close()
    assert starts(log_dir) == [0, 5, None]


def test_flush_returns_when_all_is_readable(log_dir):
    with mb.SummaryWriter(log_dir) as writer:
        for step in range(3000):
            writer.add_scalar("x", 1.0, step)
        writer.flush()
        assert len(mb.read(log_dir)["."].scalars["x"]) == 3000


def test_after_close_it_goes_on_in_a_new_file_and_says_so(log_dir):
    writer = mb.SummaryWriter(log_dir)
    writer.add_scalar("x", 1.0, 0)
    writer.close()
    with pytest.warns(mb.MultiboardWarning, match="used after close") as caught:
        for step in range(1, 4):
            writer.add_scalar("x", 1.0, step)
    writer.close()
    assert [warning.filename for warning in caught] == [__file__]
    assert mb.read(log_dir)["."].scalars["x"].step.tolist() == [0, 1, 2, 3]
    assert starts(log_dir) == [0, None]


def test_flush_and_close_of_a_closed_writer_do_nothing(log_dir):
    writer = mb.SummaryWriter(log_dir)
    writer.close()
    writer.flush()
    writer.close()
    assert len(list(log_dir.iterdir())) == 1
    assert writer.all_writers == {}


def test_an_exception_in_the_block_ends_the_session_with_failure(log_dir):
    with pytest.raises(KeyError), mb.SummaryWriter(log_dir) as writer:
        writer.add_hparams({"lr": 0.1}, {})
        raise KeyError
    assert mb.read(log_dir)["."].status == "failure"


def test_many_series_need_no_thread_and_no_directory_each(log_dir):
    with mb.SummaryWriter(log_dir) as writer:
        threads = threading.active_count()
        writer.add_scalars("m", {str(i): i for i in range(50)}, 0)
        assert threading.active_count() == threads
    assert len(list(log_dir.iterdir())) == 1


def test_two_writers_of_the_same_directory_and_second_keep_their_own_files(log_dir):
    with mb.SummaryWriter(log_dir) as first, mb.SummaryWriter(log_dir) as second:
        for step in range(100):
            first.add_scalar("first", 1.0, step)
            second.add_scalar("second", 1.0, step)
    scalars = mb.read(log_dir)["."].scalars
    assert [len(scalars["first"]), len(scalars["second"])] == [100, 100]
