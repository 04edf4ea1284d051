"""Logs of the real writers are converted point by point: torch, tensorboardX, tf.summary of both TensorFlows, clu."""

import importlib

import numpy as np
import pytest
import tensorflow as tf
import torch
from clu import metric_writers
from tensorboard.compat.proto.event_pb2 import Event

import multiboard as mb
from multiboard.records import unframe

PEERS = {"torch": "torch.utils.tensorboard", "tensorboardX": "tensorboardX"}
KINDS = ("scalars", "histograms", "images", "texts", "audios", "pr_curves", "meshes", "graphs")
RNG = np.random.default_rng(0)


@pytest.fixture(params=PEERS)
def writer(request, tmp_path):
    with importlib.import_module(PEERS[request.param]).SummaryWriter(str(tmp_path / "old")) as opened:
        yield opened


@pytest.fixture
def converted(tmp_path):
    """A function that converts and returns the old and the new run, all of whose values are described tensors."""

    def convert(name="."):
        report = mb.convert(tmp_path / "old", tmp_path / "new")
        for path in (tmp_path / "new").rglob("*tfevents*"):
            plugins = {}
            for payload in unframe(path.read_bytes(), []):
                for value in Event.FromString(payload).summary.value:
                    assert value.WhichOneof("value") == "tensor"
                    plugins.setdefault(value.tag, value.metadata.plugin_data.plugin_name)
            assert all(plugins.values())
        assert not any(run.damage for run in report.runs.values())
        return mb.read(tmp_path / "old")[name], mb.read(tmp_path / "new")[name]

    return convert


def same(old, new):
    """Compare two runs point by point; return how many there are."""
    count = 0
    for kind in KINDS:
        before, after = getattr(old, kind), getattr(new, kind)
        assert list(before) == list(after)
        for tag, column in before.items():
            count += len(column)
            assert (after[tag].step.tolist(), after[tag].wall_time.tolist()) == (column.step.tolist(), column.wall_time.tolist())
            assert after[tag].description == column.description
            np.testing.assert_equal(list(after[tag].value), list(column.value))
    assert old.hparams == new.hparams
    return count


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of tracing
def test_every_kind_of_both_summary_writers_is_the_same(writer, converted):
    for step in range(100):
        for tag in range(5):
            writer.add_scalar(f"metric/{tag}", step / 8 + tag, step)
        if step % 20 == 0:
            writer.add_histogram("h", RNG.normal(size=1000), step)
            writer.add_histogram("auto", RNG.normal(size=1000), step, bins="auto")
            writer.add_image("i", RNG.uniform(size=(3, 4, 5)), step)
            writer.add_images("is", RNG.uniform(size=(2, 3, 4, 5)), step)
            writer.add_text("t", f"text {step}", step)
    writer.add_histogram_raw("raw", -1.0, 3.0, 8, 4.0, 9.0, [0.0, 1.0, 2.0, 3.0], [3, 0, 4, 1], 4)
    writer.add_pr_curve("p", np.array([0, 1, 1]), np.array([0.1, 0.6, 0.8]), 3)
    writer.add_mesh("m", torch.arange(9.0).reshape(1, 3, 3), faces=torch.tensor([[[0, 1, 2]]]))
    writer.add_graph(torch.nn.Linear(2, 3), torch.zeros(1, 2))
    writer.close()
    assert same(*converted()) >= 500 + 5 * 5 + 4


def test_hyper_parameters_of_both_are_the_same(writer, converted, tmp_path):
    writer.add_hparams({"lr": 0.5, "name": "x", "amp": True}, {"hp": 0.25}, global_step=3)
    writer.close()
    (name,) = set(mb.read(tmp_path / "old")) - {"."}
    old, new = converted(name)
    assert same(old, new) == 1
    assert new.hparams == {"lr": 0.5, "name": "x", "amp": True}


def test_new_style_and_double_scalars_and_tensors_of_torch(tmp_path, converted):
    with importlib.import_module(PEERS["torch"]).SummaryWriter(str(tmp_path / "old")) as opened:
        for step in range(40):
            opened.add_scalar("new", step / 8, step, new_style=True)
            opened.add_scalar("double", step / 8, step, new_style=True, double_precision=True)
            opened.add_tensor("raw", torch.arange(3) + step, step)
    old, new = converted()
    assert same(old, new) == 80
    assert [value.tolist() for value in new.tensors["raw"].value] == [[step, step + 1, step + 2] for step in range(40)]


