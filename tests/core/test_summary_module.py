"""What is written as tf.summary writes what the methods of `Run` would, under the default writer and step of the thread."""

import threading

import numpy as np
import pytest

import multiboard as mb
from multiboard import proto, summary
from multiboard.buckets import measure
from multiboard.records import unframe


@pytest.fixture(autouse=True)
def no_defaults():
    """Each test starts without defaults."""
    summary.experimental.set_step(None)
    assert not summary.should_record_summaries()


@pytest.fixture
def writer(log_dir):
    writer = summary.create_file_writer(log_dir)
    yield writer
    writer.close()


def written(writer):
    writer.close()
    return mb.read(writer.run.log_dir)["."]


def points(column):
    return list(zip(column.step.tolist(), column.value.tolist(), strict=True))


# ---------------------------------------------------------------------- kinds


def test_scalars_are_numbers_of_a_tag(writer):
    with writer.as_default():
        for step, value in enumerate([0.5, np.float64(1.5), np.array(2), True]):
            assert summary.scalar("loss", value, step=step) is True
    assert points(written(writer).scalars["loss"]) == [(0, 0.5), (1, 1.5), (2, 2.0), (3, 1.0)]


def test_images_are_the_first_of_a_batch(writer):
    pixels = np.zeros((5, 4, 6, 3), np.uint8)
    with writer.as_default(step=2):
        summary.image("array", pixels)
        summary.image("all", pixels, max_outputs=9, description="**five**")
        summary.image("list", list(pixels), max_outputs=np.int64(2))
    images = written(writer).images
    assert {tag: (column.step.tolist(), len(column.value[0])) for tag, column in images.items()} == {
        "array": ([2], 3),
        "all": ([2], 5),
        "list": ([2], 2),
    }
    assert images["all"].description == "**five**"


@pytest.mark.parametrize("max_outputs", [-1, None, 2.5])
def test_a_number_of_outputs_that_is_none_keeps_everything_and_is_said(writer, max_outputs):
    with writer.as_default(step=0), pytest.warns(mb.MultiboardWarning, match=r"max_outputs=.* everything is kept"):
        summary.image("i", np.zeros((5, 4, 6, 3)), max_outputs=max_outputs)
    assert len(written(writer).images["i"].value[0]) == 5


def test_texts_without_axes_are_texts(writer):
    with writer.as_default():
        for step, text in enumerate(["a", b"b", np.array("c"), np.str_("d"), "ü".encode()]):
            summary.text("notes", text, step, description="by hand")
    column = written(writer).texts["notes"]
    assert column.value == ["a", "b", "c", "d", "ü"]
    assert column.description == "by hand"


@pytest.mark.parametrize(
    ("texts", "shape"),
    [(["a", "b"], [2]), ([["a", "b", "c"], ["d", "e", "f"]], [2, 3]), (np.array([b"a", "b"], object), [2]), ([["a"]], [1, 1])],
)
def test_texts_with_axes_keep_their_shape(writer, texts, shape):
    with writer.as_default():
        assert summary.text("table", texts, 4, description="a table")
    writer.close()
    (file,) = mb.read(writer.run.log_dir)["."].path.iterdir()
    events = [proto.Event.FromString(payload) for payload in unframe(file.read_bytes(), [])]
    (event,) = [event for event in events if event.summary.value]
    (value,) = event.summary.value
    assert ([dim.size for dim in value.tensor.tensor_shape.dim], event.step) == (shape, 4)
    assert (value.metadata.plugin_data.plugin_name, value.metadata.description) == ("text", "a table")
    assert list(value.tensor.string_val) == [item if isinstance(item, bytes) else item.encode() for item in np.ravel(texts)]


def test_histograms_count_as_the_run_does(writer):
    values = np.random.default_rng(0).normal(size=(5, 60))
    with writer.as_default():
        summary.histogram("h", values, step=1, buckets=7)
        summary.histogram("h", [], step=2)
    column = written(writer).histograms["h"]
    np.testing.assert_array_equal(column.value[0], measure(values).rows().astype(np.float32))
    assert column.step.tolist() == [1, 2]


