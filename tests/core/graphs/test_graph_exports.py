"""Graphs as files of other tools: Model Explorer, Graphviz, SVG."""

import json
import re
import xml.etree.ElementTree as ET

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from multiboard.graph import summarize, to_dot, to_model_explorer_json, to_svg, view
from multiboard.graph.picture import MOST

SVG = "{http://www.w3.org/2000/svg}"
LOOKS = {"weight", "end", "b", "dense", "conv", "norm", "activation", "attention", "embedding", "recurrent", "pool"}
STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
ATTRIBUTES = re.compile(r"[\w ]*[{}]?|(  )+(\w+( -> \w+)? )?\[?(\w+=(\$|[\w.]+)[,;]? ?)+\]?;?|(  )+\w+ -> \w+;")
any_graphs = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def explored(graph, **options):
    """Return the one graph of a file for Model Explorer."""
    (one,) = json.loads(to_model_explorer_json(graph, **options))["graphs"]
    return one


def test_model_explorer_gets_one_collection_with_a_label(by_hand, tmp_path):
    text = to_model_explorer_json(by_hand.mlp(), tmp_path / "net.json")
    assert json.loads((tmp_path / "net.json").read_text()) == json.loads(text)
    assert json.loads(text).keys() == {"label", "graphs"}
    assert explored(by_hand.mlp())["id"] == "Net"
    assert explored(by_hand.mlp(), name="mine")["id"] == "mine"


def test_model_explorer_gets_every_node_with_what_is_known_of_it(by_hand):
    graph = by_hand.mlp()
    nodes = explored(graph)["nodes"]
    assert len(nodes) == len(graph.nodes)
    mm = next(node for node in nodes if node["label"] == "aten::addmm")
    assert mm["namespace"] == "Net/fc1"
    assert {"key": "FLOPs", "value": "1.02 k"} in mm["attrs"]
    assert mm["outputsMetadata"] == [
        {"id": "0", "attrs": [{"key": "shape", "value": "8\u00d716"}, {"key": "dtype", "value": "float32"}]}
    ]
    assert [edge["targetNodeInputId"] for edge in mm["incomingEdges"]] == ["0", "1", "2"]


def test_model_explorer_gets_sums_for_groups_and_the_graph(by_hand):
    graph = by_hand.mlp()
    groups = explored(graph)["groupNodeAttributes"]
    assert groups["Net/blocks/1"] == {"class": "Block", "parameters": "272", "FLOPs": "4.1 k"}
    assert groups["Net/relu"] == {"kind": "call"}
    assert groups[""]["parameters"] == f"{summarize(graph).totals.params}"


@any_graphs
@given(data=st.data())
def test_model_explorer_gets_no_edge_without_an_end_and_only_strings(any_graph, data):
    graph = data.draw(any_graph)
    told = explored(graph)
    outputs = {node["id"]: {entry["id"] for entry in node["outputsMetadata"]} for node in told["nodes"]}
    assert len(outputs) == len(graph.nodes)
    for node in told["nodes"]:
        assert all(edge["sourceNodeOutputId"] in outputs[edge["sourceNodeId"]] for edge in node["incomingEdges"])
        assert all(isinstance(fact["value"], str) for fact in node["attrs"])
    assert all(isinstance(value, str) for facts in told["groupNodeAttributes"].values() for value in facts.values())


def test_the_second_of_one_name_is_a_group_of_its_own(by_hand):
    model = by_hand.Model()
    h = model.input("x", (8, 4))
    with model.frame("Net", "Net"):
        for _ in range(2):
            h = model.dense("a/b", h, 4)
    spaces = [node["namespace"] for node in explored(model.finish(h))["nodes"] if node["label"] == "aten::addmm"]
    assert spaces == ["Net/a_b", "Net/a_b(2)"]


# ---------------------------------------------------------------------- Graphviz


