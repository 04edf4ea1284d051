"""Each kind of older or foreign summary becomes the tensor that multiboard writes for the same value."""

import numpy as np
import pytest

from multiboard import proto, wire
from multiboard.contents import Contents
from multiboard.legacy import Normaliser
from multiboard.records import frame

MAX = float(np.finfo(np.float64).max)


@pytest.fixture
def said():
    return []


@pytest.fixture
def normalised(said):
    """A function that returns what is read of one value after it was normalised, and its plugin and data class."""

    def normalise(value, plugin="", content=b""):
        if plugin:
            value.metadata.plugin_data.plugin_name = plugin
            value.metadata.plugin_data.content = content
        event = proto.Event(wall_time=1.5, step=3)
        event.summary.value.add().CopyFrom(value)
        payload = Normaliser(lambda cause, *_: said.append(cause)).event(event.SerializeToString())
        (found,) = proto.Event.FromString(payload).summary.value
        assert {"simple_value", "histo", "image", "audio"}.isdisjoint(field.name for field, _ in found.ListFields())
        contents = Contents()
        assert contents.add_file(frame(payload)) == []
        ((kind, _, points, _),) = contents.columns()
        assert (points.step.tolist(), points.wall_time.tolist()) == ([3], [1.5])
        return kind, points.value[0], found

    return normalise


def new():
    return proto.Value(tag="x")


def tensor(dtype, shape=(), **numbers):
    value = new()
    value.tensor.dtype = dtype
    for size in shape:
        value.tensor.tensor_shape.dim.add(size=size)
    for name, listed in numbers.items():
        if name == "tensor_content":
            value.tensor.tensor_content = listed
        else:
            getattr(value.tensor, name).extend(listed)
    return value


@pytest.mark.parametrize("number", [0.0, 0.5, np.nan, np.inf, -np.inf, 2.0**-149])
def test_a_simple_value_is_the_same_number(normalised, number):
    value = new()
    value.simple_value = number
    kind, read, found = normalised(value)
    assert kind == "scalars"
    np.testing.assert_equal(read, number)
    assert (found.metadata.plugin_data.plugin_name, found.metadata.data_class) == ("scalars", wire.SCALAR)
    assert (found.tensor.dtype, len(found.tensor.float_val)) == (wire.DT_FLOAT, 1)


@pytest.mark.parametrize(
    "value",
    [
        tensor(1, tensor_content=np.float32(2.5).tobytes()),
        tensor(1, (1,), float_val=[2.5]),
        tensor(1, (1, 1), float_val=[2.5]),
        tensor(2, double_val=[2.5]),
        tensor(2, (1,), tensor_content=np.float64(2.5).tobytes()),
        tensor(14, half_val=[0x4020]),
        tensor(14, tensor_content=b"\x20\x40"),
        tensor(19, half_val=[int(np.float16(2.5).view("u2"))]),
        tensor(19, (1,), tensor_content=np.float16(2.5).tobytes()),
    ],
    ids=lambda value: f"{value.tensor.dtype}-{len(value.tensor.tensor_shape.dim)}-{value.tensor.tensor_content.hex()}",
)
def test_a_number_of_any_float_dtype_and_one_element_is_a_scalar(normalised, said, value):
    kind, read, found = normalised(value, "scalars")
    assert (kind, read, said) == ("scalars", 2.5, [])
    assert (found.tensor.dtype, len(found.tensor.tensor_shape.dim)) == (wire.DT_FLOAT, 0)


@pytest.mark.parametrize(
    ("dtype", "field", "number"),
    [
        (3, "int_val", -7),
        (4, "int_val", 7),
        (9, "int64_val", -7),
        (10, "bool_val", 1),
        (22, "uint32_val", 7),
        (23, "uint64_val", 7),
    ],
)
def test_integers_and_bools_are_scalars(normalised, dtype, field, number):
    assert normalised(tensor(dtype, **{field: [number]}), "scalars")[:2] == ("scalars", float(number))


@pytest.mark.parametrize(
    ("number", "read", "cause"),
    [
        (1e300, np.inf, "beyond float32"),
        (-1e300, -np.inf, "beyond float32"),
        (0.1, float(np.float32(0.1)), "rounded to float32"),
        (np.inf, np.inf, None),
        (np.nan, np.nan, None),
    ],
)
def test_what_float32_cannot_hold_is_said(normalised, said, number, read, cause):
    _, found, _ = normalised(tensor(2, double_val=[number]), "scalars")
    np.testing.assert_equal(found, read)
    assert said == ([cause] if cause else [])


