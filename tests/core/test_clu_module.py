"""What is written as clu.metric_writers writes what the methods of `Run` would, and the same lines into the log."""

import logging
import subprocess
import sys
import threading

import numpy as np
import pytest

import multiboard as mb
from multiboard import clu as metric_writers
from multiboard import proto
from multiboard.buckets import measure


def written(log_dir, *calls):
    with metric_writers.MetricWriter(log_dir) as writer:
        for call in calls:
            call(writer)
    return mb.read(log_dir)["."]


def points(column):
    return list(zip(column.step.tolist(), column.value.tolist(), strict=True))


def test_scalars_are_numbers_by_step(log_dir):
    run = written(log_dir, lambda w: w.write_scalars(3, {"loss": 0.5, "n": np.int32(4), "acc": np.array([0.25])}))
    assert {tag: points(column) for tag, column in run.scalars.items()} == {"loss": [(3, 0.5)], "n": [(3, 4)], "acc": [(3, 0.25)]}


def test_images_are_one_picture_or_a_batch_with_channels_last(log_dir):
    run = written(log_dir, lambda w: w.write_images(1, {"one": np.zeros((3, 4, 3)), "many": np.zeros((5, 3, 4, 1))}))
    assert {tag: len(column.value[0]) for tag, column in run.images.items()} == {"one": 1, "many": 5}


def test_videos_are_one_clip_or_a_batch_with_channels_last(log_dir):
    run = written(log_dir, lambda w: w.write_videos(1, {"one": np.zeros((2, 3, 4, 3)), "many": np.zeros((5, 2, 3, 4, 1))}))
    assert {tag: len(column.value[0]) for tag, column in run.images.items()} == {"one": 1, "many": 5}


def test_audios_are_a_batch_of_clips(log_dir):
    run = written(log_dir, lambda w: w.write_audios(1, {"a": np.zeros((5, 100, 2))}, sample_rate=8000))
    assert len(run.audios["a"].value[0]) == 5


def test_texts_are_texts_or_tables(log_dir):
    run = written(log_dir, lambda w: w.write_texts(1, {"notes": "**bold**", "rows": ["a", "b"]}))
    assert {tag: column.value for tag, column in run.texts.items()} == {"notes": ["**bold**"], "rows": ["a\nb"]}


def test_histograms_count_as_the_run_does(log_dir):
    values = np.random.default_rng(0).normal(size=(5, 60))
    run = written(log_dir, lambda w: w.write_histograms(1, {"h": values, "empty": []}, {"h": 7}))
    np.testing.assert_array_equal(run.histograms["h"].value[0], measure(values).rows().astype(np.float32))
    assert run.histograms["empty"].step.tolist() == [1]


def test_summaries_keep_tensor_and_metadata(log_dir):
    metadata = proto.MESSAGES["SummaryMetadata"](plugin_data={"plugin_name": "multiboard"}, data_class=2)
    values = np.arange(6, dtype=np.int64).reshape(2, 3)
    run = written(
        log_dir,
        lambda w: w.write_summaries(1, {"by name": values, "without": values}, {"by name": metadata}),
        lambda w: w.write_summaries(2, {"one for all": values}, metadata.SerializeToString()),
        lambda w: w.write_summaries(3, {"none": values}),
    )
    assert {tag: column.step.tolist() for tag, column in run.tensors.items()} == {
        "by name": [1],
        "without": [1],
        "one for all": [2],
        "none": [3],
    }
    for column in run.tensors.values():
        np.testing.assert_array_equal(column.value[0], values)


class Config:
    """A configuration that only behaves like a mapping."""

    def __init__(self, **values):
        self.values = values

    def items(self):
        return self.values.items()


def test_hyper_parameters_are_those_of_the_run(log_dir):
    config = {"lr": 0.5, "name": "x", "amp": True, "model": Config(width=8, depth=Config(encoder=2))}
    run = written(log_dir, lambda w: w.write_hparams(config))
    assert run.hparams == {"lr": 0.5, "name": "x", "amp": True, "model/width": 8.0, "model/depth/encoder": 2.0}
    assert run.status == "success"


def test_an_exception_inside_the_block_is_the_status_of_the_run(log_dir):
    with pytest.raises(RuntimeError), metric_writers.MetricWriter(log_dir) as writer:
        writer.write_hparams({"lr": 0.5})
        raise RuntimeError
    assert mb.read(log_dir)["."].status == "failure"


def test_a_step_may_be_an_array_of_one_element(log_dir):
    run = written(log_dir, *(lambda w, s=s: w.write_scalars(s, {"x": 1.0}) for s in (np.int64(1), np.array(2), np.array([3]))))
    assert run.scalars["x"].step.tolist() == [1, 2, 3]