def test_summaries_of_tensorflow_2_are_the_same(tmp_path, converted):
    with tf.summary.create_file_writer(str(tmp_path / "old")).as_default():
        for step in range(50):
            tf.summary.scalar("loss", step / 8, step, description="of *training*")
            tf.summary.scalar("count", tf.constant(step, tf.int64), step)
        tf.summary.histogram("h", RNG.normal(size=100), 1)
        tf.summary.image("i", RNG.uniform(size=(3, 4, 5, 3)), 1, max_outputs=3)
        tf.summary.text("t", "hello", 1)
        tf.summary.text("table", [["a", "b"]], 1)
        tf.summary.audio("a", RNG.uniform(-1, 1, (2, 100, 1)).astype(np.float32), 8000, 1, max_outputs=2)
    old, new = converted()
    assert new.audios["a"].value == [old.audios["a"].value[0][::2]]
    old.audios.clear()
    new.audios.clear()
    assert same(old, new) == 100 + 4
    assert len(new.images["i"].value[0]) == 3


def test_summaries_of_tensorflow_1_are_the_same(tmp_path, converted):
    pictures, numbers = RNG.integers(0, 255, (3, 4, 5, 3), np.uint8), RNG.normal(size=100)
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        summaries = [
            tf.compat.v1.summary.scalar("loss", 0.5),
            tf.compat.v1.summary.image("pictures", pictures, 3),
            tf.compat.v1.summary.histogram("h", numbers),
            tf.compat.v1.summary.audio("a", RNG.uniform(-1, 1, (2, 100, 1)).astype(np.float32), 8000),
            tf.compat.v1.summary.text("t", tf.constant("hello")),
        ]
        opened = tf.compat.v1.summary.FileWriter(str(tmp_path / "old"), session.graph)
        opened.add_summary(session.run(tf.compat.v1.summary.merge(summaries)), 7)
        opened.close()
    old, new = converted()
    assert new.scalars["loss"].step.tolist() == old.scalars["loss"].step.tolist() == [7]
    rows = new.histograms["h"].value[0]
    assert (rows[0, 0], rows[-1, 1], rows[:, 2].sum()) == (numbers.min(), numbers.max(), 100)
    assert new.images["pictures/image"].value == [[old.images[f"pictures/image/{i}"].value[0][0] for i in range(3)]]
    assert new.audios["a/audio"].value == [[old.audios[f"a/audio/{i}"].value[0][0] for i in range(2)]]
    assert new.texts["t"].value == ["hello"]
    assert new.graphs["Default"].value == old.graphs["Default"].value


def test_what_clu_writes_is_the_same(tmp_path, converted):
    opened = metric_writers.SummaryWriter(str(tmp_path / "old"))
    for step in range(30):
        opened.write_scalars(step, {"loss": step / 8, "accuracy": 0.5})
    opened.write_histograms(3, {"h": RNG.normal(size=100)}, num_buckets={"h": 10})
    opened.write_images(3, {"i": RNG.uniform(size=(2, 4, 5, 3))})
    opened.write_texts(3, {"t": "hello"})
    opened.write_hparams({"lr": 0.5})
    opened.close()
    assert same(*converted()) == 60 + 3


def test_a_log_that_was_taken_up_again_keeps_its_files_and_starts(tmp_path, converted, monkeypatch):
    for begin, purge in ((0, None), (5, 5)):
        monkeypatch.setattr("time.time", lambda second=1_700_000_000 + begin: second)  # names within a second do not sort
        module = importlib.import_module(PEERS["torch"])
        with module.SummaryWriter(str(tmp_path / "old"), purge_step=purge, filename_suffix=f".{begin}") as opened:
            for step in range(begin, begin + 10):
                opened.add_scalar("x", step, step)
    assert same(*converted()) == 20
    starts = [
        (path.suffix, event.step)
        for path in sorted((tmp_path / "new").iterdir())
        for event in map(Event.FromString, unframe(path.read_bytes(), []))
        if event.HasField("session_log")
    ]
    assert starts == [(".0", 0), (".5", 5)]
