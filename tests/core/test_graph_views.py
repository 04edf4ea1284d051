"""A view folds what people see as one thing, and keeps the edges between what is left."""

import pytest

from multiboard.graph import LayerRow, layers, view


def drawn(graph, name):
    """Return scope, label, op and inputs of each node of a view."""
    return [("/".join(f.name for f in n.scope), n.name, n.op, [s for s, _ in n.inputs]) for n in view(graph, name).nodes]


@pytest.fixture
def block(sketch):
    """A residual block: linear, gelu, add."""
    x = sketch.op("", "Input", name="x", outputs=[(8, 4)])
    kernel = sketch.weight("Net:Net fc:Linear", "kernel", (4, 4))
    y = sketch.op("Net:Net fc:Linear @linear", "aten::t", kernel)
    y = sketch.op("Net:Net fc:Linear @linear", "aten::addmm", x, y, outputs=[(8, 4)], flops=256, us=2.0, mem=128, device="cpu")
    y = sketch.op("Net:Net @gelu", "aten::gelu", y, outputs=[(8, 4)])
    y = sketch.op("Net:Net @__add__", "aten::add", x, y, outputs=[(8, 4)])
    sketch.op("", "Output", y, name="output")
    return sketch.graph()


def test_the_layer_view_shows_layers_and_calls_outside_of_them(block):
    assert drawn(block, "layer") == [
        ("", "x", "Input", []),
        ("Net", "fc", "Dense", [0]),
        ("Net", "gelu", "gelu", [1]),
        ("Net", "add", "add", [0, 2]),
        ("", "output", "Output", [3]),
    ]


def test_the_api_view_shows_calls_beside_the_parameters_that_they_use(block):
    assert drawn(block, "api") == [
        ("", "x", "Input", []),
        ("Net/fc", "kernel", "Const_Parameter", []),
        ("Net/fc", "linear", "linear", [1, 0]),
        ("Net", "gelu", "gelu", [2]),
        ("Net", "__add__", "__add__", [0, 3]),
        ("", "output", "Output", [4]),
    ]


def test_the_op_view_is_the_graph_itself(block):
    assert view(block, "op") is block


def test_a_view_that_does_not_exist_is_refused(block):
    with pytest.raises(ValueError, match="no view 'layers' of a graph; there are layer, api, op"):
        view(block, "layers")


def test_a_layer_sums_up_what_it_holds_and_says_what_it_is(block):
    layer = view(block, "layer").nodes[1]
    assert (layer.flops, layer.params, layer.us, layer.mem, layer.device) == (256, 16, 2.0, 128, "cpu")
    assert layer.attrs == {"path": "fc", "class": "Linear", "ops": "aten::t, aten::addmm"}


def test_operations_are_counted_and_configured_facts_are_kept(sketch):
    for _ in range(3):
        sketch.op("Net:Net drop:Dropout", "aten::mul", attrs={"cfg.rate": 0.5, "other": 1})
    (layer,) = view(sketch.graph(), "layer").nodes[:1]
    assert layer.attrs["ops"] == "aten::mul x3"
    assert layer.attrs["cfg.rate"] == 0.5
    assert "other" not in layer.attrs


def test_only_outputs_that_others_use_are_left_and_those_of_the_same_pass_come_first(sketch):
    many = sketch.op("Net:Net rnn:LSTM", "aten::lstm", outputs=[(1,), (2,), (3,)])
    inner = sketch.op("Net:Net rnn:LSTM", "aten::mul", (many, 0), outputs=[(4,)])
    sketch.op("Net:Net", "aten::add", (many, 2), inner)
    sketch.op("#backward Net:Net rnn:LSTM", "aten::lstm_backward", (many, 1))
    nodes = view(sketch.graph(), "layer").nodes
    assert [spec.shape for spec in nodes[0].outputs] == [(3,), (4,), (2,)]
    assert nodes[1].inputs == ((0, 0), (0, 1))
    assert nodes[2].inputs == ((0, 2),)


