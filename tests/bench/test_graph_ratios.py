"""Views, names and messages of a graph cost the same for each node, however many there are."""

import time

from multiboard.graph import Frame, Graph, Node, TensorSpec, view
from multiboard.graph.graph_events import Picture
from multiboard.graph.views import VIEWS

SPEC = TensorSpec((8, 128, 768), "float32")


def model(blocks):
    """Return a graph of blocks of 100 layers with two operations each."""
    nodes = []
    net = Frame("module", "Net", "Net", 0)
    for block in range(blocks):
        around = (net, Frame("module", f"block{block}", "Block", block + 1))
        for layer in range(100):
            scope = (*around, Frame("module", f"layer{layer}", "Linear", blocks + block * 100 + layer + 1))
            nodes.append(Node("Const_Parameter", scope, (), (SPEC,), "kernel", {"trainable": True}, params=9))
            nodes.append(Node("aten::mm", scope, ((max(len(nodes) - 2, 0), 0), (len(nodes) - 1, 0)), (SPEC,), flops=8, us=2.0))
    return Graph("torch", tuple(nodes))


def seconds(graph):
    """Return the fastest of three times that all pictures of a graph take."""
    taken = []
    for _ in range(3):
        start = time.thread_time()
        for name in VIEWS:
            picture = Picture(view(graph, name))
            picture.run_metadata(picture.times())
        taken.append(time.thread_time() - start)
    return min(taken)


def test_ten_times_the_nodes_take_little_more_than_ten_times_the_time():
    assert seconds(model(100)) < 18 * seconds(model(10))
