"""Which layer ran when each operation was added to a graph of TensorFlow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import tensorflow as tf

if TYPE_CHECKING:
    from multiboard.graph.ir import Frame, Scope


class Timeline:
    """The scopes of operations, by the number of operations that a graph had when a layer began and ended."""

    def __init__(self) -> None:
        self._scope: Scope = ()
        self._marks: dict[int, tuple[Any, list[tuple[int, Scope]]]] = {}

    def push(self, frame: Frame) -> None:
        """Enter a frame."""
        self._move((*self._scope, frame))

    def pop(self) -> None:
        """Leave the innermost frame."""
        self._move(self._scope[:-1])

    def _move(self, scope: Scope) -> None:
        """Remember that the operations of the current graph belong to another scope from here on."""
        self._mark()
        self._scope = scope
        self._mark()

    def _mark(self) -> None:
        graph = tf.compat.v1.get_default_graph()
        _, marks = self._marks.setdefault(id(graph), (graph, []))
        count = len(graph.get_operations())
        if marks and marks[-1][0] == count:
            marks.pop()
        marks.append((count, self._scope))

    def scopes(self, graph: Any, around: Scope) -> list[Scope]:
        """Return the scope of each operation of a graph.

        Args:
            graph: of a function.
            around: the scope of what calls it, for operations from before the first mark.
        """
        _, marks = self._marks.get(id(graph), (graph, []))
        count = len(graph.get_operations())
        if not marks:
            return [around] * count
        found = [around] * marks[0][0]
        for (begin, scope), (end, _) in zip(marks, [*marks[1:], (count, ())], strict=True):
            found += [scope] * (end - begin)
        return found
