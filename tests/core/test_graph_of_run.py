"""A traced graph is written as all of its views, by the writer thread, whatever is wrong with it."""

import json
import threading

import pytest

import multiboard as mb
from multiboard.graph import Graph, Node, TensorSpec, graph_events
from multiboard.kinds import traced


@pytest.fixture
def model(sketch):
    x = sketch.op("", "Input", name="x", outputs=[(8, 4)])
    kernel = sketch.weight("Net:Net fc:Linear", "kernel", (4, 4))
    y = sketch.op("Net:Net fc:Linear @linear", "aten::addmm", x, kernel, outputs=[(8, 4)], flops=256)
    sketch.op("", "Output", y, name="output")
    sketch.recorder.note("The path that was taken.")
    return sketch.graph(step=7)


def test_the_own_graph_of_a_run_is_all_views_and_a_table(written, model):
    content = written(lambda run: run.graph(model, description="a model"))
    assert list(content.graphs) == ["Default", "layer", "flops", "api", "op"]
    assert content.graphs["Default"].value == content.graphs["layer"].value
    assert b"Dense" in content.graphs["Default"].value[0]
    assert b"aten::addmm" in content.graphs["op"].value[0]
    assert "`fc`" in content.texts["graph/summary"].value[0]
    assert json.loads(content.tensors["multiboard/graph"].value[0].item())


def test_descriptions_say_what_a_view_shows_and_what_was_noted(written, model):
    graphs = written(lambda run: run.graph(model, description="a model")).graphs
    assert graphs["op"].description == "a model\n\nOperations, the path taken at step 7.\n\nThe path that was taken."
    assert "1 μs stands for 1 FLOP" in graphs["flops"].description


def test_a_further_graph_has_tags_of_its_own(written, model):
    def actions(run):
        run.graph(model)
        run.graph(model, tag="generator")

    content = written(actions)
    assert [tag for tag in content.graphs if tag.startswith("generator")] == [
        "generator/layer",
        "generator/flops",
        "generator/api",
        "generator/op",
    ]
    assert "generator/summary" in content.texts


@pytest.mark.parametrize("tag", [None, "generator"])
def test_a_second_graph_of_the_same_name_is_refused(log_dir, model, tag):
    with mb.Run(log_dir) as run:
        run.graph(model, tag=tag)
        with pytest.raises(mb.ValueKindError, match="this run has this graph already"):
            run.graph(model, tag=tag)


def test_a_graph_of_the_name_of_a_view_is_refused_and_costs_nothing(log_dir, model):
    with mb.Run(log_dir) as run:
        run.graph(b"\x0a\x00", tag="op")
        with pytest.raises(mb.ValueKindError, match="this run has this graph already"):
            run.graph(model)
    assert list(mb.read(log_dir)["."].graphs) == ["op"]


def test_views_are_made_by_the_writer(log_dir, model, monkeypatch):
    threads = set()
    names = graph_events.names
    monkeypatch.setattr(graph_events, "names", lambda graph: threads.add(threading.current_thread()) or names(graph))
    with mb.Run(log_dir) as run:
        run.graph(model)
    assert threads
    assert threading.main_thread() not in threads


def test_a_view_that_cannot_be_made_does_not_cost_the_others(log_dir, model, monkeypatch):
    def failing(graph, name):
        if name == "layer":
            raise RuntimeError("planted")
        return graph

    monkeypatch.setattr(traced, "view", failing)
    with pytest.warns(mb.MultiboardWarning, match="planted"), mb.Run(log_dir) as run:
        run.graph(model)
        run.scalar("x", 1.0, 8)
    content = mb.read(log_dir)["."]
    assert list(content.graphs) == ["api", "op"]
    assert "graph/summary" in content.texts
    assert "x" in content.scalars


def test_an_empty_graph_and_one_with_loose_ends_are_written_with_a_note(written):
    loose = Graph("torch", (Node("add", (), ((0, 0), (5, 0), (0, 3)), (TensorSpec((), ""),)),))

    def actions(run):
        run.graph(Graph("torch", (), notes=("Nothing was recorded.",)))
        run.graph(loose, tag="loose")

    graphs = written(actions).graphs
    assert "Nothing was recorded." in graphs["layer"].description
    assert graphs["loose/op"].description.endswith("2 inputs are not known.")


def test_facts_that_no_message_can_hold_do_not_cost_the_picture(written):
    facts = {"large": 1e300, "lost": float("nan"), "list": [1], "torn": "\ud800"}
    nodes = [Node("mul", (), (), (TensorSpec(("n",), "float32"),), "strange", us=2.0)]
    nodes += [Node("mul", (), ((0, 0),), (), key, {key: value}, us=float("nan")) for key, value in facts.items()]
    content = written(lambda run: run.graph(Graph("torch", tuple(nodes)))).graphs["op"].value[0]
    assert all(f"{name}".encode() in content for name in ("strange", "1e+300", *facts))


def test_a_fact_that_no_message_can_hold_does_not_cost_the_shape(written):
    node = Node("mul", (), (), (TensorSpec((2,), "float32"),), "x", {"list": [1]}, params=9)
    content = written(lambda run: run.graph(Graph("torch", (node,)))).graphs["op"].value[0]
    assert all(fact in content for fact in (b"_output_shapes", b"params"))


def test_more_nodes_than_can_be_described_keep_their_shapes_and_counts(written, monkeypatch, model):
    monkeypatch.setattr(graph_events, "MOST_DESCRIBED", 3)
    graphs = written(lambda run: run.graph(model)).graphs
    assert "only their shapes and what is counted are kept" in graphs["op"].description
    assert b"trainable" not in graphs["op"].value[0]
    assert all(fact in graphs["op"].value[0] for fact in (b"_output_shapes", b"params", b"flops"))
    assert "only their shapes" not in graphs["layer"].description
    assert b"ops" in graphs["layer"].value[0]


def test_what_is_no_graph_is_refused(log_dir):
    with mb.Run(log_dir) as run, pytest.raises(mb.ValueKindError, match="a traced one, or the bytes of a GraphDef"):
        run.graph([])
