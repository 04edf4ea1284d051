"""One script of calls leaves the same tags, steps and values through tf.summary and through multiboard.summary."""

import inspect
import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import multiboard as mb
from multiboard import proto, summary
from multiboard.records import unframe

RNG = np.random.default_rng(0)
UINT8 = RNG.integers(0, 256, (4, 5, 7, 3), np.uint8)
FLOAT = RNG.uniform(size=(2, 5, 7, 1)).astype(np.float32)
CLIPS = RNG.uniform(-1, 1, (4, 100, 2)).astype(np.float32)
VALUES = RNG.normal(size=1000).astype(np.float32)
METADATA = tf.compat.v1.SummaryMetadata(plugin_data={"plugin_name": "multiboard", "content": b"x"}, data_class=2)
RUNS = {"tensorflow": tf.summary, "multiboard": summary}

GAPS = {
    "pixels": "TensorFlow cuts fractions of a pixel off, here they are rounded: at most one of 255",
    "integers": "TensorFlow scales integers other than uint8 by the range of their type, here they count as 0 to 255",
    "samples": "TensorFlow scales sound by 32768 and cuts, here by 32767 and rounded: at most one of 32767",
    "buckets": "the edges of TensorFlow's buckets depend on the data, here they are the same for all tensors",
    "labels": "TensorFlow writes an empty label to each clip, which the Python loader of TensorBoard serves as a clip",
    "non-finite": "the count of non-finite numbers is ours alone",
    "absent": "trace_on, trace_off and trace_export follow TensorFlow's own functions",
}
"""Where the two differ on purpose, with the reason; the tests below name the entry that they allow for."""


def script(s, log_dir):
    recorded = []
    writer = s.create_file_writer(str(log_dir))
    steps = tf.Variable(10, dtype=tf.int64)
    with writer.as_default():
        forms = [0.5, np.float64(0.25), tf.constant(2.0), tf.Variable(3.0), tf.constant(0.1, tf.bfloat16), tf.constant(7), True]
        for step, value in enumerate(forms):
            recorded.append(s.scalar("forms", value, step=step))
        for value in (float("nan"), float("inf"), 1e30):
            s.scalar("odd", value, step=0)
        recorded += [s.scalar("steps", 1.0, step=step) for step in (3, np.int64(4), tf.constant(5, tf.int64), steps)]
        s.image("uint8", UINT8, step=2, description="three")
        s.image("float", tf.constant(FLOAT), step=3)
        s.image("list", list(FLOAT), step=3, max_outputs=1)
        s.audio("clips", CLIPS, 8000, step=4)
        s.audio("clips", tf.constant(CLIPS), 8000, step=5, max_outputs=1, encoding="wav")
        s.text("text", "**bold**", step=6)
        s.text("text", tf.constant("from a tensor"), step=7)
        s.text("column", ["a", "*b*"], step=8, description="two")
        s.text("matrix", tf.constant([["a", "b"], ["c", "d"]]), step=8)
        s.histogram("values", VALUES, step=9)
        s.histogram("values", tf.Variable(VALUES), step=10, buckets=5)
        s.write("written", tf.reshape(tf.range(6), [2, 3]), step=11, metadata=METADATA)
        s.write("called", lambda: tf.constant([["x"]]), step=12, metadata=METADATA.SerializeToString())
        s.experimental.write_raw_pb(tf.compat.v1.Summary(value=[{"tag": "raw", "simple_value": 4}]).SerializeToString(), step=13)
        with tf.name_scope("outer"):
            s.scalar("scoped", 1.0, step=0)
            with s.experimental.summary_scope("inner") as names:
                recorded.append(names)
                s.scalar("scoped", 2.0, step=0)
        s.experimental.set_step(steps)
        for _ in range(3):
            s.scalar("variable", 1.0)
            steps.assign_add(1)
        with s.record_if(lambda: tf.equal(s.experimental.get_step() % 2, 0)):
            for _ in range(4):
                recorded.append(s.scalar("condition", 1.0))
                steps.assign_add(1)
        with s.record_if(False), s.record_if(tf.constant(True)):
            recorded.append(s.scalar("inner condition", 1.0))
        s.experimental.set_step(None)
        with s.create_noop_writer().as_default(step=99), writer.as_default(step=14):
            s.scalar("noop", 1.0)
        s.graph(a_function.get_concrete_function().graph)
        with s.record_if(False):
            recorded.append(s.scalar("never", 1.0))  # without a step
    recorded.append(s.scalar("never", 1.0, step=0))
    s.flush(writer)
    writer.close()
    return [item if isinstance(item, tuple) else bool(item) for item in recorded]


