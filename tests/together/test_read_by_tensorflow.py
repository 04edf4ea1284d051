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


EVERY_KIND = {
    "scalars": lambda run: run.log({"scalars": 0.5}, 4),
    "histograms": lambda run: run.histogram("histograms", np.arange(5.0), 4),
    "histograms, raw": lambda run: run.histogram_raw("histograms, raw", [0.0], [1.0], [3], 4),
    "images": lambda run: run.image("images", np.zeros((3, 4, 4, 3)), 4),
    "images, boxes": lambda run: run.image("images, boxes", np.zeros((9, 9)), 4, boxes=[[1, 1, 5, 5]]),
    "images, mask": lambda run: run.segmentation("images, mask", np.zeros((4, 4)), np.ones((4, 4), int), 4),
    "images, video": lambda run: run.video("images, video", np.zeros((3, 4, 4, 3), np.uint8), 4),
    "images, matrix": lambda run: run.confusion_matrix("images, matrix", [0, 1], [1, 1], 4),
    "images, roc": lambda run: run.roc_curve("images, roc", [0, 1], [0.2, 0.8], 4),
    "images, figure": lambda run: run.figure("images, figure", _figure(), 4),
    "audio": lambda run: run.audio("audio", np.zeros(100), 4),
    "text": lambda run: run.text("text", "*text*", 4),
    "text, table": lambda run: run.table("text, table", [{"a": 1}], 4),
    "multiboard": lambda run: run.tensor("multiboard", np.arange(6).reshape(2, 3), 4),
    "pr_curves": lambda run: run.pr_curve("pr_curves", [0, 1], [0.2, 0.8], 4, num_thresholds=5),
    "mesh": lambda run: run.mesh("mesh", np.zeros((3, 3)), 4),
    "custom_scalars": lambda run: run.layout({"a": {"b": ["Multiline", ["x"]]}}),
    "graph_run_metadata_graph": lambda run: run.graph(_graph_def(), tag="graph_run_metadata_graph"),
    "hparams": lambda run: run.hparams({"lr": 0.1}),
}


def _figure():
    from matplotlib.figure import Figure

    return Figure(figsize=(1, 1), dpi=20)


def _graph_def():
    from tensorboard.compat.proto.graph_pb2 import GraphDef

    graph = GraphDef()
    graph.node.add(name="layer", op="Op")
    return graph.SerializeToString()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("kind", EVERY_KIND)
def test_tensorflows_summary_iterator_reads_every_kind(log_dir, kind):
    import tensorflow as tf

    with mb.Run(log_dir, facts=False) as run:
        EVERY_KIND[kind](run)
    (file,) = log_dir.iterdir()
    found = [(event, value) for event in tf.compat.v1.train.summary_iterator(str(file)) for value in event.summary.value]
    plugin = kind.partition(",")[0]
    event, value = next(pair for pair in found if pair[1].metadata.plugin_data.plugin_name == plugin)
    assert event.step == (4 if plugin not in {"custom_scalars", "graph_run_metadata_graph", "hparams"} else 0)
    content = tf.make_ndarray(value.tensor)
    assert content.size or plugin == "hparams"
    expected = {"scalars": 0.5, "text": b"*text*"}.get(kind)
    assert expected is None or content == expected
    if kind == "multiboard":
        np.testing.assert_array_equal(content, np.arange(6).reshape(2, 3))
    if plugin == "images":
        assert content[2].startswith((b"\x89PNG", b"GIF8"))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_tensorflows_summary_iterator_reads_the_graph_of_a_run(log_dir):
    import tensorflow as tf

    with mb.Run(log_dir, facts=False) as run:
        run.graph(_graph_def())
    (file,) = log_dir.iterdir()
    graphs = [event.graph_def for event in tf.compat.v1.train.summary_iterator(str(file)) if event.graph_def]
    assert graphs == [_graph_def()]


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