def test_clips_are_the_first_of_a_batch(writer):
    with writer.as_default():
        summary.audio("a", np.zeros((4, 100, 2)), 8000, step=1)
        summary.audio("a", np.zeros((4, 100, 2)), 8000, step=2, max_outputs=1, encoding="wav")
    column = written(writer).audios["a"]
    assert [len(clips) for clips in column.value] == [3, 1]
    assert column.value[0][0].startswith(b"RIFF")


def test_an_encoding_that_is_not_there_is_said(writer):
    with writer.as_default(step=0), pytest.warns(mb.MultiboardWarning, match="encoding 'mp3' is not there"):
        summary.audio("a", np.zeros((1, 100, 1)), 8000, encoding="mp3")
    assert len(written(writer).audios["a"]) == 1


def test_tensors_of_other_plugins_keep_dtype_shape_and_metadata(writer):
    metadata = proto.MESSAGES["SummaryMetadata"](plugin_data={"plugin_name": "multiboard", "content": b"x"}, data_class=2)
    numbers = np.arange(6, dtype=np.int16).reshape(2, 3)
    with writer.as_default():
        assert summary.write("message", numbers, step=1, metadata=metadata)
        assert summary.write("bytes", lambda: numbers, step=2, metadata=metadata.SerializeToString())
        assert summary.write("strings", [["a", "b"]], step=3, metadata=metadata)
        assert summary.write("plain", numbers, step=4)
    tensors = written(writer).tensors
    assert {tag: column.step.tolist() for tag, column in tensors.items()} == {
        "message": [1],
        "bytes": [2],
        "strings": [3],
        "plain": [4],
    }
    for tag in ("message", "bytes", "plain"):
        assert tensors[tag].value[0].dtype == np.int16
        np.testing.assert_array_equal(tensors[tag].value[0], numbers)
    assert tensors["strings"].value[0].tolist() == [[b"a", b"b"]]


def test_a_graph_message_is_the_graph_of_the_run(writer):
    node = b"\x0a\x06\x0a\x01x\x12\x01y"  # GraphDef.node {name: "x" op: "y"}
    with writer.as_default():
        assert summary.graph(node)
    assert written(writer).graphs["Default"].value == [node]


def test_a_finished_summary_is_written_as_it_is(writer):
    message = proto.MESSAGES["Summary"](value=[{"tag": "old", "simple_value": 0.25}])
    with writer.as_default(step=3):
        assert summary.experimental.write_raw_pb(message.SerializeToString())
        assert summary.experimental.write_raw_pb(message, step=4)
    assert points(written(writer).scalars["old"]) == [(3, 0.25), (4, 0.25)]


def test_a_description_of_a_scalar_is_said_not_to_be_written(writer):
    with writer.as_default(step=0), pytest.warns(mb.MultiboardWarning, match="descriptions of scalars are not written"):
        summary.scalar("loss", 1.0, description="of the batch")


# ---------------------------------------------------------------------- writers


def test_without_a_writer_nothing_is_recorded_or_looked_at():
    assert [summary.scalar("x", object()), summary.text("x", None), summary.write("x", pytest.fail), summary.graph(1)] == [
        False
    ] * 4
    assert summary.experimental.write_raw_pb(1) is False
    summary.flush()


def test_blocks_nest_and_an_exception_restores_writer_and_step(tmp_path):
    outer, inner = (summary.create_file_writer(tmp_path / name) for name in ("outer", "inner"))
    with outer.as_default(step=10) as entered:
        assert entered is outer
        summary.scalar("x", 1.0)
        with pytest.raises(RuntimeError, match="of the user"), inner.as_default(step=20):
            summary.scalar("x", 2.0)
            raise RuntimeError("of the user")
        summary.scalar("x", 3.0, step=11)
        with inner.as_default():  # leaves the step
            assert summary.experimental.get_step() == 10
    assert summary.experimental.get_step() is None
    assert not summary.should_record_summaries()
    assert points(written(outer).scalars["x"]) == [(10, 1.0), (11, 3.0)]
    assert points(written(inner).scalars["x"]) == [(20, 2.0)]