def read_dot(text):
    """Return clusters (label by depth), the depth of each node and the edges of a text in the language of Graphviz."""
    labels, depths, edges, depth = [], {}, [], 0
    for line in text.splitlines():
        strings = [json.loads(one) for one in STRING.findall(line)]
        bare = STRING.sub("", line)
        assert ATTRIBUTES.fullmatch(STRING.sub("$", line)), line
        if edge := re.match(r" *n(\d+) -> n(\d+)", bare):
            edges.append((int(edge[1]), int(edge[2]), strings[0] if strings else ""))
        elif node := re.match(r" *n(\d+) \[", bare):
            assert node[1] not in depths
            depths[node[1]] = depth
        elif bare.strip().startswith("label="):
            labels.append((depth, strings[0]))
        depth += bare.count("{") - bare.count("}")
        assert depth >= 0
    assert depth == 0
    return labels, depths, edges


def test_graphviz_gets_modules_as_clusters_and_shapes_at_edges(by_hand, tmp_path):
    text = to_dot(by_hand.mlp(), tmp_path / "net.dot")
    assert (tmp_path / "net.dot").read_text() == text
    labels, depths, edges = read_dot(text)
    assert labels == [(2, "Net"), (3, "blocks: ModuleList"), (4, "0: Block"), (4, "1: Block")]
    assert len(depths) == len(view(by_hand.mlp(), "layer").nodes)
    assert {label for *_, label in edges} == {"8\u00d74", "8\u00d716", "8\u00d72"}


@any_graphs
@given(data=st.data())
def test_graphviz_gets_every_node_once_and_no_name_breaks_the_text(any_graph, data):
    graph = data.draw(any_graph)
    for name in ("layer", "op"):
        seen = view(graph, name)
        _, depths, edges = read_dot(to_dot(graph, view=name))
        assert list(map(int, sorted(depths, key=int))) == list(range(len(seen.nodes)))
        assert {edge[:2] for edge in edges} == {(source, user) for user, n in enumerate(seen.nodes) for source, _ in n.inputs}


# ---------------------------------------------------------------------- SVG


def read_svg(text):
    """Return titles, texts, and the rectangles of frames and of boxes of a picture."""
    root = ET.fromstring(text)  # noqa: S314  # a text of our own
    titles = [title.text for title in root.iter(f"{SVG}title")]
    words = ["".join(one.itertext()) for one in root.iter(f"{SVG}text")]
    rects = [
        (one.get("class"), *(float(one.get(key)) for key in ("x", "y", "width", "height"))) for one in root.iter(f"{SVG}rect")
    ]
    frames = [rect[1:] for rect in rects if rect[0].split()[0] == "p"]
    return root, titles, words, frames, [rect[1:] for rect in rects if rect[0] in LOOKS]


def test_a_picture_names_layers_and_tells_more_of_them(by_hand, tmp_path):
    text = to_svg(by_hand.mlp(), tmp_path / "net.svg")
    assert (tmp_path / "net.svg").read_text() == text
    root, titles, words, frames, boxes = read_svg(text)
    assert {"x 8\u00d74", "fc1", "Dense \u00b7 8\u00d716", "relu", "blocks ModuleList", "0 Block", "add", "output"} <= set(words)
    assert "fc1 Linear\n8\u00d716 float32\n80 parameters\n1.02 k FLOPs" in titles
    assert (len(frames), len(boxes)) == (4, 10)
    assert root.get("aria-label") == "Net"


def test_a_picture_needs_nothing_else_and_is_the_same_each_time(by_hand):
    text = to_svg(by_hand.mlp())
    assert text == to_svg(by_hand.mlp())
    assert re.findall(r"https?://[^\"]*", text) == ["http://www.w3.org/2000/svg"]
    assert "prefers-color-scheme:dark" in text


