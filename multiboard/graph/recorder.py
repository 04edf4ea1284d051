"""Collects the nodes of one graph while it is observed or walked."""

from __future__ import annotations

import itertools
from collections import Counter
from typing import TYPE_CHECKING, Final, Literal

from multiboard.graph.ir import BUFFER, PARAMETER, Frame, Graph, Node, modules

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from multiboard.graph.ir import Attribute, Scope, TensorSpec

_MOST_NOTES: Final = 20


class Weight:
    """A parameter or buffer that a model uses, as it is drawn.

    Args:
        key: what tells it from others, e.g. the id of a storage or the number of an argument.
        role: canonical, e.g. 'kernel'; the label of its node.
        path: canonical layer path and role, e.g. 'conv1/kernel'.
        native: its name in the framework.
        spec: shape and dtype.
        size: number of elements.
        trainable: False for running means and other state, which counts in no total of parameters.
    """

    __slots__ = ("key", "native", "path", "role", "size", "spec", "trainable")

    def __init__(self, key: Hashable, role: str, path: str, native: str, spec: TensorSpec, size: int, *, trainable: bool) -> None:
        self.key, self.role, self.path, self.native = key, role, path, native
        self.spec, self.size, self.trainable = spec, size, trainable


class Recorder:
    """The nodes of a graph that is not finished yet.

    Attributes:
        nodes: as they came.
    """

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self._uids = itertools.count(1)
        self._weights: dict[tuple[Hashable, Scope], int] = {}
        self._seen: set[Hashable] = set()
        self._notes: Counter[str] = Counter()

    def frame(self, kind: Literal["module", "call", "region"], name: str, cls: str = "") -> Frame:
        """Return the frame of a new call."""
        return Frame(kind, name, cls, next(self._uids))

    def add(self, node: Node) -> int:
        """Record a node and return its number."""
        self.nodes.append(node)
        return len(self.nodes) - 1

    def weight(self, weight: Weight, scope: Scope, *, device: str = "") -> int:
        """Return the node of a parameter or buffer in the module that uses it; the first use there records it.

        Only the first node of a weight counts its elements. Every other module that uses it has one of its own that says what it
        is tied to: an edge to the first one would cross the picture.
        """
        place = (weight.key, modules(scope))
        if place not in self._weights:
            attrs: dict[str, Attribute] = {"path": weight.path, "native": weight.native, "trainable": weight.trainable}
            tied = weight.key in self._seen
            if tied:
                attrs["tied_to"] = weight.path
            params = weight.size if weight.trainable and not tied else 0
            op = PARAMETER if weight.trainable else BUFFER
            self._weights[place] = self.add(Node(op, place[1], (), (weight.spec,), weight.role, attrs, device, params=params))
            self._seen.add(weight.key)
        return self._weights[place]

    def note(self, note: str) -> None:
        """Remember a sentence for people; equal ones are counted."""
        self._notes[note] += 1

    def finish(self, framework: str, step: int | None = None) -> Graph:
        """Return the graph of what was recorded."""
        told = [note if count == 1 else f"{note} ({count} times)" for note, count in self._notes.most_common(_MOST_NOTES)]
        if len(self._notes) > _MOST_NOTES:
            told.append(f"{len(self._notes) - _MOST_NOTES} more notes are left out.")
        return Graph(framework, tuple(self.nodes), step, tuple(told))


def elements(shape: Sequence[int | None] | None) -> int:
    """Return the number of elements of a shape, 0 if it is not known."""
    total = 1
    for size in (None,) if shape is None else shape:
        total *= size or 0
    return total
