"""One loop leaves the same tags, values and lines of the log through clu's writers and through multiboard.clu."""

import inspect
import io
import logging

import jax.numpy as jnp
import numpy as np
import pytest
from clu import metric_writers as clu
from PIL import Image

import multiboard as mb
from multiboard import clu as multiboard_clu

RNG = np.random.default_rng(0)
PICTURE = RNG.integers(0, 256, (5, 7, 3), np.uint8)
VALUES = RNG.normal(size=(20, 50)).astype(np.float32)
CLIPS = RNG.uniform(-1, 1, (4, 100, 2)).astype(np.float32)

GAPS = {
    "videos": "clu writes no videos into files, here they are animated pictures",
    "samples": "TensorFlow scales sound by 32768 and cuts, here by 32767 and rounded: at most one of 32767",
    "buckets": "the edges of TensorFlow's buckets depend on the data, here they are the same for all tensors",
    "group": "clu's hyper-parameters carry a hash as the group name, here equal runs keep a row each",
}
"""Where the two differ on purpose, with the reason; the tests below name the entry that they allow for."""


def loop(metric_writers, log_dir, **arguments):
    from tensorboard.compat.proto import summary_pb2

    metadata = summary_pb2.SummaryMetadata(plugin_data={"plugin_name": "multiboard"}, data_class=2)
    writer = metric_writers.create_default_writer(log_dir, **arguments)
    writer.write_hparams({"lr": 0.5, "name": "x", "amp": True})
    with metric_writers.ensure_flushes(writer):
        for step in range(4):
            loss = jnp.float32(1 / (step + 1))
            writer.write_scalars(step, {"loss": loss, "acc": step / 3, "n": np.int32(step), "a": np.float64(1e-9), "i": 10**6})
        writer.write_images(1, {"one": PICTURE, "many": jnp.stack([PICTURE] * 5)})
        writer.write_audios(2, {"clips": CLIPS}, sample_rate=8000)
        writer.write_texts(3, {"text": "**bold**"})
        writer.write_histograms(
            3, {"values": VALUES, "device": jnp.asarray(VALUES), "same": np.ones(9)}, {"values": 5, "device": 1}
        )
        writer.write_summaries(3, {"plain": np.arange(3.0)}, {"plain": metadata})
        writer.write_videos(3, {"video": np.zeros((2, 4, 4, 3), np.uint8)})
    writer.close()


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """What the files hold, ours and clu's."""
    root = tmp_path_factory.mktemp("clu")
    loop(clu, root / "clu")
    loop(multiboard_clu, root / "multiboard")
    runs = mb.read(root)
    return runs["multiboard"], runs["clu"]


def test_the_tags_are_the_same(found):
    """Gap: videos."""
    ours, theirs = found
    for kind in ("scalars", "images", "audios", "texts", "histograms", "tensors"):
        assert set(getattr(ours, kind)) - {"video"} == set(getattr(theirs, kind))


def test_scalars_have_the_same_steps_and_values(found):
    ours, theirs = found
    assert len(theirs.scalars) == 5
    for tag, column in theirs.scalars.items():
        assert ours.scalars[tag].step.tolist() == column.step.tolist() == [0, 1, 2, 3]
        np.testing.assert_array_equal(ours.scalars[tag].value, column.value)


@pytest.mark.parametrize(("tag", "number"), [("one", 1), ("many", 5)])
def test_images_have_the_same_steps_and_pixels(found, tag, number):
    ours, theirs = (run.images[tag] for run in found)
    assert ours.step.tolist() == theirs.step.tolist() == [1]
    assert len(ours.value[0]) == len(theirs.value[0]) == number
    for data in (*ours.value[0], *theirs.value[0]):
        np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(data))), PICTURE)


def test_clips_have_the_same_steps_and_samples(found):
    """Gap: samples."""
    ours, theirs = (run.audios["clips"] for run in found)
    assert ours.step.tolist() == theirs.step.tolist() == [2]
    for clip, expected in zip(ours.value[0], theirs.value[0][::2], strict=True):  # TensorFlow puts a label behind each clip
        assert clip[:44] == expected[:44]
        samples, of_clu = (np.frombuffer(data[44:], "<i2").astype(int) for data in (clip, expected))
        assert np.abs(samples - of_clu).max() <= 1


