"""The layers of a run, from what its event files hold."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

import multiboard as mb
from multiboard import tags
from multiboard.compare.layer_table import Layer, Role, layer_table
from multiboard.graph.ir import Node, TensorSpec
from multiboard.graph.recorder import Recorder, Weight


@pytest.fixture
def written(log_dir):
    """A function that runs `action(run)` in a closed run and returns what its files hold."""

    def write(action):
        with mb.Run(log_dir) as run:
            action(run)
        return mb.read(log_dir)["."]

    return write


def add_histograms(run):
    for group in ("params", "grads"):
        run.histogram(
            f"{group}/fc/kernel", np.ones((3, 4)), 0, description=tags.description("fc.weight", "Linear", "after clipping")
        )
        run.histogram(f"{group}/fc/bias", np.ones(3), 0, description=tags.description("fc.bias", "Linear"))
    run.histogram("activations/act", np.ones(7), 0, description=tags.description("act", "ReLU"))


def graph():
    """Return a graph that calls 'out' before 'fc'."""
    recorder = Recorder()
    net = recorder.frame("module", "Net", "Net")
    for name in ("out", "fc"):
        scope = (net, recorder.frame("module", name, "Linear"))
        spec = TensorSpec((3, 4), "float32")
        path = f"{name}/kernel"
        weight = recorder.weight(Weight(path, "kernel", path, f"{name}.weight", spec, 12, trainable=True), scope)
        recorder.add(Node("aten::linear", scope, ((weight, 0),), (spec,)))
    return recorder.finish("torch", step=0)


def test_histograms_tell_layers_with_classes_native_names_and_sizes(written):
    fc, act = layer_table(written(add_histograms))
    roles = Role("kernel", "fc/kernel", "fc.weight", None, 12), Role("bias", "fc/bias", "fc.bias", None, 3)
    assert fc == Layer("fc", "Linear", None, roles, 15)
    assert act == ("act", "ReLU", None, (), 0)


def test_a_graph_adds_shapes_and_the_order_of_calls(written):
    table = layer_table(written(lambda run: (add_histograms(run), run.graph(graph()))))
    found = {layer.path: layer for layer in table}
    assert found["out"].order < found["fc"].order
    assert found["fc"].roles[0] == Role("kernel", "fc/kernel", "fc.weight", (3, 4), 12)
    assert found["act"].order is None


def test_histograms_are_counted_only_where_no_shape_tells_the_size(written):
    read = []

    class Unread(SimpleNamespace):
        """A column that tells when its values are read."""

        def __len__(self):
            return 1

        @property
        def value(self):
            read.append(self.tag)
            return [np.array([[0.0, 1.0, 3.0]])]

    run = written(lambda run: (add_histograms(run), run.graph(graph())))
    columns = {tag: Unread(tag=tag, description=column.description) for tag, column in run.histograms.items()}
    found = {layer.path: layer for layer in layer_table(replace(run, histograms=columns))}
    assert [(role.name, role.size) for role in found["fc"].roles] == [("kernel", 12), ("bias", 3)]
    assert set(read) == {"params/fc/bias"}


def test_layers_stand_in_the_order_of_calls_if_all_were_called(written):
    assert [layer.path for layer in layer_table(written(lambda run: run.graph(graph())))] == ["out", "fc"]


def test_norms_alone_tell_layers_without_sizes(written):
    names = {"norm/params/fc/kernel": 1.0, "norm/activations/act": 1.0, "norm/params": 1.0, "train/loss": 1.0}
    table = layer_table(written(lambda run: run.log(names, step=0)))
    assert table == [Layer("fc", "", None, (Role("kernel", "fc/kernel", "", None),), None), Layer("act", "", None, (), 0)]


@pytest.mark.parametrize("count", [1, 3])
def test_the_size_of_a_tensor_is_that_of_one_capture(written, count):
    write = lambda run: [run.histogram("params/fc/kernel", np.ones(5), step) for step in range(count)]  # noqa: E731
    assert layer_table(written(write))[0].params == 5


def test_means_and_variances_are_no_parameters(written):
    write = lambda run: [run.histogram(f"{tag}", np.ones(5), 0) for tag in ("params/bn/scale", "buffers/bn/mean")]  # noqa: E731
    assert layer_table(written(write))[0].params == 5


def test_a_run_without_layers_has_an_empty_table(written):
    assert layer_table(written(lambda run: run.log({"train/loss": 1.0}, step=0))) == []
