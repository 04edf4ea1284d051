"""add_onnx_graph shows what an ONNX file describes, in the Graphs tab of real TensorBoard."""

import numpy as np
import onnx
import pytest
from google.protobuf import text_format
from onnx import TensorProto, helper, numpy_helper
from tensorboard.compat.proto.graph_pb2 import GraphDef

import multiboard as mb


def value(name, shape, dtype=TensorProto.FLOAT):
    return helper.make_tensor_value_info(name, dtype, shape)


def branch(name, op):
    inner = helper.make_node(op, ["/fc1/out:0"], [f"{name}_out"], name=f"/{name}/{op}")
    return helper.make_graph([inner], name, [], [value(f"{name}_out", [None, 4])])


def make_model():
    """A layer, a split, constants, an optional input that is left out, unnamed nodes, and branches of a condition."""
    weight = numpy_helper.from_array(np.ones((4, 3), np.float32), "fc1.weight")
    half = numpy_helper.from_array(np.float16([1.5, 2.5]), "half")
    nodes = [
        helper.make_node("Gemm", ["x", "fc1.weight"], ["/fc1/out:0"], name="/fc1/Gemm", transB=1, alpha=0.5),
        helper.make_node("Clip", ["/fc1/out:0", "", "limit"], ["clipped"]),
        helper.make_node("Clip", ["clipped", "", "limit"], ["clipped again"]),
        helper.make_node("Constant", [], ["limit"], name="limit", value=numpy_helper.from_array(np.float32(6))),
        helper.make_node("Constant", [], ["large"], name="large", value=numpy_helper.from_array(np.zeros((10, 10)))),
        helper.make_node("Split", ["clipped again"], ["left", "right"], name="split", axis=1, num_outputs=2),
        helper.make_node("Fused", ["right", "half"], ["y"], domain="com.example", mode="fast", sizes=[2, 3], scales=[0.5, 1.5],
                         names=["a", "b"]),
        helper.make_node("If", ["flag"], ["z"], name="choice", then_branch=branch("positive", "Relu"),
                         else_branch=branch("negative", "Neg")),
    ]  # fmt: skip
    graph = helper.make_graph(
        nodes,
        "main",
        [value("x", ["batch", 3]), value("fc1.weight", [4, 3]), value("flag", [], TensorProto.BOOL)],
        [value("left", [None, 2]), value("y", None, TensorProto.FLOAT8E4M3FN), value("z", [None, 4])],
        [weight, half],
        value_info=[value("/fc1/out:0", [None, 4]), value("right", [None, 2])],
    )
    return helper.make_model(graph)


@pytest.fixture(scope="module")
def shown(board_dir, tmp_path_factory):
    """The graph in the file of a run that the dashboards read, too."""
    path = tmp_path_factory.mktemp("onnx") / "model.onnx"
    onnx.save(make_model(), path)
    with mb.SummaryWriter(board_dir / "onnx") as writer:
        writer.add_onnx_graph(path)
        writer.add_scalar("x", 1.0, 0)
    return GraphDef.FromString(mb.read(board_dir / "onnx")["."].graphs["Default"].value[0])


@pytest.fixture(scope="module")
def nodes(shown):
    return {node.name: node for node in shown.node}


def test_every_node_has_a_name_of_its_own_and_its_operation(shown, nodes):
    assert len(nodes) == len(shown.node)
    assert {name: node.op for name, node in nodes.items()} == {
        "x": "Input",
        "flag": "Input",
        "fc1.weight": "Const",
        "half": "Const",
        "fc1/Gemm": "Gemm",
        "Clip": "Clip",
        "Clip_1": "Clip",
        "limit": "Constant",
        "large": "Constant",
        "split": "Split",
        "Fused": "com.example.Fused",
        "choice": "If",
        "choice/then_branch/positive/Relu": "Relu",
        "choice/then_branch/positive_out": "Output",
        "choice/else_branch/negative/Neg": "Neg",
        "choice/else_branch/negative_out": "Output",
        "left": "Output",
        "y": "Output",
        "z": "Output",
    }


