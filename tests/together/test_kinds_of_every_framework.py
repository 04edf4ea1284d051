"""Every further kind takes the arrays of every framework, bfloat16 included, as they are at the moment of the call."""

import io
import wave

import numpy as np
import pytest

import multiboard as mb

RNG = np.random.default_rng(0)
VALUES = (RNG.integers(-64, 64, (6, 3)) / 64).astype(np.float32)  # exact in bfloat16


def _torch(values, dtype=None):
    import torch

    tensor = torch.from_numpy(np.array(values))
    return tensor.to(getattr(torch, dtype)) if dtype else tensor


def _jax(values, dtype=None):
    import jax.numpy as jnp

    return jnp.asarray(values, dtype=dtype)


def _tensorflow(values, dtype=None):
    import tensorflow as tf

    return tf.cast(values, dtype) if dtype else tf.constant(values)


MAKE = {"torch": _torch, "jax": _jax, "tensorflow": _tensorflow}


@pytest.fixture(params=MAKE)
def make(request):
    return MAKE[request.param]


@pytest.fixture
def written(tmp_path):
    def write(actions):
        with mb.Run(tmp_path / "run") as run:
            actions(run)
        return mb.read(tmp_path / "run")["."]

    return write


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_a_tensor_and_a_mesh_are_exact(written, make, dtype):
    def actions(run):
        run.tensor("x", make(VALUES, dtype), 0)
        run.mesh("m", make(VALUES, dtype), 0)

    data = written(actions)
    np.testing.assert_array_equal(data.tensors["x"].value[0], VALUES)
    np.testing.assert_array_equal(data.meshes["m_VERTEX"].value[0][0], VALUES)


def test_sound_is_scaled_alike(written, make):
    (data,) = written(lambda run: run.audio("a", make(VALUES[:, 0], "bfloat16"), 0)).audios["a"].value[0]
    with wave.open(io.BytesIO(data)) as file:
        samples = np.frombuffer(file.readframes(6), "<i2")
    np.testing.assert_array_equal(samples, np.rint(VALUES[:, 0] * 32767))


def test_curves_and_matrices_count_alike(written, make):
    labels, predictions = np.array([0, 1, 1, 0]), np.array([0.25, 0.75, 0.25, 0.5], np.float32)

    def actions(run):
        run.pr_curve("p", make(labels), make(predictions, "bfloat16"), 0, num_thresholds=5)
        run.confusion_matrix("c", make(labels), make(labels), 0)
        run.roc_curve("r", make(labels), make(predictions), 0)
        run.pr_curve("of numpy", labels, predictions, 0, num_thresholds=5)

    data = written(actions)
    np.testing.assert_array_equal(data.pr_curves["p"].value[0], data.pr_curves["of numpy"].value[0])
    assert data.texts["c/table"].value[0].endswith("| **1** | 0 | 2 |")
    assert "**0.625**" in data.texts["r/table"].value[0]


def test_pictures_take_boxes_and_masks(written, make):
    pixels = make(np.zeros((8, 8, 3), np.float32))

    def actions(run):
        run.image("b", pixels, 0, boxes=make(np.array([[1.0, 1, 5, 5]])))
        run.segmentation("s", pixels, make(np.ones((8, 8), np.int32)), 0)
        run.video("v", make(np.zeros((2, 4, 4, 3), np.float32)), 0)

    assert set(written(actions).images) == {"b", "s", "v"}


def test_an_embedding_is_exact(written, make, tmp_path):
    written(lambda run: run.embedding("e", make(VALUES, "bfloat16"), labels=make(np.arange(6))))
    np.testing.assert_array_equal(np.loadtxt(tmp_path / "run/projector/e/tensors.tsv"), VALUES)
    assert (tmp_path / "run/projector/e/metadata.tsv").read_text().split() == list("012345")


def test_a_table_of_pandas_and_cells_on_a_device_are_text(written, make):
    import pandas as pd

    def actions(run):
        run.table("frame", pd.DataFrame({"a": [1, 2], "b": ["x", "y"]}), 0)
        run.table("cells", [{"loss": make(np.float32(0.5))}], 0)

    texts = written(actions).texts
    assert texts["frame"].value[0].splitlines()[2:] == ["| 1 | x |", "| 2 | y |"]
    assert texts["cells"].value[0].endswith("| 0.5 |")


def test_a_tensor_changed_in_place_keeps_what_was_logged(written):
    def actions(run):
        tensor = _torch(VALUES)
        run.tensor("x", tensor, 0)
        tensor.zero_()

    np.testing.assert_array_equal(written(actions).tensors["x"].value[0], VALUES)


def test_what_tensorboardx_wrote_is_read_in_the_same_columns(tmp_path):
    from tensorboardX import SummaryWriter

    with SummaryWriter(str(tmp_path)) as writer:
        writer.add_pr_curve("p", np.array([0, 1]), np.array([0.1, 0.9]), 1, num_thresholds=5)
        writer.add_mesh("m", VALUES[None], global_step=1)
    data = mb.read(tmp_path)["."]
    assert data.pr_curves["p"].value[0].shape == (6, 5)
    np.testing.assert_array_equal(data.meshes["m_1"].value[0][0], VALUES)


def test_sound_in_the_older_form_is_read_in_the_same_column(written):
    from tensorboard.compat.proto.event_pb2 import Event

    event = Event(step=3)
    event.summary.value.add(tag="a").audio.encoded_audio_string = b"RIFF"
    column = written(lambda run: run.raw(event.SerializeToString(), 3)).audios["a"]
    assert (column.step.tolist(), column.value) == ([3], [[b"RIFF"]])


@pytest.mark.parametrize("dtype", ["f4", "f8", "f2", "i8", "u1", "?", "c8", "c16"])
def test_tensorflow_reads_a_raw_tensor(tmp_path, dtype):
    import tensorflow as tf
    from tensorflow.core.util import event_pb2

    values = (VALUES * 7).astype(dtype)
    with mb.Run(tmp_path, facts=False) as run:
        run.tensor("x", values, 0)
    (file,) = tmp_path.iterdir()
    events = [event_pb2.Event.FromString(record.numpy()) for record in tf.data.TFRecordDataset(str(file))]
    (value,) = [value for event in events for value in event.summary.value]
    np.testing.assert_array_equal(tf.make_ndarray(value.tensor), values)
    assert tf.make_ndarray(value.tensor).dtype == values.dtype
