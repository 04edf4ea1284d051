"""The Graphs tab draws traced graphs as they are meant."""

import time

import pytest

import multiboard as mb
from multiboard.graph import Frame, Graph, Node, TensorSpec

pytestmark = pytest.mark.browser

SPEC = TensorSpec((8, 4), "float32")
FIND = """const find = (selector, root = document) => [...root.querySelectorAll('*')].flatMap(element => [
    ...(element.matches(selector) ? [element] : []), ...(element.shadowRoot ? find(selector, element.shadowRoot) : [])
]);"""
NODES = f"{FIND} const names = find('g.node').map(node => node.dataset.name).filter(name => !name.includes('~~'));"
"""Names of nodes; '~~' is in those of the ends of edges at a border."""
DRAWN = f"expected => {{ {NODES} return expected.every(name => names.includes(name)) && names.sort(); }}"
EXPAND = f"""name => {{ {FIND} find('g.node').find(node => node.dataset.name === name).querySelector('.nodecolortarget')
    .dispatchEvent(new MouseEvent('dblclick', {{bubbles: true, composed: true, view: window}})) }}"""
SELECTED = f"""([run, last]) => {{ {NODES}
    for (const controls of find('tf-graph-controls').filter(controls => controls.datasets))
        controls._selectedRunIndex = Math.max(0, controls.datasets.findIndex(dataset => dataset.name === run));
    return names.includes('into_' + run) || last !== 'output' && names.includes(last); }}"""


def chain(model, paths):
    """Return a graph of layers of one class in a row, given by path; containers have no class."""
    frames = {}
    nodes = [Node("Input", (), (), (SPEC,), f"into_{model}")]
    for path in paths:
        parts = (model, *path.split("/"))
        for depth in range(len(parts)):
            cls = "Layer" if depth == len(parts) - 1 else model if not depth else ""
            frames.setdefault(parts[: depth + 1], Frame("module", parts[depth], cls, len(frames) + 1))
        scope = tuple(frames[parts[: depth + 1]] for depth in range(len(parts)))
        nodes.append(Node("mul", scope, ((len(nodes) - 1, 0),), (SPEC,)))
    nodes.append(Node("Output", (), ((len(nodes) - 1, 0),), (SPEC,), "output"))
    return Graph("torch", tuple(nodes))


def drawn(page, expected):
    """Wait until nodes are drawn; return the names of all that are drawn then, in the order of the alphabet."""
    return page.wait_for_function(DRAWN, arg=expected).json_value()


@pytest.fixture
def opened(page, own_board_dir, own_boards):
    """A function that shows layers of a model in the Graphs tab; returns what is drawn first."""
    board = own_boards["fast"].ready()

    def show(name, paths, last="output"):
        graph = chain(name, paths)
        with mb.Run(own_board_dir / name) as run:
            run.graph(graph)
        board.wait_for(lambda: board.json("data/plugin/graphs/info"), lambda info: info.get(name, {}).get("run_graph"))
        started = time.monotonic()
        page.goto(f"{board.address}#graphs")
        page.wait_for_function(SELECTED, arg=[name, last])
        names = drawn(page, [last])
        print(f"{name}: {len(graph.nodes)} nodes, drawn {time.monotonic() - started:.2f} s after the page was asked for")  # noqa: T201
        return names

    return show


def test_twenty_thousand_layers_open_on_the_stages_and_unfold(page, opened):
    paths = [f"stage{stage}/block{block}/layer{layer}" for stage in range(10) for block in range(20) for layer in range(100)]
    stages = [f"stage{stage}" for stage in range(10)]
    assert opened("Large", paths) == ["into_Large", "output", *stages]
    page.evaluate(EXPAND, "stage3")
    blocks = [f"stage3/block{block}" for block in range(20)]
    assert drawn(page, blocks) == sorted(["into_Large", "output", *stages, *blocks])


def test_layers_with_numbers_are_drawn_one_by_one(opened):
    shown = opened("Numbered", [f"Dense_{number}" for number in range(7)] + [str(number) for number in range(7)])
    leaves = [f"{number} Layer" for number in range(7)] + [f"Dense_{number} Layer" for number in range(7)]
    assert shown == sorted(["into_Numbered", "output", *leaves])


def test_a_thousand_siblings_are_drawn_in_parts(opened):
    shown = opened("Wide", [f"layer_{number}_of_many" for number in range(1000)], last="part_6")
    assert [name for name in shown if name.startswith("part_")] == [f"part_{number}" for number in range(1, 7)]