def test_edges_lead_from_the_node_that_makes_a_tensor(nodes):
    inputs = {name: list(node.input) for name, node in nodes.items() if node.input}
    assert inputs == {
        "fc1/Gemm": ["x", "fc1.weight"],
        "Clip": ["fc1/Gemm", "limit"],
        "Clip_1": ["Clip", "limit"],
        "split": ["Clip_1"],
        "Fused": ["split:1", "half"],
        "choice": ["flag", "choice/else_branch/negative_out", "choice/then_branch/positive_out"],
        "choice/then_branch/positive/Relu": ["fc1/Gemm"],
        "choice/then_branch/positive_out": ["choice/then_branch/positive/Relu"],
        "choice/else_branch/negative/Neg": ["fc1/Gemm"],
        "choice/else_branch/negative_out": ["choice/else_branch/negative/Neg"],
        "left": ["split"],
        "y": ["Fused"],
        "z": ["choice"],
    }


def sizes(node):
    """The shapes of a node's outputs, None for one that is not known."""
    shapes = node.attr["_output_shapes"].list.shape
    return [None if shape.unknown_rank else [dim.size for dim in shape.dim] for shape in shapes]


def test_shapes_and_types_are_those_of_the_file(nodes):
    expected = {
        "x": [[-1, 3]],
        "flag": [[]],
        "fc1.weight": [[4, 3]],
        "half": [[2]],
        "fc1/Gemm": [[-1, 4]],
        "split": [[-1, 2], [-1, 2]],
        "Clip": [None],
        "y": [None],
    }
    assert {name: sizes(nodes[name]) for name in expected} == expected
    types = {name: nodes[name].attr["dtype"].type for name in ("x", "flag", "half")}
    assert types == {"x": 1, "flag": 10, "half": 19}
    assert nodes["y"].attr["dtype"].s == b"float8e4m3fn"


def test_attributes_can_be_read(nodes):
    found = {
        name: {key: text_format.MessageToString(attr, as_one_line=True) for key, attr in node.attr.items() if key[0] != "_"}
        for name, node in nodes.items()
    }
    assert found["fc1/Gemm"] == {"transB": "i: 1", "alpha": "f: 0.5"}
    assert found["limit"] == {"value": 's: "float [] 6.0"'}
    assert found["large"] == {"value": 's: "double [10, 10]"'}
    assert found["Fused"] == {"mode": 's: "fast"', "sizes": 's: "[2, 3]"', "scales": 's: "[0.5, 1.5]"', "names": 's: "[a, b]"'}
    assert found["choice"] == {}


@pytest.mark.usefixtures("shown")
def test_the_graphs_tab_shows_it(board):
    board.wait_for(lambda: board.json("data/plugin/graphs/info"), lambda info: info.get("onnx", {}).get("run_graph"))
    graph, _ = board.bytes("data/plugin/graphs/graph", run="onnx", conceptual="false")
    for name in ("fc1/Gemm", "choice/then_branch/positive/Relu", "com.example.Fused"):
        assert f'"{name}"'.encode() in graph


def test_the_peers_operations_are_all_there(nodes, capsys):
    from torch.utils.tensorboard._onnx_graph import parse

    theirs = parse(make_model().graph)
    capsys.readouterr()  # it prints
    assert {node.op for node in theirs.node} - {"Variable"} <= {node.op.rpartition(".")[2] for node in nodes.values()}


def test_weights_in_further_files_are_not_read(tmp_path):
    model = make_model()
    onnx.save(model, tmp_path / "model.onnx", save_as_external_data=True, location="weights", size_threshold=0)
    (tmp_path / "weights").unlink()
    with mb.SummaryWriter(tmp_path / "run") as writer:
        writer.add_onnx_graph(str(tmp_path / "model.onnx"))
    graph = GraphDef.FromString(mb.read(tmp_path / "run")["."].graphs["Default"].value[0])
    (weight,) = [node for node in graph.node if node.name == "fc1.weight"]
    assert sizes(weight) == [[4, 3]]


@pytest.mark.parametrize("content", [None, b"", b"not a model"])
def test_a_file_that_is_no_model_is_said_and_raises_nothing(tmp_path, content):
    path = tmp_path / "model.onnx"
    if content is not None:
        path.write_bytes(content)
    with mb.SummaryWriter(tmp_path / "run") as writer:
        with pytest.warns(mb.MultiboardWarning, match=r"no graph was written of '.*model\.onnx'"):
            writer.add_onnx_graph(path)
        writer.add_scalar("x", 1.0, 0)
    assert not mb.read(tmp_path / "run")["."].graphs
