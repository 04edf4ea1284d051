"""The three views of a graph: what is folded into one node, and what that node says.

`view` decides where the walk from the model to an operation stops, `collapse` folds what lies below. Both are linear in the nodes
and change nothing that is counted: the sums of FLOPs, parameters, time and memory are those of the graph they were made of.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, NamedTuple, TypeAlias

from multiboard.graph.canonical import COMPOSITES, canonical, canonical_class
from multiboard.graph.collapse import collapse
from multiboard.graph.ir import BACKWARD, ENDS, FORWARD, OPTIMIZER, layer_path, pass_of

if TYPE_CHECKING:
    from multiboard.graph.ir import Frame, Graph, Node, Scope

View: TypeAlias = Literal["layer", "api", "op"]
VIEWS: Final[tuple[View, ...]] = ("layer", "api", "op")


def view(graph: Graph, name: View) -> Graph:
    """Return a graph as layers, as calls of functions, or as it is.

    Args:
        graph: as it was recorded; a view of a view is none.
        name: 'layer' folds everything below a layer, a call of a function, a loop without layers and the optimizer, and names
            operations alike in all frameworks; 'api' folds what is below a call of a function; 'op' folds nothing.

    Raises:
        ValueError: there is no such view.
    """
    known: tuple[str, ...] = VIEWS
    if name not in known:
        raise ValueError(f"there is no view {name!r} of a graph; there are {', '.join(VIEWS)}.")
    if name == "op":
        return graph
    structure = _Structure(graph)
    if name == "api":
        return collapse(graph, structure.call, _own_name, _own_op)
    return collapse(graph, structure.layer, canonical_class, canonical)


def connected(graph: Graph) -> Graph:
    """Return a graph without the inputs that nobody computes, e.g. of a graph that was recorded in part."""
    made = [len(node.outputs) for node in graph.nodes]
    nodes = []
    lost = 0
    for node in graph.nodes:
        inputs = tuple(edge for edge in node.inputs if 0 <= edge[0] < len(made) and 0 <= edge[1] < made[edge[0]])
        lost += len(node.inputs) - len(inputs)
        nodes.append(node if len(inputs) == len(node.inputs) else node._replace(inputs=inputs))
    return graph if not lost else graph._replace(nodes=tuple(nodes), notes=(*graph.notes, f"{lost} inputs are not known."))


class LayerRow(NamedTuple):
    """One layer, or one call outside of layers, of a forward pass.

    Attributes:
        op: canonical, the same in all frameworks.
        path: canonical layer path; that of the surrounding layer and the label for a call.
        shape: of the first output; None if it is not known.
        params: trainable elements.
    """

    op: str
    path: str
    shape: tuple[int | None, ...] | None
    params: int


def layers(graph: Graph) -> list[LayerRow]:
    """Return what the forward pass of a graph did, layer by layer, in order: what models are compared by.

    Args:
        graph: as it was recorded.
    """
    nodes = [node for node in view(graph, "layer").nodes if node.op not in {*ENDS, OPTIMIZER}]
    return [_row(node) for node in nodes if pass_of(node.scope) == FORWARD]


def _row(node: Node) -> LayerRow:
    label = node.name or node.op
    path = node.attrs.get("path") or "/".join(part for part in (layer_path(node.scope), label) if part)
    return LayerRow(node.op, str(path), node.outputs[0].shape if node.outputs else None, node.params)


def _own_name(frame: Frame, _: list[Node]) -> str:
    return frame.name


def _own_op(op: str) -> str:
    return op


class _Structure:
    """Where modules are called inside of what."""

    def __init__(self, graph: Graph) -> None:
        self._holding: set[Frame] = set()
        self._containers: set[tuple[tuple[str, str], ...]] = set()
        for scope in {id(node.scope): node.scope for node in graph.nodes}.values():
            self._learn(scope)

    def _learn(self, scope: Scope) -> None:
        path: tuple[tuple[str, str], ...] = ()
        last = max((depth for depth, frame in enumerate(scope) if frame.kind == "module"), default=0)
        for frame in scope[:last]:
            self._holding.add(frame)
            if frame.kind == "module":
                path = (*path, (frame.name, frame.cls))
                self._containers.add(path)

    def call(self, scope: Scope) -> int | None:
        """Return the depth of the outermost call of a function without modules below it."""
        for depth, frame in enumerate(scope):
            if frame.kind == "call" and frame not in self._holding:
                return depth
        return None

    def layer(self, scope: Scope) -> int | None:
        """Return the depth of the outermost frame that is one node of the layer view."""
        path: tuple[tuple[str, str], ...] = ()
        for depth, frame in enumerate(scope):
            if frame.kind == "module":
                # A module is a container by its path, not by its call: its backward pass need not reach its children. The classes
                # tell apart the layers of two models that are called alike, as two Sequential ones are.
                path = (*path, (frame.name, frame.cls))
                if path not in self._containers or (len(path) > 1 and frame.cls in COMPOSITES):
                    return depth
            elif frame.kind == "region" and frame.name == BACKWARD:
                continue
            elif frame not in self._holding or (frame.kind == "region" and frame.name == OPTIMIZER):
                return depth
        return None