def test_set_as_default_stays_and_blocks_return_to_it(tmp_path):
    def work():
        first, second = (summary.create_file_writer(tmp_path / name) for name in ("first", "second"))
        first.set_as_default(step=5)
        with second.as_default(6):
            summary.scalar("x", 6.0)
        summary.scalar("x", 5.0)
        first.set_as_default()
        assert summary.experimental.get_step() == 5
        found.extend(points(written(writer).scalars["x"]) for writer in (first, second))

    found = []
    thread = threading.Thread(target=work)  # whose defaults end with it
    thread.start()
    thread.join()
    assert found == [[(5, 5.0)], [(6, 6.0)]]


def test_defaults_belong_to_one_thread(writer):
    def work():
        seen.extend([summary.should_record_summaries(), summary.experimental.get_step(), summary.scalar("x", 1.0, 1)])
        summary.experimental.set_step(99)

    seen = []
    with writer.as_default(step=7), summary.record_if(True):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        assert summary.experimental.get_step() == 7
    assert seen == [False, None, False]


def test_a_writer_that_does_nothing_leaves_the_default_alone(writer):
    noop = summary.create_noop_writer()
    noop.set_as_default(3)
    with noop.as_default(step=3):
        assert summary.scalar("x", 1.0) is False
    with writer.as_default(step=1), noop.as_default(step=3):
        assert summary.scalar("x", 1.0) is True
    noop.init()
    summary.flush(noop)
    noop.flush()
    noop.close()
    assert points(written(writer).scalars["x"]) == [(1, 1.0)]


def test_flush_brings_everything_to_the_file(writer):
    with writer.as_default():
        for step, flush in enumerate((summary.flush, writer.flush, lambda: summary.flush(writer))):
            summary.scalar("x", 1.0, step)
            flush()
            assert len(mb.read(writer.run.log_dir)["."].scalars["x"]) == step + 1
    with pytest.raises(mb.ArgumentError, match="create_file_writer"):
        summary.flush("writer")


def test_the_suffix_is_the_end_of_the_file_name(tmp_path):
    for suffix, expected in {None: ".v2", ".mine": ".mine", "": ""}.items():
        writer = summary.create_file_writer(tmp_path / f"suffix{suffix}", 10, 1000, suffix, "name")
        writer.init()
        writer.close()
        writer.close()
        (file,) = (tmp_path / f"suffix{suffix}").iterdir()
        assert file.name.endswith(expected)


def test_a_second_writer_of_a_directory_goes_on_behind_the_first(log_dir):
    for step in range(2):
        writer = summary.create_file_writer(str(log_dir))
        with writer.as_default():
            summary.scalar("x", step, step)
        run = written(writer)
    assert points(run.scalars["x"]) == [(0, 0.0), (1, 1.0)]


@pytest.mark.parametrize("logdir", [None, 3])
def test_a_directory_that_is_none_is_an_error_of_ours(logdir):
    with pytest.raises(mb.ArgumentError, match="create_noop_writer"):
        summary.create_file_writer(logdir)


# ---------------------------------------------------------------------- conditions, steps, scopes


def test_the_innermost_condition_counts_and_a_function_is_asked_each_time(writer):
    answers = iter([True, False, True])
    with writer.as_default(step=0):
        with summary.record_if(False):
            assert not summary.should_record_summaries()
            assert summary.scalar("x", 1.0) is False
            with summary.record_if(np.bool_(True)):
                assert summary.scalar("x", 2.0) is True
            with pytest.raises(RuntimeError, match="of the user"), summary.record_if(True):
                raise RuntimeError("of the user")
            assert summary.scalar("x", 3.0) is False
        with summary.record_if(lambda: next(answers)):
            assert [summary.scalar("x", value) for value in (4.0, 5.0, 6.0)] == [True, False, True]
    assert [value for _, value in points(written(writer).scalars["x"])] == [2.0, 4.0, 6.0]


