"""What a small picture of a model shows: the boxes of its layer view, and which are folded so that it stays readable."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from multiboard.graph import text
from multiboard.graph.ir import BUFFER, ENDS, FORWARD, INPUT, OPTIMIZER, OUTPUT, PARAMETER, pass_of
from multiboard.graph.tree import tree
from multiboard.graph.views import view

if TYPE_CHECKING:
    from collections.abc import Iterator

    from multiboard.graph.ir import Graph, Node
    from multiboard.graph.tree import Group

PLENTY: Final = 40
"""Boxes from which on layers that repeat are folded."""
MOST: Final = 150
"""Boxes that are drawn."""
_ENDS: Final = {INPUT: "end", OUTPUT: "end", PARAMETER: "weight", BUFFER: "weight"}


class Box:
    """A layer, or a container of boxes.

    Attributes:
        look: 'layer', 'call', 'end' or 'weight'; 'group', 'region' for containers; 'folded' for what stands for many.
        title: its name.
        kind: canonical op or class.
        shape: of its first output, as text; '' if there is none.
        nodes: numbers of those it stands for, of a container those of its boxes.
        items: boxes in a container, in the order of execution.
    """

    __slots__ = ("items", "kind", "look", "nodes", "shape", "title")

    def __init__(self, look: str, title: str, kind: str, nodes: list[int], shape: str = "") -> None:
        self.look, self.title, self.kind, self.nodes, self.shape = look, title, kind, nodes, shape
        self.items: list[Box] = []

    def leaves(self) -> Iterator[Box]:
        """Yield the boxes that contain none."""
        if not self.items:
            yield self
        for item in self.items:
            yield from item.leaves()

    def depth(self) -> int:
        """Return how many containers lie in each other, this one included."""
        return 1 + max(map(Box.depth, self.items)) if self.items else 0

    def signature(self) -> tuple[object, ...]:
        """Return what equal boxes share: their kind and that of what they contain."""
        return (self.look, self.kind, *(item.signature() for item in self.items))


class Picture:
    """The boxes of the forward pass of a graph.

    Attributes:
        seen: the layer view.
        whole: everything, with no box around it.
    """

    def __init__(self, graph: Graph) -> None:
        self.seen = view(graph, "layer")
        group, _ = tree(self.seen)
        self._shown = _forward(self.seen)
        self.whole = Box("group", "", "", [])
        self._fill(self.whole, group)
        self._fold()

    def edges(self) -> Iterator[tuple[Box, Box]]:
        """Yield producer and user of each edge between two boxes."""
        of = {number: box for box in self.whole.leaves() for number in box.nodes}
        found = {(of[source], of[user]): None for user in of for source, _ in self.seen.nodes[user].inputs if source in of}
        return (edge for edge in found if edge[0] is not edge[1])

    def _fill(self, box: Box, group: Group) -> None:
        for item in group.items:
            if isinstance(item, int):
                if item in self._shown:
                    box.items.append(_leaf(item, self.seen.nodes[item]))
            elif item.frame is not None and item.frame.kind == "call":
                self._fill(box, item)
            else:
                self._contain(box, item)
        box.nodes = [number for item in box.items for number in item.nodes]

    def _contain(self, box: Box, group: Group) -> None:
        frame = group.frame
        look, cls = ("region", "") if frame is None or frame.kind == "region" else ("group", frame.cls)
        below = Box(look, group.name, cls, [])
        self._fill(below, group)
        if len(below.items) == 1 and below.items[0].look == look == "group":
            inner = below.items[0]
            inner.title, inner.kind = f"{below.title}/{inner.title}", below.kind or inner.kind
            below = inner
        if below.items:
            box.items.append(below)

    # ------------------------------------------------------------------ folding

    def _fold(self) -> None:
        if self._many() > PLENTY:
            _fold_repeats(self.whole)
        for depth in range(self.whole.depth() - 1, 1, -1):
            if self._many() <= MOST:
                return
            self._fold_below(self.whole, depth)
        if self._many() > MOST:
            _fold_long(self.whole)

    def _many(self) -> int:
        return sum(1 for _ in self.whole.leaves())

    def _fold_below(self, box: Box, depth: int) -> None:
        for item in box.items:
            if depth > 1:
                self._fold_below(item, depth - 1)
            elif item.items:
                _close(item)


def _forward(seen: Graph) -> set[int]:
    """Return the nodes of the forward pass, and of the ends those that take part in it."""
    nodes = seen.nodes
    shown = {number for number, node in enumerate(nodes) if node.op not in {*ENDS, OPTIMIZER} and pass_of(node.scope) == FORWARD}
    used = {source for number in shown for source, _ in nodes[number].inputs}
    ends = {number for number, node in enumerate(nodes) if node.op in _ENDS}
    results = {number for number in ends if any(source in shown for source, _ in nodes[number].inputs)}
    return shown | results | (ends & used)


def _leaf(number: int, node: Node) -> Box:
    look = _ENDS.get(node.op) or ("layer" if "class" in node.attrs or "path" in node.attrs else "call")
    shape = text.shape(node.outputs[0].shape) if node.outputs else ""
    return Box(look, node.name or node.op, "" if look in {"end", "weight"} else node.op, [number], shape)


def _close(box: Box) -> None:
    box.kind = f"{box.kind} of {sum(1 for _ in box.leaves())}" if box.kind else f"{sum(1 for _ in box.leaves())} layers"
    box.look, box.items = "folded", []


def _fold_repeats(box: Box) -> None:
    """Draw the first of equal containers that follow each other, and one box for the others."""
    items: list[Box] = []
    run: list[Box] = []
    for item in box.items:
        if not (run and item.items and item.signature() == run[0].signature()):
            items += _shortened(run)
            run = []
        run.append(item)
    box.items = items + _shortened(run)
    for item in box.items:
        _fold_repeats(item)


def _shortened(run: list[Box]) -> list[Box]:
    return [run[0], _together(run[1:])] if len(run) > 1 else run


def _together(boxes: list[Box]) -> Box:
    kind = f"{len(boxes)} {text.TIMES} {boxes[0].kind}" if len(boxes) > 1 else boxes[0].kind
    return _stack(boxes, kind.strip())


def _stack(boxes: list[Box], kind: str) -> Box:
    title = boxes[0].title if len(boxes) == 1 else f"{boxes[0].title} \u2026 {boxes[-1].title}"
    return Box("folded", title, kind, [number for box in boxes for number in box.nodes], boxes[-1].shape)


def _fold_long(box: Box) -> None:
    """Cut a long row of boxes into parts."""
    for item in box.items:
        _fold_long(item)
    if len(box.items) > MOST // 2:
        size = -(-len(box.items) // (MOST // 4))
        parts = [box.items[start : start + size] for start in range(0, len(box.items), size)]
        box.items = [part[0] if len(part) == 1 else _stack(part, f"{len(part)} layers") for part in parts]
