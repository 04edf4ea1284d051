"""Real TensorBoard lists every view of a traced graph and draws what was recorded, with both loaders."""

import itertools

import pytest
from google.protobuf import text_format
from tensorboard.compat.proto import config_pb2, graph_pb2, types_pb2

import multiboard as mb
from multiboard.graph import Frame, Graph, Node, TensorSpec

RUN = "traced"
STATE = TensorSpec((2, None, 4), "bfloat16")
ODD = TensorSpec(None, "float8_e4m3fn")
uids = itertools.count(1)


def module(name, cls=""):
    return Frame("module", name, cls, next(uids))


def call(name):
    return Frame("call", name, "", next(uids))


def traced_graph():
    net, fc = module("Net", "Net"), module("fc", "Linear")
    wide = (net, module("wide", "Wide"))
    nodes = [
        Node("Input", (), (), (TensorSpec((2, None, 3), "float32"),), "batch/x"),
        Node(
            "Const_Parameter", (net, fc), (), (TensorSpec((3, 4), "float32"),), "kernel", {"trainable": True}, "cuda:1", params=12
        ),
        Node("aten::addmm", (net, fc, call("linear")), ((0, 0), (1, 0)), (STATE, ODD), device="cuda:1", flops=48, us=3.4, mem=64),
        Node(
            "ScalarSummary", wide, ((2, 1),), (STATE,), attrs={"alpha": 1, "eps": 0.5, "note": "ä" * 2000}, device="cpu", us=0.2
        ),
        Node("NoOp", wide, ((3, 0),), (STATE,), device="cpu", us=1.8),
        Node("ConstantPad", wide, ((4, 0),), (STATE,), device="cpu"),
    ]
    for number in range(205):
        nodes.append(Node("relu", (*wide, call("relu")), ((len(nodes) - 1, 0),), (STATE,), device="cpu", us=10.0 + number % 2))
    nodes.append(Node("Output", (), ((len(nodes) - 1, 0),), (STATE,), "output"))
    return Graph("torch", tuple(nodes), 3)


@pytest.fixture(scope="module")
def traced(board_dir):
    """A run with a measured graph, and a further one without times, written once."""
    graph = traced_graph()
    untimed = graph._replace(nodes=tuple(node._replace(us=0.0, flops=0) for node in graph.nodes))
    with mb.Run(board_dir / RUN) as run:
        run.graph(graph)
        run.graph(untimed, tag="other")
    return RUN


@pytest.fixture
def shown(board, traced):
    """A function that returns the GraphDef that the Graphs tab gets for a tag; None is the run's own graph."""
    listed = board.wait_for(
        lambda: board.json("data/plugin/graphs/info"),
        lambda info: info.get(traced, {}).get("run_graph") and len(info[traced]["tags"]) == 7,
    )

    def get(tag=None, path="graph", message=graph_pb2.GraphDef):
        query = {"run": traced, "tag": tag} if tag else {"run": traced}
        body, _ = board.bytes(f"data/plugin/graphs/{path}", **query, limit_attr_size=1024, large_attrs_key="_too_large")
        return text_format.Parse(body.decode(), message())

    get.tags = listed[traced]["tags"]
    return get


def by_name(graph):
    return {node.name: node for node in graph.node}


def test_every_view_is_listed_and_only_measured_ones_have_a_profile(shown):
    assert {tag: (row["op_graph"], row["profile"]) for tag, row in shown.tags.items()} == {
        "layer": (True, True),
        "api": (True, True),
        "op": (True, True),
        "flops": (True, True),
        "other/layer": (True, False),
        "other/api": (True, False),
        "other/op": (True, False),
    }


@pytest.mark.parametrize("tag", [None, "layer", "api", "op", "flops", "other/layer", "other/api", "other/op"])
def test_every_input_of_every_view_is_an_output_of_a_node(shown, tag):
    nodes = by_name(shown(tag))
    edges = [edge.partition(":") for node in nodes.values() for edge in node.input]
    assert edges
    for source, _, slot in edges:
        assert int(slot or 0) < len(nodes[source].attr["_output_shapes"].list.shape)


