"""Finished messages of other packages go into the file as they are, at the step and time that the call states."""

import time

import numpy as np
import pytest

import multiboard as mb
from multiboard import proto, wire
from multiboard.records import unframe


def summary(tag="x", value=0.5):
    event = proto.Event()
    event.summary.value.add(tag=tag).simple_value = value
    return event.summary


@pytest.fixture
def writer(log_dir):
    with mb.SummaryWriter(log_dir) as writer:
        yield writer


def column(writer, tag="x"):
    writer.close()
    return mb.read(writer.log_dir)["."].scalars[tag]


@pytest.mark.parametrize("form", ["message", "bytes"])
def test_a_summary_is_written_at_its_step_and_time(writer, form):
    message = summary() if form == "message" else summary().SerializeToString()
    writer.file_writer.add_summary(message, "7", 12.0)
    found = column(writer)
    assert (found.step.tolist(), found.wall_time.tolist(), found.value.tolist()) == ([7], [12.0], [0.5])


def test_an_event_keeps_its_step_and_gets_the_time_of_the_call(writer):
    event = proto.Event(step=4, wall_time=1.0, summary=summary())
    before = time.time()
    writer.file_writer.add_event(event)
    found = column(writer)
    assert found.step.tolist() == [4]
    assert before <= found.wall_time[0] <= time.time()


@pytest.mark.parametrize("stated", [1.5, 0.0])
def test_the_writer_of_events_inside_takes_events_at_their_own_time(writer, stated):
    before = time.time()
    writer.file_writer.event_writer.add_event(proto.Event(step=4, wall_time=stated, summary=summary()))
    found = column(writer)
    assert found.step.tolist() == [4]
    assert found.wall_time[0] == stated or (not stated and before <= found.wall_time[0] <= time.time())


def test_a_stated_step_replaces_that_of_the_event(writer):
    writer.file_writer.add_event(proto.Event(step=4, wall_time=1.0, summary=summary()), step=-9, walltime=3.0)
    found = column(writer)
    assert (found.step.tolist(), found.wall_time.tolist()) == ([-9], [3.0])


def test_use_metadata_of_the_writer_holds_for_messages_too(writer):
    with writer.use_metadata(global_step=5, walltime=6.0):
        writer.file_writer.add_summary(summary())
        writer.file_writer.add_event(proto.Event(step=1, summary=summary()))
    found = column(writer)
    assert (found.step.tolist(), found.wall_time.tolist()) == ([5, 5], [6.0, 6.0])


@pytest.mark.parametrize("step", [np.int64(7), np.array(7), 7.0, "7"], ids=repr)
def test_a_step_may_be_written_in_any_form(writer, step):
    writer.file_writer.add_event(proto.Event(step=4, summary=summary()), step)
    assert column(writer).step.tolist() == [7]


def test_the_file_writers_of_sub_runs_write_into_them(writer):
    writer.add_scalars("m", {"a": 1.0}, 0, sub_runs=True)
    (name,) = set(writer.all_writers) - {writer.log_dir}
    writer.all_writers[name].add_summary(summary(), 3)
    writer.close()
    assert mb.read(name)["."].scalars["x"].step.tolist() == [3]


def test_flushing_a_closed_one_opens_nothing(writer, log_dir):
    writer.file_writer.close()
    writer.file_writer.flush()
    assert len(list(log_dir.iterdir())) == 1


@pytest.mark.parametrize("method", ["add_summary", "add_event"])
def test_what_is_no_message_is_refused(writer, method):
    with pytest.raises(mb.ArgumentError, match=r"0\.5 \(float\)"):
        getattr(writer.file_writer, method)(0.5)


def test_a_step_that_is_none_is_refused(writer):
    with pytest.raises(mb.StepError, match="three"):
        writer.file_writer.add_summary(summary(), "three")


def test_a_time_that_is_none_is_refused(writer):
    with pytest.raises(mb.ArgumentError, match="'noon'"):
        writer.file_writer.add_summary(summary(), 0, "noon")


def test_a_graph_comes_with_what_its_nodes_cost(writer, log_dir):
    writer.file_writer.add_graph((b"\n\x03\n\x01a", b"\n\x00"), 5.0)
    writer.close()
    (file,) = log_dir.iterdir()
    graph, costs = list(unframe(file.read_bytes(), []))[2:]
    assert proto.Event.FromString(graph).graph_def == b"\n\x03\n\x01a"
    assert costs.endswith(wire.message(8, wire.message(1, b"step1"), wire.message(2, b"\n\x00")) + wire.double(1, 5.0))


def test_closing_the_file_writer_closes_the_writer(writer):
    writer.add_scalar("x", 1.0, 0)
    writer.file_writer.flush()
    writer.file_writer.close()
    assert writer.all_writers == {}


def test_reopen_opens_a_second_file(writer, log_dir):
    writer.file_writer.close()
    with pytest.warns(mb.MultiboardWarning, match="used after close"):
        writer.file_writer.reopen()
    assert len(list(log_dir.iterdir())) == 2


def test_a_finished_message_gets_the_form_of_this_package(writer, log_dir):
    for step in range(2):
        writer.file_writer.add_summary(summary(), step)
    writer.close()
    (file,) = log_dir.iterdir()
    for payload in list(unframe(file.read_bytes(), []))[2:]:
        (value,) = proto.Event.FromString(payload).summary.value
        assert (value.tensor.dtype, list(value.tensor.float_val)) == (wire.DT_FLOAT, [0.5])
        assert value.metadata.plugin_data.plugin_name == "scalars"


def test_what_a_message_loses_is_said(writer):
    event = proto.Event()
    value = event.summary.value.add(tag="x")
    value.tensor.dtype = wire.DT_DOUBLE
    value.tensor.double_val.append(1e300)
    with pytest.warns(mb.MultiboardWarning) as said:
        writer.file_writer.add_summary(event.summary)
        writer.close()
    assert "numbers that float32 cannot hold" in str(said[0].message)


def test_bytes_that_are_no_message_are_said_and_stop_nobody(writer, log_dir):
    with pytest.warns(mb.MultiboardWarning) as said:
        writer.file_writer.add_event(b"\xff\xff")
        writer.file_writer.add_summary(summary(), 1)
        writer.close()
    assert "a message of 2 bytes cannot be read" in str(said[0].message)
    assert len(mb.read(log_dir)["."].scalars["x"]) == 1