def test_a_layer_that_nobody_uses_shows_its_last_outputs(sketch):
    sketch.op("Net:Net fc:Linear", "aten::t", outputs=[(1,)])
    sketch.op("Net:Net fc:Linear", "aten::mm", outputs=[(2,)])
    sketch.weight("Net:Net fc:Linear", "bias", (3,))
    assert [spec.shape for spec in view(sketch.graph(), "layer").nodes[0].outputs] == [(2,)]


def test_a_layer_that_is_called_twice_is_two_nodes(sketch):
    first = sketch.op("Net:Net fc:Linear", "aten::mm")
    sketch.op("Net:Net fc:Linear~2", "aten::mm", first)
    assert drawn(sketch.graph(), "layer") == [("Net", "fc", "Dense", []), ("Net", "fc", "Dense", [0])]


@pytest.mark.parametrize("cls", ["MultiheadAttention", "LSTM", "Bidirectional"])
def test_layers_made_of_layers_are_one_node_if_people_see_one(sketch, cls):
    sketch.op(f"Net:Net a:{cls} out:Linear", "aten::mm")
    sketch.op(f"Net:Net a:{cls}", "aten::mul")
    assert len(view(sketch.graph(), "layer").nodes) == 1


def test_a_model_that_is_called_like_a_layer_is_shown_from_inside(sketch):
    sketch.op("RNN:RNN cell:Cell", "aten::mm")
    sketch.op("RNN:RNN", "aten::mul")
    assert [row[1:3] for row in drawn(sketch.graph(), "layer")] == [("cell", "Cell"), ("", "mul")]


def test_a_call_around_a_model_does_not_hide_it(sketch):
    sketch.op("@jit Net:Net fc:Linear", "dot_general")
    assert [row[:2] for row in drawn(sketch.graph(), "layer")] == [("jit/Net", "fc")]
    assert [row[:2] for row in drawn(sketch.graph(), "api")] == [("jit/Net/fc", "")]


def test_loops_without_layers_and_the_optimizer_are_one_node_and_the_backward_pass_is_none(sketch):
    sketch.op("Net:Net #scan", "mul")
    sketch.op("Net:Net #scan @tanh", "tanh")
    sketch.op("Net:Net #while fc:Linear", "dot_general")
    sketch.op("#backward", "neg")
    sketch.op("#optimizer @adam", "sqrt")
    sketch.op("#optimizer", "mul")
    assert [row[:3] for row in drawn(sketch.graph(), "layer")] == [
        ("Net", "scan", "scan"),
        ("Net/while", "fc", "Dense"),
        ("backward", "", "neg"),
        ("", "optimizer", "optimizer"),
    ]


def test_a_container_is_one_in_the_backward_pass_too(sketch):
    sketch.op("Net:Net block:Block fc:Linear", "aten::mm")
    sketch.op("#backward Net:Net block:Block", "aten::mul")
    assert [row[:2] for row in drawn(sketch.graph(), "layer")] == [("Net/block", "fc"), ("backward/Net/block", "")]


def test_a_layer_is_no_container_because_another_model_has_one_of_its_name(sketch):
    sketch.op("Sequential:Sequential 0:Sequential 0:Linear", "aten::mm")
    sketch.op("Sequential:Sequential~2 0:Linear", "aten::mm")
    sketch.op("Sequential:Sequential~2 0:Linear", "aten::add")
    assert [row[:3] for row in drawn(sketch.graph(), "layer")] == [
        ("Sequential/0", "0", "Dense"),
        ("Sequential", "0", "Dense"),
    ]


@pytest.mark.usefixtures("block")
def test_the_layers_of_a_graph_are_its_forward_pass_in_order(sketch):
    sketch.op("#backward Net:Net fc:Linear", "aten::mm")
    sketch.op("#optimizer", "mul")
    assert layers(sketch.graph()) == [
        LayerRow("Dense", "fc", (8, 4), 16),
        LayerRow("gelu", "gelu", (8, 4), 0),
        LayerRow("add", "add", (8, 4), 0),
    ]


def test_a_layer_whose_outputs_are_not_known_has_no_shape(sketch):
    sketch.op("Net:Net fc:Linear", "aten::mm", outputs=[])
    sketch.op("Net:Net a:A", "aten::mm", outputs=[None])
    assert [row.shape for row in layers(sketch.graph())] == [None, None]
