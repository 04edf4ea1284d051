"""Many events at once are read as one by one: every form of a scalar, in every order, with every point in its place."""

import struct

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import multiboard as mb
from multiboard import proto
from multiboard.records import frame

FORMS = ["simple", "float_val", "content", "double", "described", "vector", "unknown plugin"]
TAGS = ["a", "b", "loss", "train/loss", "train/läss"]


def add_value(event, tag, form, number):
    value = event.summary.value.add(tag=tag)
    if form == "simple":
        value.simple_value = number
        return
    value.tensor.dtype = 2 if form == "double" else 1
    if form == "content":
        value.tensor.tensor_content = struct.pack("<f", number)
    elif form == "double":
        value.tensor.double_val.append(number)
    else:
        value.tensor.float_val.append(number)
    if form == "vector":
        value.tensor.tensor_shape.dim.add(size=1)
    if form in {"described", "vector"}:
        value.metadata.plugin_data.plugin_name = "scalars"
    if form == "unknown plugin":
        value.metadata.plugin_data.plugin_name = "of somebody else"


events = st.lists(
    st.tuples(
        st.integers(0, 20),  # how often in a row
        st.lists(st.tuples(st.sampled_from(TAGS), st.sampled_from(FORMS)), min_size=1, max_size=3),
        st.integers(-3, 2**56),
    ),
    max_size=8,
)


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(events, st.integers(1, 3))
def test_every_point_is_read_in_the_order_of_the_file(tmp_path, kinds, rounds):
    """The same tag may come in several forms, in one event and in many."""
    expected, framed = {tag: [] for tag in TAGS}, []
    for repeats, values, first in kinds * rounds:
        for i in range(repeats):
            number = float(len(framed)) / 4
            event = proto.Event(wall_time=len(framed) + 0.1, step=first + i)
            for tag, form in values:
                add_value(event, tag, form, number)
                if form != "unknown plugin":
                    expected[tag].append((first + i, event.wall_time, number))
            framed.append(frame(event.SerializeToString()))
    described = {tag for _, values, _ in kinds for tag, form in values if form in {"described", "vector"}}
    foreign = {tag for _, values, _ in kinds for tag, form in values if form == "unknown plugin"}
    (tmp_path / "tfevents").write_bytes(b"".join(framed))
    run = mb.read(tmp_path)["."]
    assert run.damage == {}
    for tag in TAGS:
        if tag in foreign and tag not in described:
            continue  # a number without metadata belongs to whatever plugin the tag has
        column = run.scalars.get(tag)
        points = list(zip(column.step.tolist(), column.wall_time.tolist(), column.value.tolist(), strict=True)) if column else []
        if tag not in foreign:
            assert points == expected[tag]


def test_one_wrong_bit_in_any_byte_of_any_record_costs_that_record_and_no_other(tmp_path):
    directory = tmp_path / "run"
    with mb.Run(directory) as run:
        for step in range(40):
            run.log({"x": step / 2, "y": -1.0}, step)
    (file,) = directory.iterdir()
    whole = file.read_bytes()
    offsets = offsets_of(whole)
    for position in range(offsets[2], len(whole)):
        data = bytearray(whole)
        data[position] ^= 1 << position % 8
        file.write_bytes(data)
        read = mb.read(directory)["."]
        (place,) = read.damage[file.name]
        assert place.offset == max(offset for offset in offsets if offset <= position)
        lost = offsets.index(place.offset) - 2
        assert read.scalars["x"].step.tolist() == [step for step in range(40) if step != lost]
        assert read.scalars["x"].value.tolist() == [step / 2 for step in range(40) if step != lost]


def offsets_of(whole):
    offsets, offset = [], 0
    while offset < len(whole):
        offsets.append(offset)
        offset += 16 + struct.unpack_from("<Q", whole, offset)[0]
    return offsets


def test_a_tag_that_is_two_kinds_shows_both(tmp_path):
    framed = []
    for step in range(20):
        event = proto.Event(step=step)
        event.summary.value.add(tag="x", simple_value=1.0)
        histogram = event.summary.value.add(tag="x").histo
        histogram.bucket_limit.append(1.0)
        histogram.bucket.append(3.0)
        framed.append(frame(event.SerializeToString()))
    (tmp_path / "tfevents").write_bytes(b"".join(framed))
    run = mb.read(tmp_path)["."]
    assert len(run.scalars["x"]) == len(run.histograms["x"]) == 20


def test_scalars_whose_first_record_is_lost_are_still_scalars(tmp_path):
    """The first event of a tag alone carries the metadata."""
    with mb.Run(tmp_path) as run:
        for step in range(50):
            run.log({"x": float(step)}, step)
    (file,) = tmp_path.iterdir()
    data = bytearray(file.read_bytes())
    data[offsets_of(bytes(data))[2] + 14] ^= 1
    file.write_bytes(data)
    assert mb.read(tmp_path)["."].scalars["x"].step.tolist() == list(range(1, 50))


@pytest.mark.parametrize("steps", [[0, 1, 127, 128, 2**14, 2**35, 2**49 - 1, 2**56, 2**62], [-1, -5, 3]])
def test_steps_of_every_width_are_exact(tmp_path, steps):
    steps = [step for step in steps for _ in range(6)]
    framed = [
        frame(proto.Event(step=step, summary={"value": [{"tag": "x", "simple_value": 1.0}]}).SerializeToString())
        for step in steps
    ]
    (tmp_path / "tfevents").write_bytes(b"".join(framed))
    assert mb.read(tmp_path)["."].scalars["x"].step.tolist() == steps


def test_tags_of_many_lengths_in_turn_are_complete(tmp_path):
    with mb.Run(tmp_path) as run:
        for step in range(3000):
            for i in range(7):
                run.scalar("x" * (i + 1), np.float32(step + i), step)
    columns = mb.read(tmp_path)["."].scalars
    assert len(columns) == 7
    for tag, column in columns.items():
        np.testing.assert_array_equal(column.step, np.arange(3000))
        np.testing.assert_array_equal(column.value, np.arange(3000.0) + len(tag) - 1)
