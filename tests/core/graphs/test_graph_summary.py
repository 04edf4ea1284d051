"""The table of layers says what a model holds and costs."""

import json
import sys

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from multiboard import wire
from multiboard.errors import ArgumentError, MissingFrameworkError
from multiboard.graph import Summary, summarize
from multiboard.graph.ir import OUTPUT, Node, TensorSpec
from multiboard.graph.recorder import elements
from multiboard.graph.summary_values import summary_values
from multiboard.values import Text


@pytest.fixture
def net(by_hand):
    return {row.path: row for row in summarize(by_hand.mlp()).rows}


def test_every_layer_has_a_row_behind_what_holds_it(net):
    assert list(net) == ["", "fc1", "norm", "blocks", "blocks/0", "blocks/0/fc", "blocks/1", "blocks/1/fc", "head"]
    assert [row.depth for row in net.values()] == [0, 1, 1, 1, 2, 3, 2, 3, 1]
    assert [row.cls for row in net.values()][:5] == ["Net", "Linear", "BatchNorm1d", "ModuleList", "Block"]
    assert net["fc1"].op == "Dense"
    assert net[""].model == "Net"


def test_parameters_flops_and_bytes_are_those_counted_by_hand(net):
    fc, norm, head = (net[name] for name in ("fc1", "norm", "head"))
    assert (fc.params, norm.params, head.params) == (4 * 16 + 16, 32, 16 * 2 + 2)
    assert (fc.flops, norm.flops, head.flops) == (2 * 8 * 4 * 16, 0, 2 * 8 * 16 * 2)
    assert (norm.buffers, norm.bytes) == (32, 4 * 64)
    assert net[""].params == fc.params + norm.params + head.params + 2 * (16 * 16 + 16)


def test_a_container_holds_the_sums_of_what_is_below_it(net):
    assert net["blocks"].params == net["blocks/0"].params + net["blocks/1"].params == 2 * 272
    assert net["blocks"].flops == net["blocks/0/fc"].flops + net["blocks/1/fc"].flops
    assert net["blocks"].own_params == 0


def test_an_output_is_what_others_use_of_the_layer(net):
    assert net["fc1"].outputs == (TensorSpec((8, 16), "float32"),)
    assert net["blocks"].outputs == (TensorSpec((8, 16), "float32"),)
    assert net[""].outputs == (TensorSpec((8, 2), "float32"),)


def test_what_only_the_backward_pass_uses_is_no_output(by_hand):
    model = by_hand.Model()
    x = model.input("x", (8, 4))
    with model.frame("Net", "Net"):
        kept = model.op("aten::t", [x], (4, 8))
        y = model.op("aten::mm", [x, kept], (8, 8))
    with model.frame("backward", kind="region"), model.frame("Net", "Net"):
        model.op("aten::mm", [kept, y], (4, 8), flops=7)
    row = summarize(model.finish(y)).rows[0]
    assert row.outputs == (TensorSpec((8, 8), "float32"),)
    assert (row.calls, row.backward_flops, row.flops) == (1, 7, 0)


def test_several_outputs_are_all_named(by_hand):
    model = by_hand.Model()
    with model.frame("Net", "Net"):
        with model.frame("split", "Split"):
            a = model.op("aten::narrow", [model.input("x", (8, 4))], (8, 1))
            b = model.op("aten::narrow", [a], (8, 3))
        c = model.op("aten::add", [a, b])
    split = next(row for row in summarize(model.finish(c)).rows if row.path == "split")
    assert [spec.shape for spec in split.outputs] == [(8, 1), (8, 3)]


def test_passes_are_counted_apart(by_hand):
    model = by_hand.Model()
    x = model.input("x", (8, 4))
    with model.frame("Net", "Net"):
        y = model.op("aten::mm", [x, x], flops=5, us=1.5)
    with model.frame("train_step", kind="call"), model.frame("optimizer", kind="region"):
        model.op("aten::addcmul", [y], flops=3, us=0.5)
    with model.frame("backward", kind="region"), model.frame("Net", "Net"):
        model.op("aten::mm", [y, x], flops=10, us=2.0)
    totals = summarize(model.finish(y)).totals
    assert (totals.flops, totals.backward_flops, totals.optimizer_flops) == (5, 10, 3)
    assert (totals.us, totals.backward_us, totals.optimizer_us) == (1.5, 2.0, 0.5)