def test_the_run_opens_on_its_layers(shown):
    assert list(by_name(shown())) == list(by_name(shown("layer")))
    node = by_name(shown())["fc"]
    assert (node.op, list(node.input), node.device) == ("Dense", ["batch/x"], "/device:GPU:1")
    facts = {
        key: value.i or value.s.decode() for key, value in node.attr.items() if key in {"class", "path", "flops", "params", "ops"}
    }
    assert facts == {"class": "Linear", "path": "fc", "flops": 48, "params": 12, "ops": "aten::addmm"}


def test_shapes_and_dtypes_are_those_of_the_outputs(shown):
    node = by_name(shown("op"))["fc Linear/linear/addmm"]
    known, unknown = node.attr["_output_shapes"].list.shape
    assert [dim.size for dim in known.dim] == [2, -1, 4]
    assert unknown.unknown_rank
    assert node.attr["dtype"].s == b"bfloat16, float8_e4m3fn"
    assert by_name(shown("op"))["batch/x"].attr["dtype"].type == types_pb2.DT_FLOAT
    assert by_name(shown("layer"))["output"].attr["dtype"].type == types_pb2.DT_BFLOAT16


def test_operations_that_would_vanish_from_the_picture_have_another_name(shown):
    nodes = by_name(shown("op"))
    assert [nodes[f"wide/part_1/{name}"].op for name in ("ScalarSummary", "NoOp", "ConstantPad")] == [
        "ScalarSummary_",
        "NoOp_",
        "constantPad",
    ]
    assert nodes["fc Linear/kernel"].op == "Const_Parameter"


def test_attributes_keep_their_type_and_none_is_too_large_to_be_shown(shown):
    nodes = by_name(shown("op"))
    attributes = nodes["wide/part_1/ScalarSummary"].attr
    assert (attributes["alpha"].i, attributes["eps"].f) == (1, 0.5)
    assert attributes["note"].s.decode().startswith("ää")
    assert nodes["fc Linear/kernel"].attr["trainable"].b
    assert not any("_too_large" in node.attr for node in nodes.values())


@pytest.mark.parametrize("tag", ["layer", "api", "op"])
def test_times_and_memory_are_those_of_the_nodes_and_add_up_in_groups(shown, tag):
    stats = shown(tag, "run_metadata", config_pb2.RunMetadata).step_stats.dev_stats
    devices = {device.device: {row.node_name: row for row in device.node_stats} for device in stats}
    assert set(devices) == {"/device:GPU:1", "/device:CPU:0"}
    rows = {name: row for device in devices.values() for name, row in device.items()}
    assert set(rows) == set(by_name(shown(tag)))
    (addmm,) = [row for name, row in rows.items() if row.memory]
    assert (addmm.all_end_rel_micros, addmm.memory[0].total_bytes) == (3, 64)
    group = [row for name, row in rows.items() if name.startswith("wide")]
    span = max(row.all_start_micros + row.all_end_rel_micros for row in group) - min(row.all_start_micros for row in group)
    assert span == pytest.approx(sum(node.us for node in traced_graph().nodes[3:]), abs=1)


def test_flops_are_shown_in_place_of_times(shown):
    stats = shown("flops", "run_metadata", config_pb2.RunMetadata).step_stats.dev_stats
    assert {row.node_name: row.all_end_rel_micros for device in stats for row in device.node_stats if row.all_end_rel_micros} == {
        "fc": 48
    }


@pytest.mark.usefixtures("shown")
def test_the_table_of_layers_is_a_text(board, traced):
    rows = board.wait_for(lambda: board.json("data/plugin/text/text", run=traced, tag="graph/summary"), bool)
    assert "<code>fc</code>" in rows[0]["text"]
