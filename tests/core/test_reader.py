"""The reader returns all that is readable, and says what is not."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import multiboard as mb


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The bytes of one event file with every kind."""
    directory = tmp_path_factory.mktemp("whole")
    with mb.Run(directory, config={"lr": 0.1}) as run:
        for step in range(20):
            run.log({"x": float(step)}, step)
        run.histogram("h", [1.0, 2.0], 3)
        run.image("i", np.zeros((2, 2), np.uint8), 3)
        run.text("t", "text", 3)
    (file,) = directory.iterdir()
    return file.read_bytes()


def read_bytes(directory, data):
    (directory / "events.out.tfevents.1").write_bytes(data)
    return mb.read(directory)["."]


@pytest.mark.parametrize("path", ["missing", "."])
def test_a_path_without_event_files_is_one_error(tmp_path, path):
    with pytest.raises(mb.ReadError, match="holds no event files"):
        mb.read(tmp_path / path)


def test_runs_are_named_by_their_path(tmp_path):
    for name in ("a", "b/c"):
        mb.Run(tmp_path / name).close()
    assert list(mb.read(tmp_path)) == ["a", "b/c"]
    assert list(mb.read(tmp_path / "a")) == ["."]


def test_a_file_that_was_cut_is_read_up_to_the_cut(tmp_path, whole):
    data = read_bytes(tmp_path, whole[:701])
    (place,) = data.damage["events.out.tfevents.1"]
    assert place.torn
    steps = data.scalars["x"].step.tolist()
    assert steps == list(range(len(steps)))
    assert steps


def test_two_files_of_a_run_are_joined_in_the_order_of_their_names(tmp_path, whole):
    (tmp_path / "events.out.tfevents.2").write_bytes(whole)
    assert read_bytes(tmp_path, whole).scalars["x"].step.tolist() == [*range(20), *range(20)]


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.data())
def test_a_damaged_file_stops_no_reader_and_invents_no_number(tmp_path, whole, data):
    damaged = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 5))):
        position = data.draw(st.integers(0, len(damaged) - 1))
        damaged[position : position + data.draw(st.integers(0, 9))] = data.draw(st.binary(max_size=9))
    read = read_bytes(tmp_path, bytes(damaged))
    column = read.scalars.get("x")
    assert column is None or (column.value == column.step).all()
    assert bytes(damaged) == whole or read.damage


@pytest.mark.parametrize("dtype", [8, 14, 99])
def test_a_tensor_of_a_dtype_that_is_unknown_costs_only_itself(tmp_path, whole, dtype):
    """DT_COMPLEX64, DT_BFLOAT16 and a number of no dtype at all, as a scalar."""
    from multiboard import proto
    from multiboard.records import frame

    event = proto.Event(step=1)
    value = event.summary.value.add(tag="odd")
    value.metadata.plugin_data.plugin_name = "scalars"
    value.tensor.dtype = dtype
    value.tensor.tensor_content = b"123"
    data = read_bytes(tmp_path, whole + frame(event.SerializeToString()))
    assert "'odd' at step 1" in data.damage["events.out.tfevents.1"][0].reason
    assert "odd" not in data.scalars
    assert len(data.scalars["x"]) == 20


@pytest.mark.parametrize("field", ["string_val", "image"])
def test_a_tag_of_scalars_without_any_number_costs_only_itself(tmp_path, whole, field):
    from multiboard import proto
    from multiboard.records import frame

    event = proto.Event(step=1)
    value = event.summary.value.add(tag="odd")
    value.metadata.plugin_data.plugin_name = "scalars"
    if field == "image":
        value.image.encoded = b"png"
    else:
        value.tensor.dtype = 7
        value.tensor.string_val.append(b"text")
    data = read_bytes(tmp_path, whole + frame(event.SerializeToString()))
    assert "'odd' at step 1" in data.damage["events.out.tfevents.1"][0].reason
    assert list(data.scalars) == ["x"]


def test_a_record_that_is_no_event_is_damage(tmp_path):
    from multiboard.records import frame

    data = read_bytes(tmp_path, frame(b"\xff\xff\xff"))
    assert "no Event" in data.damage["events.out.tfevents.1"][0].reason