def test_texts_and_tensors_are_the_same(found):
    ours, theirs = found
    assert (ours.texts["text"].step.tolist(), ours.texts["text"].value) == (theirs.texts["text"].step.tolist(), ["**bold**"])
    assert theirs.texts["text"].value == ["**bold**"]
    mine, other = (run.tensors["plain"].value[0] for run in found)
    assert mine.dtype == other.dtype
    np.testing.assert_array_equal(mine, other)


@pytest.mark.parametrize("tag", ["values", "device", "same"])
def test_histograms_have_the_same_steps_and_number_of_values(found, tag):
    """Gap: buckets."""
    ours, theirs = (run.histograms[tag] for run in found)
    assert ours.step.tolist() == theirs.step.tolist() == [3]
    assert ours.value[0][:, 2].sum() == theirs.value[0][:, 2].sum()


def test_hyper_parameters_are_the_same(found):
    """Gap: group."""
    ours, theirs = found
    assert ours.hparams == theirs.hparams == {"lr": 0.5, "name": "x", "amp": True}


@pytest.mark.parametrize("asynchronous", [True, False])
@pytest.mark.parametrize("collection", [None, "eval"])
def test_the_lines_of_the_log_are_the_same(caplog, asynchronous, collection):
    lines = {}
    for logger, module in {"absl": clu, "multiboard.clu": multiboard_clu}.items():
        caplog.clear()
        caplog.set_level(logging.INFO, logger=logger)
        loop(module, None, just_logging=True, asynchronous=asynchronous, collection=collection)
        lines[logger] = [
            record.getMessage() for record in caplog.records if record.name == logger and record.levelno == logging.INFO
        ]
    assert len(lines["absl"]) == 13
    assert lines["multiboard.clu"] == lines["absl"]


def test_files_and_lines_are_written_together(caplog, tmp_path):
    caplog.set_level(logging.INFO, logger="multiboard.clu")
    loop(multiboard_clu, tmp_path, collection="eval")
    assert len(caplog.records) == 13
    assert list(mb.read(tmp_path)) == ["eval"]


def test_every_method_has_the_same_parameters():
    names = [name for name in vars(clu.MetricWriter) if not name.startswith("_")]
    assert len(names) == 10
    for name in names:
        expected, actual = (
            inspect.signature(getattr(c, name)).parameters for c in (clu.MetricWriter, multiboard_clu.MetricWriter)
        )
        assert [(p.name, p.default, p.kind) for p in actual.values()] == [(p.name, p.default, p.kind) for p in expected.values()]
    expected, actual = (inspect.signature(m.create_default_writer).parameters.values() for m in (clu, multiboard_clu))
    assert [(p.name, p.default, p.kind) for p in actual] == [(p.name, p.default, p.kind) for p in expected]


def test_the_writer_works_where_clu_takes_one(tmp_path):
    """Clu's own function sorts values by their class and calls the methods of any writer."""
    from clu import values

    with multiboard_clu.create_default_writer(tmp_path) as writer:
        metrics = {"loss": values.Scalar(0.5), "note": values.Text("text"), "h": values.Histogram(VALUES, 5), "n": 3}
        clu.write_values(writer, 2, metrics)
    run = mb.read(tmp_path)["."]
    assert {tag: column.value.tolist() for tag, column in run.scalars.items()} == {"loss": [0.5], "n": [3.0]}
    assert (run.texts["note"].value, run.histograms["h"].step.tolist()) == (["text"], [2])


def test_a_config_dict_is_a_mapping(tmp_path):
    from ml_collections import ConfigDict

    with multiboard_clu.MetricWriter(tmp_path) as writer:
        writer.write_hparams(ConfigDict({"lr": 0.5, "model": {"width": 8}}))
    assert mb.read(tmp_path)["."].hparams == {"lr": 0.5, "model/width": 8.0}
