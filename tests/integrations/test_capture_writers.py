"""Code that logs with torch.utils.tensorboard or tensorboardX writes multiboard's files after capture(), without being edited."""

from __future__ import annotations

import multiprocessing
import threading

import numpy as np
import pytest
import tensorboardX
import torch
from tensorboard.compat.proto.event_pb2 import Event
from tensorboardX import SummaryWriter as ImportedFromTensorboardX
from torch.utils.tensorboard import SummaryWriter as ImportedFromTorch

import multiboard as mb
import multiboard.tensorboardx
from multiboard.records import unframe


@pytest.fixture
def log_dir(tmp_path):
    return tmp_path / "run"


def payloads(log_dir):
    return [p for path in sorted(log_dir.glob("*tfevents*")) for p in unframe(path.read_bytes(), [])]


def test_a_class_that_was_imported_before_writes_the_tensor_form(captured, log_dir):
    writer_class, _ = captured
    assert writer_class in {ImportedFromTensorboardX, ImportedFromTorch}
    with writer_class(str(log_dir)) as writer:
        writer.add_scalar("loss", 0.5, 3, 12.0)
        assert isinstance(writer, writer_class)
    column = mb.read(log_dir)["."].scalars["loss"]
    assert (column.step.tolist(), column.wall_time.tolist(), column.value.tolist()) == ([3], [12.0], [0.5])
    assert sum(b"scalars" in payload for payload in payloads(log_dir)) == 1


def test_the_methods_of_a_subclass_are_kept(captured, log_dir):
    writer_class, _ = captured

    class Prefixed(writer_class):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            self.calls = 0

        def add_scalar(self, tag, *args, **kwargs):
            self.calls += 1
            super().add_scalar(f"mine/{tag}", *args, **kwargs)

    writer = Prefixed(str(log_dir))
    writer.add_scalar("x", 1.0, 0)
    writer.close()
    assert writer.calls == 1
    assert list(mb.read(log_dir)["."].scalars) == ["mine/x"]


def test_what_a_subclass_logs_while_it_is_closed_is_in_the_same_file(captured, log_dir):
    writer_class, _ = captured

    class Last(writer_class):
        def close(self):
            self.add_scalar("last", 1.0, 9)
            super().close()

    with Last(str(log_dir)) as writer:
        writer.add_scalar("x", 1.0, 0)
    assert len(list(log_dir.iterdir())) == 1
    assert list(mb.read(log_dir)["."].scalars) == ["x", "last"]


def test_the_attributes_that_code_reaches_for_are_there(captured, log_dir):
    writer_class, file_class = captured
    writer = writer_class(str(log_dir), purge_step=3, filename_suffix=".mine")
    assert isinstance(writer._get_file_writer(), file_class)
    assert writer._get_file_writer() is writer.file_writer
    assert list(writer.all_writers) == [str(log_dir)]
    assert writer.file_writer.get_logdir() == str(log_dir)
    assert len(writer.default_bins) > 1000
    writer.close()
    assert writer.all_writers is None
    assert all(path.name.endswith(".mine") for path in log_dir.iterdir())