def test_state_of_no_layer_is_no_buffer_of_the_model(by_hand):
    model = by_hand.Model()
    with model.frame("Net", "Net"):
        y = model.norm("norm", model.input("x", (8, 4)))
    with model.frame("optimizer", kind="region"):
        moment = model.weight("mu", (4,), trainable=False, path="opt/mu")
        model.op("aten::add", [model.weight("scale", (4,), path="norm/scale"), moment])
    summary = summarize(model.finish(y))
    totals = summary.totals
    assert (totals.params, totals.buffers, totals.bytes, totals.state, totals.state_bytes) == (8, 8, 64, 4, 16)
    assert "State of no layer, e.g. of the optimizer: 4 numbers, 16 B." in summary.markdown()
    assert "Tied" not in summary.markdown()


def test_a_layer_that_is_called_twice_is_one_row_and_counts_once(by_hand):
    model = by_hand.Model()
    h = model.input("x", (8, 4))
    with model.frame("Net", "Net"):
        for _ in range(3):
            h = model.dense("fc", h, 4)
    summary = summarize(model.finish(h))
    fc = summary.rows[1]
    assert (fc.calls, fc.params, fc.flops) == (3, 20, 3 * 2 * 8 * 4 * 4)
    assert len(summary.rows) == 2
    assert len(fc.weights) == 2
    assert "Linear \u00d73" in summary.markdown()
    assert "tied" not in summary.markdown().lower()


def test_a_tied_weight_counts_in_the_first_layer_and_is_named_in_the_other(by_hand):
    model = by_hand.Model()
    h = model.input("x", (8, 4))
    with model.frame("Net", "Net"):
        with model.frame("embed", "Embedding"):
            h = model.op("aten::embedding", [h, model.weight("embedding", (100, 4))], (8, 4))
        with model.frame("head", "Linear"):
            h = model.op("aten::mm", [h, model.weight("kernel", (100, 4), path="embed/embedding")], (8, 100))
    summary = summarize(model.finish(h))
    _, embed, head = summary.rows
    assert (embed.params, head.params, summary.totals.params, summary.totals.bytes) == (400, 0, 400, 1600)
    assert [weight.tied for weight in head.weights] == [True]
    assert "used again in head (embed/embedding)" in summary.markdown()


def test_a_layer_of_which_only_parameters_are_known_has_no_call(by_hand):
    model = by_hand.Model()
    with model.frame("Net", "Net"):
        h = model.dense("used", model.input("x", (8, 4)), 4)
        with model.frame("unused", "Linear"):
            model.weight("kernel", (4, 4))
    unused = summarize(model.finish(h)).rows[2]
    assert (unused.path, unused.calls, unused.params, unused.outputs) == ("unused", 0, 16, ())


def test_operations_without_any_module_are_one_row(by_hand):
    model = by_hand.Model()
    y = model.call("dot", "dot_general", [model.input("x", (8, 4))], (8, 8))
    (row,) = summarize(model.finish(y, "jax")).rows
    assert (row.path, row.cls, row.ops) == ("", "", {"dot_general": 1})


def test_two_models_in_one_graph_keep_their_rows_apart(by_hand):
    model = by_hand.Model()
    x = model.input("x", (8, 4))
    for name in ("Generator", "Critic"):
        with model.frame(name, name):
            x = model.dense("fc", x, 4)
    rows = summarize(model.finish(x)).rows
    assert [(row.model, row.path, row.params) for row in rows] == [
        ("Generator", "", 20),
        ("Generator", "fc", 20),
        ("Critic", "", 0),
        ("Critic", "fc", 0),
    ]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_nothing_is_lost_and_nothing_counts_twice(any_graph, data):
    graph = data.draw(any_graph)
    summary = summarize(graph)
    totals = summary.totals
    assert totals.params == sum(node.params for node in graph.nodes)
    computing = [node for node in graph.nodes if node.op.startswith("aten")]
    assert totals.flops + totals.backward_flops + totals.optimizer_flops == sum(node.flops for node in computing)
    kept = [node for node in graph.nodes if node.op == "Const_Buffer"]
    assert totals.buffers + totals.state == sum(elements(node.outputs[0].shape) for node in kept)
    for row in summary.rows:
        below = [other for other in summary.rows if other.depth == row.depth + 1 and _is_below(other, row, summary.rows)]
        assert row.params == row.own_params + sum(other.params for other in below)
        assert row.flops == row.own_flops + sum(other.flops for other in below)
    assert Summary.from_json(summary.to_json()) == summary