@tf.function
def a_function():
    return tf.constant(1.0) + tf.constant(2.0)


@pytest.fixture(scope="module")
def recorded(board_dir):
    """What the calls returned, by module; the files are in the directory of the dashboards."""
    results = {"tensorflow": script(tf.summary, board_dir / "summary" / "tensorflow")}
    with pytest.warns(mb.MultiboardWarning) as warned:
        results["multiboard"] = script(summary, board_dir / "summary" / "multiboard")
    said, summed_up = (str(warning.message) for warning in warned)
    assert "tag 'odd' is not finite" in said
    assert summed_up.endswith("scalar odd not finite (2).")
    return results


@pytest.fixture(scope="module")
def found(recorded, board_dir):
    """What the files hold, ours and TensorFlow's."""
    runs = mb.read(board_dir / "summary")
    assert set(runs) == set(recorded)
    return runs["multiboard"], runs["tensorflow"]


def pictures(files):
    return [np.asarray(Image.open(io.BytesIO(data))).astype(int) for data in files]


def test_the_calls_tell_the_same(recorded):
    assert recorded["multiboard"] == recorded["tensorflow"]


def test_the_tags_are_the_same(found):
    """Gap: non-finite."""
    ours, theirs = found
    for kind in ("scalars", "images", "audios", "texts", "histograms", "tensors", "graphs"):
        assert set(getattr(ours, kind)) - {"nonfinite/odd"} == set(getattr(theirs, kind))


def test_scalars_have_the_same_steps_and_values(found):
    ours, theirs = found
    assert len(theirs.scalars) == 10
    for tag, column in theirs.scalars.items():
        assert ours.scalars[tag].step.tolist() == column.step.tolist()
        np.testing.assert_array_equal(ours.scalars[tag].value, column.value)


@pytest.mark.parametrize(("tag", "difference"), [("uint8", 0), ("float", 1), ("list", 1)])
def test_images_have_the_same_steps_descriptions_and_pixels(found, tag, difference):
    """Gap: pixels."""
    ours, theirs = (run.images[tag] for run in found)
    assert (ours.step.tolist(), ours.description) == (theirs.step.tolist(), theirs.description)
    for mine, other in zip(pictures(ours.value[0]), pictures(theirs.value[0]), strict=True):
        assert mine.shape == other.shape
        assert np.abs(mine - other).max() <= difference


def test_clips_have_the_same_steps_and_samples(found):
    """Gaps: samples, labels."""
    ours, theirs = (run.audios["clips"] for run in found)
    assert ours.step.tolist() == theirs.step.tolist() == [4, 5]
    for mine, other in zip(ours.value, theirs.value, strict=True):
        for clip, expected in zip(mine, other[::2], strict=True):
            assert clip[:44] == expected[:44]  # the header: channels, rate, length
            samples, of_tensorflow = (np.frombuffer(data[44:], "<i2").astype(int) for data in (clip, expected))
            assert np.abs(samples - of_tensorflow).max() <= 1


def test_texts_are_the_same(found):
    ours, theirs = found
    for tag, column in theirs.texts.items():
        mine = ours.texts[tag]
        assert (mine.step.tolist(), mine.value, mine.description) == (column.step.tolist(), column.value, column.description)


def test_histograms_have_the_same_steps_and_number_of_values(found):
    """Gap: buckets."""
    ours, theirs = (run.histograms["values"] for run in found)
    assert ours.step.tolist() == theirs.step.tolist()
    assert [rows[:, 2].sum() for rows in ours.value] == [rows[:, 2].sum() for rows in theirs.value] == [1000, 1000]


def test_tensors_and_graphs_are_the_same(found):
    ours, theirs = found
    for tag, column in theirs.tensors.items():
        assert ours.tensors[tag].value[0].dtype == column.value[0].dtype
        np.testing.assert_array_equal(ours.tensors[tag].value[0], column.value[0])
    graphs = [tf.compat.v1.GraphDef.FromString(run.graphs["Default"].value[0]) for run in found]
    assert graphs[0] == graphs[1]


@pytest.mark.parametrize("tag", ["written", "called", "matrix", "column"])
@pytest.mark.usefixtures("recorded")
def test_what_is_written_as_a_tensor_is_the_same_message(board_dir, tag):
    def value(run):
        (file,) = (board_dir / "summary" / run).iterdir()
        events = map(tf.compat.v1.Event.FromString, unframe(file.read_bytes(), []))
        (value,) = [value for event in events for value in event.summary.value if value.tag == tag]
        return tf.make_ndarray(value.tensor), value.metadata

    (ours, metadata), (theirs, expected) = value("multiboard"), value("tensorflow")
    assert metadata.plugin_data.plugin_name == expected.plugin_data.plugin_name
    assert metadata.summary_description == expected.summary_description
    assert (ours.shape, ours.tolist()) == (theirs.shape, theirs.tolist())
    assert proto.Event is not tf.compat.v1.Event