@pytest.mark.parametrize(
    ("value", "plugin", "read", "cause"),
    [
        (tensor(1, (3,), float_val=[1.0, 2.0, 3.0]), "scalars", [1.0, 2.0, 3.0], "several numbers"),
        (tensor(1, (0,)), "scalars", [], "several numbers"),
        (tensor(7, (), string_val=[b"a"]), "scalars", b"a", "unknown content"),
        (tensor(8, (), tensor_content=np.complex64(2j).tobytes()), "scalars", 2j, "unknown content"),
        (tensor(1, (2,), float_val=[1.0, 2.0]), "histograms", [1.0, 2.0], "unknown content"),
    ],
)
def test_what_its_kind_cannot_hold_becomes_a_tensor_that_is_read_and_is_said(normalised, said, value, plugin, read, cause):
    value.metadata.data_class = wire.SCALAR
    kind, found, message = normalised(value, plugin)
    assert (kind, found.tolist(), said) == ("tensors", read, [cause])
    assert (message.metadata.plugin_data.plugin_name, message.metadata.data_class) == ("multiboard", wire.TENSOR)


def test_a_tensor_of_a_curve_gets_a_tag_of_its_own():
    normaliser, tags = Normaliser(lambda *_: None), []
    for shape, numbers in (((), [1.0]), ((2,), [1.0, 2.0]), ((), [3.0])):
        event = proto.Event(wall_time=1.0)
        event.summary.value.add().CopyFrom(tensor(1, shape, float_val=numbers))
        event.summary.value[0].metadata.plugin_data.plugin_name = "scalars"
        tags += [value.tag for value in proto.Event.FromString(normaliser.event(event.SerializeToString())).summary.value]
    assert tags == ["x", "x/tensor", "x"]


def histogram(limits, counts, smallest, largest):
    value = new()
    value.histo.bucket_limit.extend(limits)
    value.histo.bucket.extend(counts)
    value.histo.min, value.histo.max = smallest, largest
    return value


@pytest.mark.parametrize(
    ("value", "rows"),
    [
        (histogram([0.0, 1.0, 2.0, 3.0], [0, 2, 0, 5], 0.25, 2.75), [[0.25, 1, 2], [2, 2.75, 5]]),
        (histogram([1.0, MAX], [3, 4], -8.0, 9.0), [[-8, 1, 3], [1, 9, 4]]),
        (histogram([-MAX, 1.0, MAX], [0, 3, 4], -8.0, 9.0), [[-8, 1, 3], [1, 9, 4]]),
        (histogram([5.0], [7], 5.0, 5.0), [[5, 5, 7]]),
        (histogram([1.0, 2.0], [0, 0], 0.0, 0.0), []),
        (histogram([], [], 0.0, 0.0), []),
        (histogram([0.0, 1.0, 2.0], [0, 2, 3], np.nan, np.nan), [[0, 1, 2], [1, 2, 3]]),
        (histogram([1.0, MAX], [3, 4], np.nan, np.nan), [[1, 1, 3], [1, 1, 4]]),
        (histogram([0.0, 1.0], [0, 2], -5.0, 5.0), [[0, 1, 2]]),
    ],
)
def test_an_older_histogram_keeps_its_occupied_buckets_between_its_extremes(normalised, said, value, rows):
    kind, read, found = normalised(value)
    assert kind == "histograms"
    assert read.tolist() == rows
    assert (found.metadata.plugin_data.plugin_name, found.metadata.data_class) == ("histograms", wire.TENSOR)
    assert said == []


def test_a_histogram_whose_numbers_are_not_packed_is_the_same(normalised):
    packed = histogram([0.0, 1.0, 2.0], [0, 2, 3], 0.5, 1.5).histo
    single = b"".join(wire.double(6, limit) for limit in packed.bucket_limit) + b"".join(wire.double(7, n) for n in packed.bucket)
    value = new()
    value.histo.MergeFromString(wire.double(1, 0.5) + wire.double(2, 1.5) + single)
    payload = wire.event(0.0, 0, wire.message(5, wire.message(1, wire.message(1, b"x"), wire.message(5, single))))
    assert normalised(value)[1].tolist() == [[0.5, 1, 2], [1, 1.5, 3]]
    (found,) = proto.Event.FromString(Normaliser(lambda *_: None).event(payload)).summary.value
    rows = np.frombuffer(found.tensor.tensor_content, "<f4").reshape(-1, 3)
    assert rows[:, 2].tolist() == [2, 3]


