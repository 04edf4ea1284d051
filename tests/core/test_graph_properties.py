"""Whatever was recorded, a view loses nothing that is counted and leaves no edge without an end."""

import re
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from multiboard.graph import Frame, Graph, Node, TensorSpec, view
from multiboard.graph.names import MOST_CHILDREN, by_group, names
from multiboard.graph.views import VIEWS

FRAMES = [
    Frame(kind, name, cls, uid)
    for kind, name, cls in [
        ("module", "Net", "Net"),
        ("module", "0", "Block"),
        ("module", "blocks", ""),
        ("module", "fc", "Linear"),
        ("module", "rnn", "LSTM"),
        ("call", "add", ""),
        ("call", "a/b c", ""),
        ("region", "scan", ""),
        ("region", "backward", ""),
        ("region", "optimizer", ""),
    ]
    for uid in (1, 2)
]
LABELS = ["", "x", "add", "w1", "w2", "w3", "w4", "w5", "w6", "0", "kernel", "batch/image", "ä b:c^", "/", "fc"]
SOME = settings(max_examples=40, deadline=None)
OPS = ["aten::add", "mul", "Input", "Output", "Const_Parameter", "NoOp", "ImageSummary"]


@st.composite
def graphs(draw, most=40):
    nodes = []
    for number in range(draw(st.integers(1, most))):
        outputs = tuple(TensorSpec((n,), "float32") for n in range(draw(st.integers(1, 3))))
        choices = st.integers(0, number - 1).flatmap(
            lambda source: st.tuples(st.just(source), st.integers(0, len(nodes[source].outputs) - 1))
        )
        inputs = tuple(draw(st.lists(choices, max_size=3))) if number else ()
        scope = tuple(draw(st.lists(st.sampled_from(FRAMES), max_size=4)))
        sums = draw(st.tuples(*[st.integers(0, 9)] * 4))
        nodes.append(
            Node(
                draw(st.sampled_from(OPS)),
                scope,
                inputs,
                outputs,
                draw(st.sampled_from(LABELS)),
                flops=sums[0],
                params=sums[1],
                us=sums[2],
                mem=sums[3],
            )
        )
    return Graph("torch", tuple(nodes))


@SOME
@given(graph=graphs(), name=st.sampled_from(VIEWS))
def test_no_edge_of_a_view_dangles_and_its_sums_are_those_of_the_graph(graph, name):
    folded = view(graph, name).nodes
    for node in folded:
        assert all(0 <= slot < len(folded[source].outputs) for source, slot in node.inputs)
    for field in ("flops", "params", "us", "mem"):
        assert sum(getattr(node, field) for node in folded) == sum(getattr(node, field) for node in graph.nodes)


@SOME
@given(graph=graphs(), name=st.sampled_from(VIEWS))
def test_names_are_unique_and_none_is_the_group_of_another(graph, name):
    called = names(view(graph, name))
    assert len(set(called)) == len(called)
    groups = {one[: match.start()] for one in called for match in re.finditer("/", one)}
    assert not groups & set(called)
    assert all(re.fullmatch(r"[A-Za-z0-9_.\-\[\]()<> ]+", part) for one in called for part in one.split("/"))


@SOME
@given(graph=graphs(most=50))
def test_no_leaves_end_in_numbers_that_would_be_stacked(graph):
    crowds = Counter()
    for one, node in zip(names(graph), graph.nodes, strict=True):
        group, _, leaf = one.rpartition("/")
        if match := re.fullmatch(r"(\D*)\d+", leaf):
            crowds[group, node.op, match[1]] += 1
    assert all(count < 5 for count in crowds.values())


@pytest.mark.parametrize("count", [200, 201, 40_001])
def test_no_group_has_more_children_than_can_be_drawn(count):
    called = names(Graph("torch", tuple(Node("mul", FRAMES[:1], (), ()) for _ in range(count))))
    children = {}
    for one in called:
        parts = one.split("/")
        for depth in range(len(parts)):
            children.setdefault(tuple(parts[:depth]), set()).add(parts[depth])
    assert len(set(called)) == count
    assert max(map(len, children.values())) <= MOST_CHILDREN


@SOME
@given(graph=graphs())
def test_the_nodes_of_a_group_follow_each_other_in_its_order(graph):
    called = names(graph)
    order = by_group(called)
    assert sorted(order) == list(range(len(called)))
    for depth in (1, 2, 3):
        groups = ["/".join(called[number].split("/")[:depth]) for number in order]
        starts = [group for position, group in enumerate(groups) if position == 0 or groups[position - 1] != group]
        assert len(starts) == len(set(starts))