class Counter:
    """A step of the user's own that counts on."""

    def __init__(self):
        self.step = 0

    def __int__(self):
        return self.step


def test_a_step_may_be_anything_that_holds_an_integer_and_is_read_at_each_call(writer):
    counter = Counter()
    summary.experimental.set_step(counter)
    assert summary.experimental.get_step() is counter
    with writer.as_default():
        for counter.step in (3, 4):
            summary.scalar("x", 1.0)
            summary.text("t", ["a"])
        for step in (np.int64(5), np.array(6), np.array([7]), 8.0):
            summary.scalar("x", 1.0, step)
            summary.text("t", ["a"], step)
    run = written(writer)
    assert run.scalars["x"].step.tolist() == run.texts["t"].step.tolist() == [3, 4, 5, 6, 7, 8]


CALLS = {
    "scalar": lambda: summary.scalar("x", 1.0),
    "image": lambda: summary.image("x", np.zeros((1, 4, 4, 1))),
    "text": lambda: summary.text("x", "text"),
    "texts": lambda: summary.text("x", ["text"]),
    "histogram": lambda: summary.histogram("x", [1.0]),
    "audio": lambda: summary.audio("x", np.zeros((1, 10, 1)), 8000),
    "write": lambda: summary.write("x", np.zeros(3), metadata=b""),
    "tensor": lambda: summary.write("x", np.zeros(3)),
    "write_raw_pb": lambda: summary.experimental.write_raw_pb(b""),
}


@pytest.mark.parametrize("kind", CALLS)
def test_a_call_without_a_step_is_a_value_error(writer, kind):
    with writer.as_default():
        with pytest.raises(mb.StepError, match="no step is given"):
            CALLS[kind]()
        with summary.record_if(False):
            assert CALLS[kind]() is False
    assert issubclass(mb.StepError, ValueError)


@pytest.mark.parametrize("kind", CALLS)
def test_a_call_without_a_step_does_not_end_a_running_loop(writer, kind):
    with writer.as_default():
        for step in range(2):
            summary.scalar("loss", 1.0, step)
        with pytest.warns(mb.MultiboardWarning, match="no step is given"):
            CALLS[kind]()


MISTAKES = {
    "data": (lambda: summary.scalar("x", "high", 0), mb.ValueKindError),
    "shape": (lambda: summary.image("i", np.zeros((4, 4, 3)), 0), mb.ValueShapeError),
    "text": (lambda: summary.text("t", 3, 0), mb.ValueKindError),
    "ragged texts": (lambda: summary.text("t", [["a"], ["b", "c"]], 0), mb.ValueKindError),
    "numbers as text": (lambda: summary.text("t", ["a", 3], 0), mb.ValueKindError),
    "tensor": (lambda: summary.write("w", object(), 0, metadata=b""), mb.MultiboardError),
    "metadata": (lambda: summary.write("w", 1.0, 0, metadata="text"), mb.ArgumentError),
    "summary": (lambda: summary.experimental.write_raw_pb("text", 0), mb.ArgumentError),
    "graph": (lambda: summary.graph("text"), mb.ValueKindError),
    "kind": (lambda: summary.histogram("loss", [1.0], 0), mb.TagKindError),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_in_the_first_step_is_an_error_of_ours(writer, mistake):
    call, error = MISTAKES[mistake]
    with writer.as_default():
        summary.scalar("loss", 1.0, 0)
        with pytest.raises(error):
            call()


def test_scopes_are_prefixes_of_tags(writer):
    with writer.as_default(step=0):
        with summary.experimental.summary_scope("my op!") as (tag, scope):
            assert (tag, scope) == ("my op!", "myop/")
            summary.scalar("x", 1.0)
            with summary.experimental.summary_scope(None, "inner") as inner:
                assert inner == ("myop/inner", "myop/inner/")
                summary.scalar("x", 1.0)
                summary.write("absolute", np.zeros(1))
        summary.scalar("x", 1.0)
    run = written(writer)
    assert set(run.scalars) == {"x", "myop/x", "myop/inner/x"}
    assert set(run.tensors) == {"absolute"}