def test_a_writer_without_a_directory_names_one_as_before(captured, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    writer_class, _ = captured
    writer = writer_class(comment="_c")
    named = writer.file_writer.get_logdir()
    writer.close()
    assert named.startswith("runs/")
    assert named.endswith("_c")
    assert [str(path.relative_to(tmp_path)) for path in tmp_path.glob("runs/*")] == [named]


def test_finished_messages_are_normalised(captured, log_dir):
    writer_class, _ = captured
    from torch.utils.tensorboard import summary

    with writer_class(str(log_dir)) as writer:
        writer.file_writer.add_summary(summary.scalar("x", 0.5), 1)
        writer.file_writer.add_summary(summary.histogram("h", np.arange(10.0), "auto"), 2)
        writer._get_file_writer().add_summary(summary.text("t", "hello"), 3)
    run = mb.read(log_dir)["."]
    assert run.scalars["x"].value.tolist() == [0.5]
    assert run.histograms["h"].value[0][:, 2].sum() == 10
    assert run.texts["t/text_summary"].value == ["hello"]
    values = [value for payload in payloads(log_dir) for value in Event.FromString(payload).summary.value]
    assert [value.WhichOneof("value") for value in values] == ["tensor"] * 3


def test_a_file_writer_of_its_own_is_captured(captured, log_dir):
    _, file_class = captured
    from torch.utils.tensorboard import summary

    writer = file_class(str(log_dir))
    writer.add_summary(summary.scalar("x", 0.5), 1)
    writer.flush()
    assert mb.read(log_dir)["."].scalars["x"].value.tolist() == [0.5]
    writer.close()


def test_a_second_capture_changes_nothing_until_both_have_ended(package):
    capture, writer_class, _ = package
    original = writer_class.add_scalar
    with capture():
        method = writer_class.add_scalar
        with capture() as second:
            assert writer_class.add_scalar is method
        assert not second.active
        second.restore()
        assert writer_class.add_scalar is method
    assert writer_class.add_scalar is original


def test_a_writer_that_was_captured_goes_on_with_its_own_methods(package, log_dir):
    capture, writer_class, _ = package
    with capture():
        writer = writer_class(str(log_dir), purge_step=0)
        writer.add_scalar("x", 1.0, 0)
    writer.add_scalar("x", 2.0, 1)
    writer.add_histogram("h", np.arange(9.0), 1)
    writer.close()
    run = mb.read(log_dir)["."]
    assert run.scalars["x"].value.tolist() == [1.0, 2.0]
    assert len(run.histograms["h"]) == 1


def test_a_writer_that_was_open_goes_on_as_it_was_and_says_so(package, log_dir):
    capture, writer_class, _ = package
    writer = writer_class(str(log_dir))
    from multiboard.captured import exchange as module

    module._reports.counts.clear()
    module._reports._first.clear()
    with capture(), pytest.warns(mb.MultiboardWarning, match="was open before capture"):
        writer.add_scalar("x", 1.0, 0)
        writer.add_scalar("x", 2.0, 1)
        writer.close()
    assert mb.read(log_dir)["."].scalars["x"].value.tolist() == [1.0, 2.0]
    assert not any(b"scalars" in payload for payload in payloads(log_dir))


def test_the_end_of_a_block_that_raised_is_a_failure(captured, log_dir):
    writer_class, _ = captured
    with pytest.raises(KeyError), writer_class(str(log_dir)) as writer:
        writer.add_hparams({"lr": 0.1}, {"hp": 1.0})
        raise KeyError
    assert mb.read(log_dir)["."].status == "failure"


def test_a_capture_that_ends_with_an_exception_is_the_failure_of_open_writers(package, log_dir):
    capture, writer_class, _ = package
    writers = []

    def log(name):
        writers.append(writer_class(str(log_dir / name)))
        writers[-1].add_hparams({"lr": 0.1}, {"hp": 1.0})

    with capture():
        log("good")
    with pytest.raises(KeyError), capture():
        log("bad")
        raise KeyError
    assert {name: run.status for name, run in mb.read(log_dir).items()} == {"good": "success", "bad": "failure"}


def _log_in_child(writer):
    from torch.utils.tensorboard import summary

    writer.add_scalar("x", 5.0, 7)
    writer.file_writer.add_summary(summary.scalar("y", 1.0), 7)
    writer.close()


def _end_in_child(writer):
    writer.flush()
    writer.file_writer.flush()
    writer.close()


def test_a_forked_process_writes_beside_its_parent(captured, log_dir):
    writer_class, _ = captured
    writer = writer_class(str(log_dir))
    writer.add_scalar("x", 1.0, 0)
    child = multiprocessing.get_context("fork").Process(target=_log_in_child, args=(writer,))
    child.start()
    child.join(60)
    writer.close()
    runs = mb.read(log_dir)
    assert runs["."].scalars["x"].value.tolist() == [1.0]
    assert {tag: column.step.tolist() for tag, column in runs[f"process_{child.pid}"].scalars.items()} == {"x": [7], "y": [7]}


def test_a_forked_process_that_logs_nothing_opens_nothing(captured, log_dir):
    writer_class, _ = captured
    writer = writer_class(str(log_dir))
    child = multiprocessing.get_context("fork").Process(target=_end_in_child, args=(writer,))
    child.start()
    child.join(60)
    writer.close()
    assert child.exitcode == 0
    assert list(mb.read(log_dir)) == ["."]


def test_a_captured_writer_takes_a_url(captured, tmp_path, monkeypatch):
    pytest.importorskip("fsspec")
    monkeypatch.setenv("MULTIBOARD_SPOOL", str(tmp_path / "spool"))
    writer_class, _ = captured
    url = f"memory://{tmp_path.name}/run"
    with writer_class(url) as writer:
        writer.add_scalar("x", 1.0, 0)
        assert writer.file_writer.get_logdir() == url
    assert mb.read(url)["."].scalars["x"].value.tolist() == [1.0]


def test_nothing_is_written_where_the_disk_is_not_to_be_used(tmp_path):
    with multiboard.tensorboardx.capture():
        writer = tensorboardX.SummaryWriter(str(tmp_path / "run"), write_to_disk=False)
        writer.add_scalar("x", 1.0, 0)
        writer.close()
    assert list(tmp_path.iterdir()) == []


def test_defaults_of_tensorboardx_for_step_and_time_hold(tmp_path):
    capture, log_dir = multiboard.tensorboardx.capture, str(tmp_path / "run")
    with capture(), tensorboardX.SummaryWriter(log_dir) as writer, writer.use_metadata(global_step=5, walltime=6.0):
        writer.add_scalar("x", 1.0)
        writer.file_writer.add_summary(tensorboardX.summary.scalar("y", 1.0))
    scalars = mb.read(tmp_path / "run")["."].scalars
    assert [(column.step.tolist(), column.wall_time.tolist()) for column in scalars.values()] == [([5], [6.0])] * 2


def test_the_global_writer_of_tensorboardx_is_captured(tmp_path):
    with multiboard.tensorboardx.capture():
        writer = tensorboardX.GlobalSummaryWriter(str(tmp_path / "run"))
        for value in (1.0, 2.0):
            writer.add_scalar("x", value)
        writer.add_text("t", "text")
        writer.close()
    run = mb.read(tmp_path / "run")["."]
    assert run.scalars["x"].step.tolist() == [0, 1]
    assert run.texts["t"].value == ["text"]


def test_no_thread_is_started_per_writer_or_series(captured, log_dir):
    """L15."""
    writer_class, _ = captured
    writer = writer_class(str(log_dir))
    before = threading.active_count()
    writer.add_scalars("m", {str(i): torch.tensor(float(i)) for i in range(10)}, 0)
    assert threading.active_count() == before
    writer.close()
    assert list(mb.read(log_dir)) == ["."]