# ---------------------------------------------------------------------- on the dashboard


@pytest.mark.usefixtures("recorded")
def test_the_dashboard_draws_the_same_scalars(board):
    for tag in ("forms", "steps", "outer/scoped", "outer/inner/scoped", "variable"):
        ours, theirs = (
            board.wait_for(lambda r=run, t=tag: board.scalars(f"summary/{r}", t), bool) for run in ("multiboard", "tensorflow")
        )
        assert [point[1:] for point in ours] == [point[1:] for point in theirs]


@pytest.mark.parametrize("tag", ["text", "column", "matrix"])
@pytest.mark.usefixtures("recorded")
def test_the_dashboard_shows_the_same_texts_and_tables(board, tag):
    def shown(run):
        return board.wait_for(lambda: board.json("data/plugin/text/text", run=f"summary/{run}", tag=tag), bool)

    ours, theirs = ([(text["step"], text["text"]) for text in shown(run)] for run in ("multiboard", "tensorflow"))
    assert ours == theirs
    assert ("<table>" in ours[0][1]) == (tag != "text")


@pytest.mark.parametrize("tag", ["uint8", "float", "list"])
@pytest.mark.usefixtures("recorded")
def test_the_dashboard_shows_as_many_pictures_of_the_same_size(board, tag):
    def shown(run):
        where = {"run": f"summary/{run}", "tag": tag}
        listed = board.wait_for(lambda: board.json("data/plugin/images/tags"), lambda tags: tag in tags.get(where["run"], {}))
        samples = listed[where["run"]][tag]["samples"]
        answers = [board.json("data/plugin/images/images", sample=sample, **where) for sample in range(samples)]
        queries = [image["query"] for (image,) in answers]
        return [Image.open(io.BytesIO(board.bytes(f"data/plugin/images/individualImage?{query}")[0])).size for query in queries]

    assert shown("multiboard") == shown("tensorflow") == [(7, 5)] * {"uint8": 3, "float": 2, "list": 1}[tag]


# ---------------------------------------------------------------------- names and mistakes


def public(module):
    names = [name for name in dir(module) if not name.startswith("_") and not inspect.ismodule(getattr(module, name))]
    return {name: getattr(module, name) for name in names}


@pytest.mark.parametrize("namespace", ["", "experimental"])
def test_every_function_is_there_with_the_same_parameters(namespace):
    """Gap: absent."""
    theirs, ours = (getattr(module, namespace) if namespace else module for module in (tf.summary, summary))
    for name, function in public(theirs).items():
        if name not in {"trace_on", "trace_off", "trace_export", "SummaryWriter"}:
            expected, actual = (inspect.signature(f).parameters.values() for f in (function, getattr(ours, name)))
            assert [(p.name, p.default, p.kind) for p in actual] == [(p.name, p.default, p.kind) for p in expected]


def test_the_writer_has_the_same_methods():
    for name in public(tf.summary.SummaryWriter):
        expected, actual = (
            inspect.signature(getattr(c, name)).parameters for c in (tf.summary.SummaryWriter, summary.SummaryWriter)
        )
        assert [(p.name, p.default) for p in actual.values()] == [(p.name, p.default) for p in expected.values()]


@pytest.mark.parametrize("module", RUNS)
def test_a_call_without_a_step_is_a_value_error_in_both(tmp_path, module):
    s = RUNS[module]
    writer = s.create_file_writer(str(tmp_path))
    with writer.as_default(), pytest.raises(ValueError, match=r"(?i)no step"):
        s.scalar("x", 1.0)
    writer.close()


def test_a_value_of_a_traced_function_is_refused_with_the_remedy(tmp_path):
    """The file writer is no operation of a graph: values are logged where they exist."""
    writer = summary.create_file_writer(tmp_path)

    @tf.function(autograph=False)  # which would wrap the error into one of its own
    def step(x):
        summary.scalar("x", x, step=0)
        return x

    with writer.as_default(), pytest.raises(mb.ValueKindError, match=r"return it from the tf\.function"):
        step(tf.constant(1.0))
    writer.close()


def test_a_tensor_of_the_host_as_a_step_is_no_reason_to_warn(tmp_path):
    writer = summary.create_file_writer(tmp_path)
    with writer.as_default():
        for step in tf.range(3):
            summary.scalar("x", 1.0, step)
    writer.close()
    assert mb.read(tmp_path)["."].scalars["x"].step.tolist() == [0, 1, 2]
