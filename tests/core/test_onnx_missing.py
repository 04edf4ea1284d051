"""Without the onnx package, and with files that are no models, add_onnx_graph says so once and the training goes on."""

import sys

import pytest

import multiboard as mb
from multiboard import graph_def, wire


@pytest.mark.parametrize("step", [0, 1])
def test_a_missing_package_is_said_with_the_extra_and_raises_nothing(log_dir, monkeypatch, step):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with mb.SummaryWriter(log_dir) as writer:
        for number in range(step):
            writer.add_scalar("x", 1.0, number)
        with pytest.warns(mb.MultiboardWarning, match=r"pip install 'multiboard\[onnx\]'"):
            writer.add_onnx_graph("model.onnx")
        writer.add_scalar("x", 1.0, step)
    run = mb.read(log_dir)["."]
    assert (run.graphs, len(run.scalars["x"])) == ({}, step + 1)


def test_a_finished_graph_goes_through_the_file_writer(log_dir):
    graph = graph_def.graph_def([graph_def.node("a", "Input", (), {}), graph_def.node("b", "Output", ["a"], {})])
    with mb.SummaryWriter(log_dir) as writer:
        assert writer.file_writer.event_writer.get_logdir() == writer.log_dir
        writer.file_writer.add_onnx_graph(graph, 5.0)
        with pytest.raises(mb.ArgumentError, match="protobuf message"):
            writer.file_writer.add_onnx_graph("model.onnx")
    assert mb.read(log_dir)["."].graphs["Default"].value == [graph]


def test_an_attribute_is_cut_where_tensorboard_would_leave_it_out():
    short, long = graph_def.text("ü" * 400), graph_def.text("ü" * 2000)
    assert short == wire.message(2, ("ü" * 400).encode())
    assert len(long) < 1024
    assert long.decode(errors="replace").endswith("ü…")