MISTAKES = {
    "scalars": (lambda w: w.write_scalars(0, [1.0]), mb.ValueKindError),
    "images": (lambda w: w.write_images(0, [1.0]), mb.ValueKindError),
    "shape": (lambda w: w.write_images(0, {"i": np.zeros((4, 4))}), mb.ValueShapeError),
    "text": (lambda w: w.write_texts(0, {"t": 3}), mb.ValueKindError),
    "step": (lambda w: w.write_texts("first", {"t": "3"}), mb.StepError),
    "metadata": (lambda w: w.write_summaries(0, {"t": 3}, "text"), mb.ArgumentError),
    "hyper-parameters": (lambda w: w.write_hparams([1.0]), mb.ValueKindError),
    "kind": (lambda w: w.write_histograms(0, {"loss": [1.0]}), mb.TagKindError),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_in_the_first_step_is_an_error_of_ours(log_dir, mistake):
    call, error = MISTAKES[mistake]
    with metric_writers.create_default_writer(log_dir) as writer:
        writer.write_scalars(0, {"loss": 1.0})
        with pytest.raises(error):
            call(writer)


# ---------------------------------------------------------------------- the log


@pytest.fixture
def lines(caplog):
    """A function that returns the lines in the log so far."""
    caplog.set_level(logging.INFO, logger="multiboard.clu")
    return lambda: [record.getMessage() for record in caplog.records if record.name == "multiboard.clu"]


@pytest.mark.parametrize("asynchronous", [True, False])
def test_just_logging_writes_lines_and_no_files(tmp_path, lines, asynchronous):
    writer = metric_writers.create_default_writer(tmp_path / "run", just_logging=True, asynchronous=asynchronous)
    writer.write_scalars(7, {"loss": 0.123456789, "epoch": 3})
    writer.write_images(8, {"i": np.zeros((1, 2, 2, 3))})
    writer.write_videos(8, {"v": np.zeros((1, 2, 2, 2, 3))})
    writer.write_audios(8, {"a": np.zeros((1, 10, 1))}, sample_rate=8000)
    writer.write_summaries(8, {"s": np.zeros(3)})
    writer.write_texts(9, {"t": "text"})
    writer.write_histograms(9, {"h": np.array([0.0, 1.0, 4.0]), "same": np.ones(3), "empty": np.ones(0)}, {"h": 2})
    writer.write_hparams({"lr": 0.5})
    writer.flush()
    assert lines() == [
        "[7] epoch=3, loss=0.123457",
        "[8] Got images: {'i': (1, 2, 2, 3)}.",
        "[8] Got videos: {'v': (1, 2, 2, 2, 3)}.",
        "[8] Got audios: {'a': (1, 10, 1)}.",
        "[8] Got raw tensors: {'s': (3,)}.",
        "[9] Got texts: {'t': 'text'}.",
        "[9] Histogram for 'h' = {[0, 2): 2, [2, 4]: 1}",
        "[9] Histogram for 'same' = {[0.5, 1.5]: 3}",
        "[Hyperparameters] {'lr': 0.5}",
    ]
    writer.close()
    assert list(tmp_path.iterdir()) == []


def test_a_collection_is_a_directory_and_a_word_in_each_line(tmp_path, lines):
    with metric_writers.create_default_writer(tmp_path, collection="eval") as writer:
        writer.write_scalars(1, {"x": 0.5})
    assert lines() == ["[1] collection=eval x=0.5"]
    assert points(mb.read(tmp_path)["eval"].scalars["x"]) == [(1, 0.5)]


def test_a_line_says_what_was_written_even_if_the_array_changes_later(lines):
    values, held = np.zeros(3), threading.Event()
    with metric_writers.create_default_writer() as writer:
        writer._lines._executor().submit(held.wait, 60)  # the thread is busy meanwhile
        writer.write_scalars(0, {"x": values[:1]})
        writer.write_histograms(0, {"h": values})
        values[:] = 9
        held.set()
    assert lines() == ["[0] x=[0.]", "[0] Histogram for 'h' = {[-0.5, 0.5]: 3}"]


def test_not_a_number_does_not_end_the_line(lines):
    with metric_writers.create_default_writer() as writer:
        writer.write_scalars(0, {"x": float("nan")})
        writer.write_histograms(0, {"h": np.array([1.0, np.nan, 1.0, np.inf])})
    assert lines() == ["[0] x=nan", "[0] Histogram for 'h' = {[0.5, 1.5]: 2}"]


def test_what_cannot_be_logged_is_said_and_raises_nothing(lines):
    class Unreadable:
        def __format__(self, spec):
            raise ValueError("gone")

    with metric_writers.create_default_writer() as writer:
        writer.write_scalars(0, {"x": Unreadable()})
        writer.flush()
        writer.write_scalars(1, [1.0])
    first, second = lines()
    assert first == "[0] cannot be logged: gone"
    assert second.startswith("[1] cannot be logged: ")


def test_while_the_level_is_off_no_thread_is_started(caplog):
    caplog.set_level(logging.WARNING, logger="multiboard.clu")
    with metric_writers.create_default_writer() as writer:
        writer.write_scalars(0, {"x": 1.0})
        assert writer._lines._thread is None


def test_a_forked_process_writes_lines_of_its_own():
    code = """
import logging, os, sys
logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
from multiboard import clu as metric_writers
writer = metric_writers.create_default_writer(just_logging=True)
writer.write_scalars(0, {"x": 1.5})
writer.flush()
sys.stdout.flush()
child = os.fork()
if not child:
    writer.write_scalars(1, {"x": 2.5})
    writer.flush()
    sys.stdout.flush()
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout.splitlines(), done.returncode) == (["[0] x=1.5", "[1] x=2.5"], 0), done.stderr


def test_flushing_is_ensured_however_the_block_is_left(tmp_path):
    writers = [metric_writers.create_default_writer(tmp_path / name) for name in ("a", "b")]
    with pytest.raises(RuntimeError), metric_writers.ensure_flushes(*writers) as first:
        assert first is writers[0]
        for writer in writers:
            writer.write_scalars(0, {"x": 1.0})
        raise RuntimeError
    assert {name: len(run.scalars["x"]) for name, run in mb.read(tmp_path).items()} == {"a": 1, "b": 1}
    for writer in writers:
        writer.close()
        writer.close()
