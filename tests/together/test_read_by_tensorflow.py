"""TensorFlow's own readers accept our files, and our reader accepts the files of others."""

import numpy as np
import pytest

import multiboard as mb
from multiboard.buckets import measure


@pytest.fixture
def log_dir(tmp_path):
    return tmp_path / "run"


def test_tensorflow_reads_every_record_that_we_write(log_dir):
    from tensorflow.core.util import event_pb2
    from tensorflow.data import TFRecordDataset

    with mb.Run(log_dir, config={"lr": 0.1}) as run:
        for step in range(300):
            run.log({"train/loss": step / 2, "train/accuracy": 1.0}, step)
        run.histogram("h", np.arange(10.0), 3)
        run.image("i", np.zeros((4, 4), np.uint8), 3)
        run.text("t", "text", 3)
    (file,) = log_dir.iterdir()
    events = [event_pb2.Event.FromString(record.numpy()) for record in TFRecordDataset(str(file))]
    assert events[0].file_version == "brain.Event:2"
    assert events[1].session_log.status == 1
    values = [(event.step, value) for event in events for value in event.summary.value]
    losses = [(step, value.tensor.float_val[0]) for step, value in values if value.tag == "train/loss"]
    assert losses == [(step, step / 2) for step in range(300)]
    described = [value.metadata.plugin_data.plugin_name for _, value in values if value.HasField("metadata")]
    assert sorted(described) == sorted(["scalars"] * 2 + ["histograms", "images", "text", "hparams", "hparams"])


def test_the_files_of_tensorboardx_are_read_at_full_resolution(log_dir):
    from tensorboardX import SummaryWriter

    values = np.random.default_rng(0).normal(size=500)
    with SummaryWriter(str(log_dir)) as writer:
        for step in range(50):
            writer.add_scalar("loss", step / 4, step)
        writer.add_histogram("h", values, 7)
        writer.add_text("t", "text", 1)
        writer.add_image("i", np.zeros((3, 4, 4), np.uint8), 2)
    data = mb.read(log_dir)["."]
    np.testing.assert_array_equal(data.scalars["loss"].value, np.arange(50) / 4)
    assert data.histograms["h"].value[0][:, 2].sum() == 500
    assert data.images["i"].value[0][0].startswith(b"\x89PNG")
    assert data.texts["t/text_summary"].value == ["text"]


def test_the_files_of_tf_summary_are_read_at_full_resolution(log_dir):
    import tensorflow as tf

    writer = tf.summary.create_file_writer(str(log_dir))
    with writer.as_default():
        for step in range(20):
            tf.summary.scalar("loss", step / 4, step)
        tf.summary.histogram("h", tf.constant([1.0, 2.0, 3.0]), 5)
        tf.summary.text("t", "text", 6)
        tf.summary.image("i", tf.zeros((2, 4, 4, 3)), 7)
    writer.close()
    data = mb.read(log_dir)["."]
    np.testing.assert_array_equal(data.scalars["loss"].value, np.arange(20) / 4)
    assert data.histograms["h"].value[0][:, 2].sum() == 3
    assert data.texts["t"].value == ["text"]
    assert len(data.images["i"].value[0]) == 2


def test_scalars_become_one_long_table(log_dir):
    for name in ("a", "b"):
        with mb.Run(log_dir / name) as run:
            run.log({"x": 1.0, "y": 2.0}, 0)
    frame = mb.read(log_dir).to_pandas()
    assert frame.columns.tolist() == ["run", "tag", "step", "wall_time", "value"]
    assert frame.groupby(["run", "tag"]).value.sum().tolist() == [1.0, 2.0, 1.0, 2.0]
    assert measure([1.0]).finite == 1