def test_a_bucket_without_a_finite_edge_is_left_out_and_said(normalised, said):
    _, read, _ = normalised(histogram([np.nan, np.nan, 1.0], [2, 3, 4], 0.0, 1.0))
    assert read[:, 2].tolist() == [2, 4]
    assert said == ["edges not finite"]


@pytest.mark.parametrize(
    ("limits", "count", "dtype"),
    [([0.0, 0.5], 2**24 - 1, wire.DT_FLOAT), ([0.0, 0.5], 2**24, wire.DT_DOUBLE), ([0.0, 1 / 3], 5, wire.DT_DOUBLE)],
)
def test_edges_and_counts_are_exact(normalised, limits, count, dtype):
    _, read, found = normalised(histogram(limits, [0, count], *limits))
    assert found.tensor.dtype == dtype
    assert read.tolist() == [[*limits, count]]


def test_a_histogram_tensor_with_nan_edges_has_no_buckets(normalised):
    """L6: what Keras writes of weights that are NaN."""
    rows = np.full((30, 3), [np.nan, np.nan, 0.0], np.float32)
    kind, read, _ = normalised(tensor(1, rows.shape, tensor_content=rows.tobytes()), "histograms")
    assert (kind, read.shape) == ("histograms", (0, 3))


def test_a_sound_histogram_tensor_keeps_its_bytes(normalised):
    rows = np.array([[0.0, 1.0, 0.0], [1.0, 2.0, 3.0]])
    value = tensor(2, rows.shape, tensor_content=rows.tobytes())
    assert normalised(value, "histograms")[2].tensor == value.tensor


def test_a_picture_keeps_its_bytes_and_its_size(normalised):
    value = new()
    value.image.width, value.image.height, value.image.encoded = 5, 4, b"png"
    kind, read, found = normalised(value)
    assert (kind, read) == ("images", [b"png"])
    assert list(found.tensor.string_val) == [b"5", b"4", b"png"]
    assert found.metadata.data_class == wire.BLOB_SEQUENCE


def test_an_older_field_tells_the_kind_whatever_the_metadata_says(normalised):
    value = new()
    value.image.encoded = b"png"
    value.metadata.data_class = wire.SCALAR
    kind, _, found = normalised(value, "scalars", b"content")
    assert (kind, found.metadata.data_class, found.metadata.plugin_data.content) == ("images", wire.BLOB_SEQUENCE, b"")


@pytest.mark.parametrize(("clip", "content"), [(b"RIFF....", b"\x10\x0b"), (b"OggS", b"")])
def test_a_clip_keeps_its_bytes(normalised, clip, content):
    value = new()
    value.audio.encoded = clip
    kind, read, found = normalised(value)
    assert (kind, read) == ("audios", [clip])
    assert found.metadata.plugin_data.content == content


@pytest.mark.parametrize(("labels", "causes"), [([b"", b""], []), ([b"a", b""], ["labels of audio"])])
def test_of_pairs_of_clip_and_label_the_clips_stay(normalised, said, labels, causes):
    value = tensor(7, (2, 2), string_val=[b"one", labels[0], b"two", labels[1]])
    assert normalised(value, "audio", b"\x10\x0b")[1] == [b"one", b"two"]
    assert said == causes


def test_one_text_has_no_axes_and_a_table_of_texts_keeps_them(normalised):
    _, read, found = normalised(tensor(7, (1,), string_val=[b"hello"]), "text")
    assert (read, len(found.tensor.tensor_shape.dim), found.metadata.data_class) == ("hello", 0, wire.TENSOR)
    table = tensor(7, (1, 2), string_val=[b"a", b"b"])
    assert normalised(table, "text")[2].tensor == table.tensor


def test_a_tensor_of_torch_is_one_that_is_read(normalised):
    kind, read, found = normalised(tensor(3, (2,), int_val=[1, 2]), "tensor")
    assert (kind, read.tolist(), read.dtype) == ("tensors", [1, 2], np.int32)
    assert (found.metadata.plugin_data.plugin_name, found.metadata.data_class) == ("multiboard", wire.TENSOR)


def test_bfloat16_tensors_are_read_exactly(normalised):
    kind, read, _ = normalised(tensor(14, (2,), tensor_content=b"\x20\x40\x80\x7f"), "tensor")
    assert (kind, read.tolist()) == ("tensors", [2.5, np.inf])
