"""The frames of a graph as a tree, for files that nest boxes."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from multiboard.graph.ir import Frame, Graph, Scope


class Group:
    """One call of a frame, with what was called in it.

    Attributes:
        frame: None for the graph as a whole.
        name: of the frame; the second of one name beside it is 'name(2)'.
        path: names from the outermost to this one, joined by '/'; '' for the graph as a whole.
        above: None for the graph as a whole.
        items: groups and numbers of nodes, in order.
    """

    __slots__ = ("_groups", "_names", "above", "frame", "items", "name", "path")

    def __init__(self, frame: Frame | None, name: str, above: Group | None) -> None:
        self.frame, self.name, self.above = frame, name, above
        self.path: str = f"{above.path}/{name}" if above and above.path else name
        self.items: list[Group | int] = []
        self._groups: dict[Frame, Group] = {}
        self._names: set[str] = set()

    def below(self, frame: Frame) -> Group:
        """Return the group of a frame in this one; the first time makes it."""
        if frame not in self._groups:
            group = Group(frame, self._free_name(frame.name.replace("/", "_") or frame.kind), self)
            self._groups[frame] = group
            self.items.append(group)
        return self._groups[frame]

    def _free_name(self, name: str) -> str:
        found, number = name, 1
        while found in self._names:
            number += 1
            found = f"{name}({number})"
        self._names.add(found)
        return found


def tree(graph: Graph) -> tuple[Group, list[Group]]:
    """Return the graph as a whole, and the innermost group of each node."""
    whole = Group(None, "", None)
    known: dict[Scope, Group] = {}
    of: list[Group] = []
    for number, node in enumerate(graph.nodes):
        if node.scope not in known:
            group = whole
            for frame in node.scope:
                group = group.below(frame)
            known[node.scope] = group
        known[node.scope].items.append(number)
        of.append(known[node.scope])
    return whole, of