def _is_below(row, holder, rows):
    """Tell whether the last row before this one that is less deep is the holder."""
    before = rows[: _at(row, rows)]
    return next((other for other in reversed(before) if other.depth < row.depth), None) is holder


def _at(row, rows):
    return next(number for number, other in enumerate(rows) if other is row)


def test_a_summary_comes_back_from_its_json(by_hand, tmp_path):
    summary = summarize(by_hand.mlp())
    text = summary.to_json(tmp_path / "summary.json")
    assert Summary.from_json(text) == summary
    assert json.loads((tmp_path / "summary.json").read_text()) == json.loads(text)
    with pytest.raises(ArgumentError, match="to_json"):
        Summary.from_json("[]")


def test_the_markdown_table_has_a_row_for_each_layer_and_escapes_bars(by_hand):
    model = by_hand.Model()
    with model.frame("A|B", "A|B"):
        y = model.dense("fc|1", model.input("x", (8, 4)), 4)
    told = summarize(model.finish(y)).markdown()
    table = [line for line in told.splitlines() if line.startswith("|")]
    assert len(table) == 2 + 2 + 1
    assert {line.replace("\\|", "").count("|") for line in table} == {8}
    assert "`fc\\|1`" in told


def test_columns_of_zeros_are_left_out(by_hand):
    assert "Buffers" in summarize(by_hand.mlp()).markdown()
    assert "Buffers" not in summarize(by_hand.mlp(norm=False)).markdown()


def test_a_long_markdown_table_keeps_the_upper_layers_and_says_what_it_leaves_out(by_hand):
    summary = summarize(by_hand.deep(30))
    told = summary.markdown(most=40)
    assert "`block29`" in told
    assert "`block0/fc`" not in told
    assert "30 deeper or later layers are left out" in told
    assert "51 deeper or later layers are left out" in summary.markdown(most=10)


def test_notes_of_the_graph_are_told(by_hand):
    model = by_hand.Model()
    model.recorder.note("The loop ran 3 times.")
    with model.frame("Net", "Net"):
        y = model.dense("fc", model.input("x", (8, 4)), 4)
    assert summarize(model.finish(y)).markdown().endswith("The loop ran 3 times.")


def test_a_missing_rich_names_what_to_install(by_hand, monkeypatch):
    monkeypatch.setitem(sys.modules, "rich.table", None)
    with pytest.raises(MissingFrameworkError, match="rich"):
        summarize(by_hand.mlp()).table()


def test_an_empty_graph_has_an_empty_table(by_hand):
    summary = summarize(by_hand.Model().finish())
    assert summary.totals.params == 0
    assert "**Total**" in summary.markdown()


def test_a_run_gets_the_table_as_text_and_as_json(by_hand):
    graph = by_hand.mlp()
    text, data = summary_values(graph, 1.0)
    assert isinstance(text, Text)
    assert (text.tag, text.step, text.text) == ("graph/summary", 3, summarize(graph).markdown())
    assert (data.tag, data.plugin, data.data_class) == ("multiboard/graph", "multiboard", wire.TENSOR)
    assert summarize(graph).to_json().encode() in data.tensor
    assert [value.tag for value in summary_values(graph, 1.0, "critic")] == ["critic/summary", "multiboard/graph/critic"]


def test_what_an_operation_outside_of_layers_costs_is_in_the_totals(by_hand):
    graph = by_hand.mlp()
    loss = Node("aten::mm", (), ((len(graph.nodes) - 2, 0),), (TensorSpec((), "float32"),), flops=11)
    more = graph._replace(nodes=(*graph.nodes, loss, Node(OUTPUT, (), ((len(graph.nodes), 0),), ())))
    summary = summarize(more)
    assert summary.totals.flops == summarize(graph).totals.flops + 11
    assert summary.rows[-1].model == ""
    assert summary.rows[-1].flops == 11
