"""The layers of two models in one list."""

import pytest

import multiboard as mb
from multiboard.graph import Frame, Graph, Node, TensorSpec
from multiboard.page.parts import Board


def chain(layers, framework="torch"):
    """Return a graph of layers one after the other: width and class by path."""
    nodes = [Node("Input", (), (), (TensorSpec((8, 4), "float32"),), "x")]
    model = Frame("module", "Model", "Model", 1)
    for number, (path, (width, cls)) in enumerate(layers.items()):
        scope = (model, Frame("module", path, cls, number + 2))
        weight = TensorSpec((4, width), "float32")
        held = {"path": f"{path}/kernel", "native": f"{path}.weight", "trainable": True}
        nodes.append(Node("Parameter", scope, (), (weight,), "kernel", held, params=4 * width))
        before = len(nodes) - 2 if number else 0
        nodes.append(Node("aten::mm", scope, ((before, 0), (len(nodes) - 1, 0)), (TensorSpec((8, width), "float32"),)))
    return Graph(framework, tuple(nodes))


@pytest.fixture
def shown(tmp_path):
    """A function that returns the part of two graphs."""

    def show(first, second):
        for name, graph in (("a", first), ("b", second)):
            with mb.Run(tmp_path / name) as run:
                run.log({"x": 1.0}, 0)
                if graph is not None:
                    run.graph(graph)
        return Board(dict(mb.read(tmp_path))).part("graph", {"run": "b"})

    return show


def paths(part):
    return [(row["status"], (row["a"] or {}).get("path"), (row["b"] or {}).get("path")) for row in part["rows"]]


def test_equal_models_have_the_same_layers(shown):
    layers = {"stem": (4, "Linear"), "head": (4, "Linear")}
    part = shown(chain(layers), chain(layers))
    assert paths(part) == [("same", "Model", "Model"), ("same", "stem", "stem"), ("same", "head", "head")]
    assert part["summary"] == "3 layers, no differences."
    assert (part["a"], part["b"]) == ("a", "b")
    stem = part["rows"][1]["a"]
    assert (stem["cls"], stem["params"], stem["shape"], part["rows"][1]["depth"]) == (
        "Linear",
        16,
        "8\N{MULTIPLICATION SIGN}4",
        1,
    )


def test_a_layer_that_differs_says_in_what_and_one_without_partner_stands_where_it_is_called(shown):
    first = chain({"stem": (4, "Linear"), "gone": (4, "Dropout"), "head": (4, "Linear")})
    second = chain({"stem": (6, "Linear"), "head": (4, "Linear"), "extra": (4, "Embedding")})
    part = shown(first, second)
    assert paths(part)[1:] == [
        ("changed", "stem", "stem"),
        ("only_a", "gone", None),
        ("same", "head", "head"),
        ("only_b", None, "extra"),
    ]
    told = {(row["a"] or row["b"])["path"]: row["what"] for row in part["rows"]}
    assert "parameters: 16 | 24" in told["stem"]
    assert told["gone"] == ["Dropout 8\N{MULTIPLICATION SIGN}4, 16 parameters"]
    assert part["summary"] == "5 layers: 1 differ, 1 only in the baseline, 1 only in the other run."


def test_a_run_without_a_graph_is_named(shown):
    assert shown(chain({"stem": (4, "Linear")}), None) == {"missing": "No graph was logged by b."}
