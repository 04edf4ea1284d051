"""Events of other writers keep all but the form: descriptions come once, one tag has one kind, the rest stays as it was."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import multiboard as mb
from multiboard import proto, wire
from multiboard.legacy import Normaliser
from multiboard.records import unframe


@pytest.fixture
def said():
    return {}


@pytest.fixture
def normaliser(said):
    def say(cause, message, count=1):
        said[cause] = message
        assert count >= 1

    return Normaliser(say)


def event(step=0, **values):
    made = proto.Event(wall_time=1.0, step=step)
    for tag, number in values.items():
        made.summary.value.add(tag=tag).simple_value = number
    return made


def values_of(payload):
    return proto.Event.FromString(payload).summary.value


def tags_with_metadata(payload):
    return [value.tag for value in values_of(payload) if value.HasField("metadata")]


def test_metadata_comes_with_the_first_value_of_a_tag_in_each_file(normaliser):
    found = [tags_with_metadata(normaliser.event(event(step, a=1.0, b=2.0).SerializeToString())) for step in range(2)]
    assert found == [["a", "b"], []]
    normaliser.begin_file()
    assert tags_with_metadata(normaliser.event(event(2, a=1.0).SerializeToString())) == ["a"]


def test_a_writer_that_rotates_by_itself_gets_it_with_every_value():
    normaliser = Normaliser(lambda *_: None, always_describe=True)
    found = [tags_with_metadata(normaliser.event(event(step, a=1.0).SerializeToString())) for step in range(2)]
    assert found == [["a"], ["a"]]


def test_a_file_that_relies_on_the_metadata_of_an_earlier_one_gets_its_own(normaliser):
    described = event()
    value = described.summary.value.add(tag="t")
    value.tensor.dtype = wire.DT_STRING
    value.tensor.string_val.append(b"hello")
    value.metadata.plugin_data.plugin_name = "text"
    normaliser.event(described.SerializeToString())
    value.ClearField("metadata")
    normaliser.begin_file()
    (found,) = values_of(normaliser.event(described.SerializeToString()))
    assert found.metadata.plugin_data.plugin_name == "text"


def test_names_and_descriptions_stay(normaliser):
    made = event(x=1.0)
    made.summary.value[0].metadata.display_name = "shown"
    made.summary.value[0].metadata.description = "why"
    (found,) = values_of(normaliser.event(made.SerializeToString()))
    assert (found.metadata.display_name, found.metadata.description) == ("shown", "why")
    assert found.metadata.plugin_data.plugin_name == "scalars"


def test_the_second_kind_of_a_tag_gets_a_name_of_its_own_and_is_said(normaliser, said):
    normaliser.event(event(x=1.0).SerializeToString())
    made = proto.Event(wall_time=1.0)
    made.summary.value.add(tag="x").image.encoded = b"png"
    assert [value.tag for value in values_of(normaliser.event(made.SerializeToString()))] == ["x/image"]
    assert said == {"two kinds of one tag": "tag 'x' has two kinds; what is image goes on as 'x/image'."}


def samples(*tags, width=4):
    made = proto.Event(wall_time=1.0, step=2)
    for tag in tags:
        value = made.summary.value.add(tag=tag)
        value.image.encoded, value.image.width, value.image.height = tag.encode(), width, 3
    return made


def test_the_samples_of_one_step_are_one_value(normaliser):
    (found,) = values_of(normaliser.event(samples("a/image/0", "a/image/1", "a/image/2").SerializeToString()))
    assert found.tag == "a/image"
    assert list(found.tensor.string_val) == [b"4", b"3", b"a/image/0", b"a/image/1", b"a/image/2"]
    assert normaliser.counts == {"image": 1}


@pytest.mark.parametrize(
    "tags",
    [
        ["a/image/0"],
        ["a/image/1", "a/image/2"],
        ["a/image/0", "b/image/1"],
        ["a/b/0", "a/b/1"],
        ["image/0", "image/1"],
        [f"a/image/{'9' * 5000}", "b"],
        ["a", "b"],
    ],
)
def test_pictures_that_are_not_plainly_samples_keep_their_tags(normaliser, tags):
    assert [value.tag for value in values_of(normaliser.event(samples(*tags).SerializeToString()))] == tags


def test_samples_of_two_sizes_keep_their_tags(normaliser):
    made = samples("a/image/0", "a/image/1")
    made.summary.value[1].image.width = 9
    assert [value.tag for value in values_of(normaliser.event(made.SerializeToString()))] == ["a/image/0", "a/image/1"]


def test_samples_of_two_pictures_follow_each_other(normaliser):
    made = samples("a/image/0", "a/image/1", "b/image/0", "b/image/1", "c")
    assert [value.tag for value in values_of(normaliser.event(made.SerializeToString()))] == ["a/image", "b/image", "c"]


@pytest.mark.parametrize(
    "payload",
    [
        proto.Event(wall_time=1.0, graph_def=b"\n\x03\n\x01a").SerializeToString(),
        wire.event(1.0, 3, wire.message(7, wire.integer(1, 1))),
        wire.event(1.0, 3, wire.message(8, wire.message(1, b"step1"))),
        wire.event(1.0, -3, wire.message(9, b"\x0a\x00")),
    ],
    ids=["graph", "session log", "run metadata", "meta graph"],
)
def test_what_is_no_summary_keeps_its_bytes(normaliser, payload):
    assert normaliser.event(payload) == payload


@pytest.mark.parametrize("payload", [proto.Event(wall_time=1.0, file_version="brain.Event:2").SerializeToString(), b""])
def test_nothing_is_left_of_a_file_version(normaliser, payload):
    assert normaliser.event(payload) == b""


@pytest.mark.parametrize("payload", [b"\xff", b"\x2a\x05\x0a", wire.message(5, wire.message(1, wire.message(1, b"\xff")))])
def test_bytes_that_are_no_event_are_one_error(normaliser, payload):
    with pytest.raises(ValueError, match=r"."):
        normaliser.event(payload)


def described(plugin, content=b"", data_class=0):
    return wire.metadata(plugin, data_class, content=content)


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        (wire.message(5, b"\xff\xff"), "unreadable values"),
        (wire.message(8, b"\xff\xff"), "unreadable values"),
        (described("scalars") + wire.message(8, b"\xff\xff"), "unreadable values"),
        (described("hparams", b"\xff\xff"), "unreadable values"),
        (wire.message(9, b"\xff\xff"), "unreadable values"),
        (wire.integer(2, 300), "values without content"),
        (wire.message(2, b"\xff\xff"), "values without content"),
        (wire.integer(5, 1), "values without content"),
        (b"", "values without content"),
    ],
)
def test_a_value_that_no_reader_can_read_is_left_out_and_does_not_cost_the_others(normaliser, said, content, cause):
    """TensorBoard would not go on behind it."""
    broken = wire.message(1, wire.message(1, b"h"), content)
    payload = wire.event(1.0, 0, wire.message(5, broken, wire.message(1, wire.message(1, b"x"), b"\x15\x00\x00\x00\x3f")))
    (value,) = values_of(normaliser.event(payload))
    assert (value.tag, list(value.tensor.float_val)) == ("x", [0.5])
    assert list(said) == [cause]


def test_a_tensor_that_lies_about_its_shape_keeps_its_bytes(normaliser, said):
    tensor = wire.integer(1, wire.DT_FLOAT) + wire.shape(9) + wire.message(5, bytes(8))
    value = wire.message(1, wire.message(1, b"x"), described("scalars"), wire.message(8, tensor))
    payload = wire.event(1.0, 0, wire.message(5, value))
    assert normaliser.event(payload) == payload
    assert list(said) == ["unreadable values"]


def hparams_event(**numbers):
    content = proto.HParams()
    for key, number in numbers.items():
        content.start.hparams.add(key=key).value.number_value = number
    made = proto.Event(wall_time=1.0)
    value = made.summary.value.add(tag="_hparams_/session_start_info")
    value.metadata.plugin_data.plugin_name = "hparams"
    value.metadata.plugin_data.content = content.SerializeToString()
    return made


def test_hyper_parameters_get_the_tensor_that_the_tab_needs(normaliser):
    (found,) = values_of(normaliser.event(hparams_event(lr=0.5).SerializeToString()))
    assert (found.tensor.dtype, [dim.size for dim in found.tensor.tensor_shape.dim]) == (wire.DT_FLOAT, [0])
    assert found.metadata.data_class == wire.TENSOR


def test_a_hyper_parameter_that_is_not_finite_is_a_string(normaliser):
    (found,) = values_of(normaliser.event(hparams_event(lr=0.5, limit=np.inf).SerializeToString()))
    entries = proto.HParams.FromString(found.metadata.plugin_data.content).start.hparams
    assert {e.key: getattr(e.value, e.value.WhichOneof("kind")) for e in entries} == {"lr": 0.5, "limit": "inf"}


def test_every_set_of_hyper_parameters_keeps_its_metadata(normaliser):
    sets = [values_of(normaliser.event(hparams_event(lr=lr).SerializeToString()))[0] for lr in (0.5, 0.25)]
    assert [proto.HParams.FromString(s.metadata.plugin_data.content).start.hparams[0].value.number_value for s in sets] == [
        0.5,
        0.25,
    ]


def test_what_multiboard_has_written_stays_byte_for_byte(log_dir, normaliser, said):
    with mb.Run(log_dir, config={"lr": 0.1}) as run:
        for step in range(3):
            run.log({"a": float(step), "b": 1.0}, step)
            run.histogram("h", [1.0, 2.0], step)
            run.image("i", np.zeros((2, 3), np.uint8), step)
            run.text("t", "text", step)
            run.tensor("raw", np.arange(3), step)
        run.audio("s", np.zeros(8), 0, sample_rate=8000)
        run.pr_curve("p", [0, 1], [0.25, 0.75], 0)
        run.mesh("m", np.zeros((1, 3, 3)), 0)
    (file,) = log_dir.iterdir()
    for payload in list(unframe(file.read_bytes(), []))[1:]:
        assert normaliser.event(payload) == payload
    assert said == {}


tags = st.sampled_from(["a", "b/image/0", "c"])


@given(
    st.lists(
        st.lists(st.tuples(tags, st.sampled_from(["simple_value", "image", "histo", "audio", "tensor"])), max_size=3), max_size=6
    )
)
def test_normalising_twice_is_normalising_once(events):
    once, twice = (Normaliser(lambda *_, **__: None) for _ in range(2))
    for step, parts in enumerate(events):
        made = proto.Event(wall_time=1.0, step=step)
        for tag, form in parts:
            value = made.summary.value.add(tag=tag)
            if form == "simple_value":
                value.simple_value = 1.0
            elif form == "tensor":
                value.tensor.dtype = wire.DT_DOUBLE
                value.tensor.double_val.append(0.5)
            else:
                getattr(value, form).SetInParent()
        out = once.event(made.SerializeToString())
        assert twice.event(out) == out