@any_graphs
@given(data=st.data())
def test_boxes_of_a_picture_lie_beside_each_other_and_within_their_frames(any_graph, data):
    root, _, _, frames, boxes = read_svg(to_svg(data.draw(any_graph)))
    whole = (0, 0, float(root.get("width")), float(root.get("height")))
    assert all(_holds(whole, rect) for rect in frames + boxes)
    for number, one in enumerate(boxes):
        assert not any(_overlap(one, other) for other in boxes[number + 1 :])
        assert all(_holds(frame, one) or not _overlap(frame, one) for frame in frames)
    for number, one in enumerate(frames):
        for other in frames[number + 1 :]:
            assert _holds(one, other) or _holds(other, one) or not _overlap(one, other)


def _holds(outer, inner, slack=0.2):
    x, y, width, height = outer
    a, b, w, h = inner
    return x - slack <= a and y - slack <= b and a + w <= x + width + slack and b + h <= y + height + slack


def _overlap(one, other):
    (x, y, width, height), (a, b, w, h) = one, other
    return x < a + w and a < x + width and y < b + h and b < y + height


def test_a_picture_shows_the_forward_pass_only(by_hand):
    model = by_hand.Model()
    with model.frame("Net", "Net"):
        y = model.dense("fc", model.input("x", (8, 4)), 4)
    with model.frame("backward", kind="region"), model.frame("Net", "Net"):
        gradient = model.op("aten::mm_backward", [y])
    with model.frame("optimizer", kind="region"):
        updated = model.op("aten::add", [gradient, model.weight("mu", (4,), trainable=False)])
    model.output("params", updated)
    _, _, words, _, boxes = read_svg(to_svg(model.finish(y)))
    assert len(boxes) == 3
    assert "params" not in words


def test_blocks_that_repeat_are_drawn_once(by_hand):
    _, titles, words, _, boxes = read_svg(to_svg(by_hand.deep(100)))
    assert "block1 \u2026 block99" in words
    assert "99 \u00d7 Block" in words
    assert "1,980 parameters" in "\n".join(titles)
    assert len(boxes) == 2 + 2 + 2


@pytest.mark.parametrize("shared", [True, False])
def test_a_picture_of_a_large_model_stays_small(by_hand, shared):
    model = by_hand.Model()
    h = x = model.input("x", (8, 4))
    with model.frame("Net", "Net"):
        for number in range(700):
            h = model.dense(f"fc{number}", x if shared else h, 4, cls=f"Linear{number % 7}")
    *_, boxes = read_svg(to_svg(model.finish(h)))
    assert 20 < len(boxes) <= 2 * MOST


def test_deep_containers_are_folded_first(by_hand):
    model = by_hand.Model()
    h = model.input("x", (8, 4))
    with model.frame("Net", "Net"):
        for outer in range(20):
            with model.frame(f"stage{outer}", f"Stage{outer}"):
                for inner in range(10):
                    with model.frame(f"unit{inner}", f"Unit{inner}"):
                        h = model.call("relu", "aten::relu", [model.dense("fc", h, 4)])
    _, _, words, frames, boxes = read_svg(to_svg(model.finish(h)))
    assert "stage19" in words or "stage19 Stage19" in words
    assert "fc" not in words
    assert len(boxes) <= 2 * MOST
    assert frames


def test_a_loop_is_drawn_upwards(by_hand):
    model = by_hand.Model()
    with model.frame("Net", "Net"):
        first = model.op("aten::add", [model.dense("fc", model.input("x", (8, 4)), 4)])
        second = model.op("aten::mul", [first])
    nodes = model.recorder.nodes
    nodes[first[0]] = nodes[first[0]]._replace(inputs=(*nodes[first[0]].inputs, second))
    text = to_svg(model.finish(second))
    lines = [path.get("d") for path in read_svg(text)[0].iter(f"{SVG}path") if path.get("class") == "e"]
    ends = [(float(re.search(r"M\S+ ([\d.]+)", line)[1]), float(line.split(" ")[-1])) for line in lines]
    assert [start > end for start, end in ends].count(True) == 1


def test_an_empty_graph_makes_empty_files(by_hand):
    graph = by_hand.Model().finish()
    assert explored(graph)["nodes"] == []
    assert read_dot(to_dot(graph)) == ([], {}, [])
    assert read_svg(to_svg(graph))[4] == []
