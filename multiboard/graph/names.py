"""Unique names of the nodes of a graph, as TensorBoard groups them: frames joined by '/'.

The rules follow what TensorBoard makes of names (tf_graph_common of its graph plugin): a name that is also the group of others
moves, leaves that end in consecutive numbers are stacked, and a group shows nothing but its name.
"""

from __future__ import annotations

import re
from collections import Counter
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

from multiboard.graph.canonical import LISTS
from multiboard.graph.ir import BACKWARD, ENDS, INPUT, OUTPUT, modules

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence

    from multiboard.graph.ir import Frame, Graph

MOST_CHILDREN: Final = 200
"""Siblings beyond which TensorBoard takes seconds to draw them."""
_SERIES: Final = 5
"""Leaves with numbers from which on TensorBoard stacks them."""
_REFUSED: Final = re.compile(r"[^A-Za-z0-9_.\-\[\]()<>]")
_NUMBERED: Final = re.compile(r"(\D*)\d+")
_PLAIN: Final = LISTS | {"Sequential"}
"""Classes that say nothing."""


def names(graph: Graph) -> list[str]:
    """Return a name for each node: unique, and no beginning of another one up to a '/'."""
    root = _Group("")
    models = _models(graph)
    places: dict[int, _Group] = {}
    for number, node in enumerate(graph.nodes):
        place = places.get(id(node.scope))
        if place is None:
            place = places[id(node.scope)] = root.at([frame for frame in node.scope if frame not in models])
        leaf = _leaf(node.name, node.op)
        for part in leaf.parents:
            place = place.below(part, part)
        place.leaves.append(leaf)
        place.order.append(number)
    return _spread(root, len(graph.nodes))


def _models(graph: Graph) -> set[Frame]:
    """Return the frames of the model itself if a graph is one call of one model.

    They are no group in the picture: it opens on the layers, which are called as in tags, whatever the class of the model.
    """
    scopes = {id(node.scope): node.scope for node in graph.nodes}.values()
    outermost = [(scope[0], next(frame for frame in scope if frame.kind == "module")) for scope in scopes if modules(scope)]
    calls = {frame for first, frame in outermost if first.name != BACKWARD or first.kind != "region"}
    models = {frame for _, frame in outermost}
    return models if len(calls) == 1 and len({frame.name for frame in models}) == 1 else set()


def by_group(called: Sequence[str]) -> list[int]:
    """Return the numbers of names so that those of each group follow each other."""
    return sorted(range(len(called)), key=lambda number: called[number].split("/"))


class _Group:
    """A frame and what stands in it, in order of appearance.

    Attributes:
        order: groups, and the numbers of nodes.
        leaves: what each of the nodes is called.
    """

    __slots__ = ("_index", "label", "leaves", "order")

    def __init__(self, label: str) -> None:
        self.label = label
        self.order: list[_Group | int] = []
        self.leaves: list[_Leaf] = []
        self._index: dict[Hashable, _Group] = {}

    def below(self, key: Hashable, label: str) -> _Group:
        """Return the group of a part of a label."""
        return self._index.get(key) or self._new(key, label)

    def at(self, scope: Iterable[Frame]) -> _Group:
        """Return the group of a scope."""
        group = self
        for frame in scope:
            # A list of layers is never called itself: all calls of its layers stand in one group.
            listed = frame.kind == "module" and frame.cls in LISTS
            key = (frame.name, 0 if listed else frame.uid)
            group = group._index.get(key) or group._new(key, _frame_label(frame))
        return group

    def _new(self, key: Hashable, label: str) -> _Group:
        group = self._index[key] = _Group(label)
        self.order.append(group)
        return group

    def named(self) -> list[tuple[str, _Group | int]]:
        """Return the children by unique label; groups choose before leaves."""
        unique = _Unique()
        groups = {child: unique(child.label) for child in self.order if isinstance(child, _Group)}
        crowds = Counter([(leaf.op, leaf.series) for leaf in self.leaves if leaf.series is not None])
        leaves = iter(self.leaves)
        return [
            (groups[child] if isinstance(child, _Group) else unique(next(leaves).told(crowds)), child) for child in self.order
        ]


class _Leaf(NamedTuple):
    """What a node is called.

    Attributes:
        parents: groups of its own: those of a tree of inputs or outputs.
        series: what stands before the number at the end; None if there is none.
    """

    parents: tuple[str, ...]
    label: str
    op: str
    series: str | None

    def told(self, crowds: Mapping[tuple[str, str], int]) -> str:
        """Return the label, with the op if it would be stacked, or is no word."""
        crowded = self.series == "" or (self.series and crowds[self.op, self.series] >= _SERIES)
        return f"{self.label} {_kind(self.op)}" if crowded else self.label


class _Unique:
    """Labels that were given, and how often each was asked for."""

    def __init__(self) -> None:
        self._asked: dict[str, int] = {}

    def __call__(self, label: str) -> str:
        free = label
        while free in self._asked:
            self._asked[label] += 1
            free = f"{label}({self._asked[label]})"
        self._asked[free] = 1
        return free


def _spread(root: _Group, count: int) -> list[str]:
    """Return the names of all nodes; children beyond `MOST_CHILDREN` are put into parts."""
    found = [""] * count
    waiting: list[tuple[str, list[tuple[str, _Group | int]]]] = [("", root.named())]
    while waiting:
        prefix, children = waiting.pop()
        if len(children) > MOST_CHILDREN:
            waiting += [(f"{prefix}part_{k}/", part) for k, part in enumerate(_parts(children), 1)]
            continue
        for label, child in children:
            if isinstance(child, _Group):
                waiting.append((f"{prefix}{label}/", child.named()))
            else:
                found[child] = prefix + label
    return found


def _parts(children: list[tuple[str, _Group | int]]) -> Iterator[list[tuple[str, _Group | int]]]:
    size = MOST_CHILDREN
    while len(children) > size * MOST_CHILDREN:
        size *= MOST_CHILDREN
    count = -(-len(children) // size)
    for k in range(count):
        yield children[k * len(children) // count : (k + 1) * len(children) // count]


@lru_cache(maxsize=4096)
def _leaf(name: str, op: str) -> _Leaf:
    label = name or op.rpartition("::")[2]
    parts = [part for part in label.split("/") if part] if op in {INPUT, OUTPUT} else [label]
    *parents, own = [_clean(part) for part in parts] or ["node"]
    match = _NUMBERED.fullmatch(own)
    return _Leaf(tuple(parents), own, op, match[1] if match else None)


def _frame_label(frame: Frame) -> str:
    """Return the label of a group: with the class if the name does not tell it, as groups show nothing else."""
    name = _clean(frame.name)
    if frame.kind != "module" or frame.cls in _PLAIN:
        return name
    told = "".join(filter(str.isalpha, name)).lower()
    return name if told and told in frame.cls.lower() else f"{name} {_clean(frame.cls)}"


def _kind(op: str) -> str:
    word = op.rpartition("_")[2].lower() if op in ENDS else op.rpartition("::")[2]
    return _clean(word)


def _clean(part: str) -> str:
    return _REFUSED.sub("_", part) or "_"
