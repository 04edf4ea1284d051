"""Folding of the nodes below a frame into one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from multiboard.graph.ir import ENDS, OUTPUT, Graph, Node, layer_path, pass_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from multiboard.graph.ir import Attribute, Frame, Scope, TensorSpec

_NUMBERS: Final = slice(Node._fields.index("flops"), Node._fields.index("mem") + 1)
"""What is summed up."""


def collapse(
    graph: Graph, cut: Callable[[Scope], int | None], folded: Callable[[Frame, list[Node]], str], alone: Callable[[str], str]
) -> Graph:
    """Return a graph in which all nodes below one frame are one node.

    Args:
        graph: any graph.
        cut: depth of the frame of a scope that becomes one node; None for a node that stays.
        folded: op of the node of a frame and its members.
        alone: op of a node that stays, by its op; `ENDS` keep theirs.
    """
    groups = _Groups(graph, cut)
    return graph._replace(nodes=tuple(groups.node(number, folded, alone) for number in range(len(groups.members))))


class _Groups:
    """Which nodes fall together, and where the edges between them go."""

    def __init__(self, graph: Graph, cut: Callable[[Scope], int | None]) -> None:
        self.nodes = graph.nodes
        self.members: list[list[int]] = []
        self._keys: list[Scope | None] = []
        self._of: list[int] = []
        self._scopes: dict[Scope, Scope] = {}
        self._place(cut)
        self._slots = [self._number(used) for used in self._used()]

    def _place(self, cut: Callable[[Scope], int | None]) -> None:
        known: dict[int, int | None] = {}
        numbers: dict[Scope, int] = {}
        for position, node in enumerate(self.nodes):
            if id(node.scope) not in known:
                depth = cut(node.scope)
                known[id(node.scope)] = None if depth is None else self._folded(node.scope[: depth + 1], numbers)
            number = known[id(node.scope)]
            number = self._new(None) if number is None else number
            self.members[number].append(position)
            self._of.append(number)

    def _folded(self, key: Scope, numbers: dict[Scope, int]) -> int:
        if key not in numbers:
            numbers[key] = self._new(key)
        return numbers[key]

    def _new(self, key: Scope | None) -> int:
        self.members.append([])
        self._keys.append(key)
        return len(self.members) - 1

    def _used(self) -> list[dict[tuple[int, int], bool]]:
        """Return what others use of each group, and whether only a later pass, e.g. the backward one, does."""
        used: list[dict[tuple[int, int], bool]] = [{} for _ in self.members]
        for position, node in enumerate(self.nodes):
            for edge in node.inputs:
                source = self._of[edge[0]]
                if source != self._of[position] and used[source].get(edge, True):
                    used[source][edge] = node.op == OUTPUT or pass_of(self.nodes[edge[0]].scope) != pass_of(node.scope)
        return used

    def _number(self, used: dict[tuple[int, int], bool]) -> dict[tuple[int, int], int]:
        # What the same pass uses comes first: the first output is the one whose shape people mean.
        return {edge: slot for slot, edge in enumerate(sorted(used, key=lambda edge: (used[edge], edge)))}

    def node(self, number: int, folded: Callable[[Frame, list[Node]], str], alone: Callable[[str], str]) -> Node:
        """Return the node of a group."""
        key = self._keys[number]
        inputs = self._inputs(number)
        if key is None:
            node = self.nodes[self.members[number][0]]
            return Node(node.op if node.op in ENDS else alone(node.op), node.scope, inputs, *node[3:])
        members = [self.nodes[position] for position in self.members[number]]
        op = folded(key[-1], members)
        return Node(
            op,
            self._scopes.setdefault(key[:-1], key[:-1]),
            inputs,
            self._outputs(number, members),
            op if key[-1].kind == "call" else key[-1].name,
            _attributes(key, members),
            next((member.device for member in members if member.device), ""),
            *map(sum, zip(*[member[_NUMBERS] for member in members], strict=True)),
        )

    def _inputs(self, number: int) -> tuple[tuple[int, int], ...]:
        if self._keys[number] is None:
            return tuple([self._edge(edge) for edge in self.nodes[self.members[number][0]].inputs])
        edges = [edge for position in self.members[number] for edge in self.nodes[position].inputs]
        return tuple(dict.fromkeys([self._edge(edge) for edge in edges if self._of[edge[0]] != number]))

    def _edge(self, edge: tuple[int, int]) -> tuple[int, int]:
        source = self._of[edge[0]]
        return source, edge[1] if self._keys[source] is None else self._slots[source][edge]

    def _outputs(self, number: int, members: list[Node]) -> tuple[TensorSpec, ...]:
        if self._slots[number]:
            return tuple([self.nodes[position].outputs[slot] for position, slot in self._slots[number]])
        made = [member.outputs for member in members if member.outputs and member.op not in ENDS]
        return made[-1] if made else members[-1].outputs


def _attributes(key: Scope, members: list[Node]) -> dict[str, Attribute]:
    frame = key[-1]
    attrs: dict[str, Attribute] = {}
    if frame.kind == "module":
        attrs["path"] = layer_path(key)
        attrs["class"] = frame.cls
    elif frame.kind == "call":
        attrs["function"] = frame.name
    counts: dict[str, int] = {}
    for member in members:
        if member.op not in ENDS:
            counts[member.op] = counts.get(member.op, 0) + 1
        for name in member.attrs:
            if name.startswith("cfg."):
                attrs.setdefault(name, member.attrs[name])
    attrs["ops"] = ", ".join([op if count == 1 else f"{op} x{count}" for op, count in counts.items()])
    return {name: value for name, value in attrs.items() if value != ""}
