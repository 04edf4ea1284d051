"""Counts what the layers of a graph hold and cost."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

from multiboard.graph.canonical import canonical_class
from multiboard.graph.ir import BACKWARD, BUFFER, ENDS, FORWARD, OPTIMIZER, PARAMETER, layer_path, modules, pass_of
from multiboard.graph.recorder import elements
from multiboard.graph.summary import SummaryRow, Totals, WeightRow

if TYPE_CHECKING:
    from collections.abc import Iterator

    from multiboard.graph.ir import Frame, Graph, Node, Scope, TensorSpec


def dtype_bytes(dtype: str) -> int:
    """Return the bytes of an element, 0 if they are not known.

    >>> [dtype_bytes(dtype) for dtype in ("float32", "bool", "float8_e4m3fn", "int4", "")]
    [4, 1, 1, 1, 0]
    """
    bits = re.search(r"\d+", dtype)
    return -(-int(bits[0]) // 8) if bits else int(dtype == "bool")


class _Sums:
    """Numbers of one layer that are summed up along the tree."""

    __slots__ = ("backward_flops", "backward_us", "buffers", "bytes", "flops", "mem", "params", "us")

    def __init__(self) -> None:
        self.params = self.buffers = self.bytes = self.flops = self.backward_flops = self.mem = 0
        self.us = self.backward_us = 0.0

    def add(self, other: _Sums) -> None:
        for name in self.__slots__:
            setattr(self, name, getattr(self, name) + getattr(other, name))

    def values(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}


class _Layer:
    """One layer while nodes are counted."""

    def __init__(self, frames: tuple[Frame, ...]) -> None:
        self.frames = frames
        self.nodes: list[Node] = []
        self.below: list[_Layer] = []
        self.own, self.total = _Sums(), _Sums()
        self.weights: dict[tuple[str, str, str], WeightRow] = {}
        self.ops: Counter[str] = Counter()
        self.calls: dict[int, None] = {}

    @property
    def empty(self) -> bool:
        return not (self.own.params or self.own.buffers or self.own.flops or self.own.backward_flops)

    def sum_up(self) -> _Sums:
        self.total.add(self.own)
        for layer in self.below:
            self.total.add(layer.sum_up())
        return self.total

    def walk(self) -> Iterator[_Layer]:
        yield self
        for layer in self.below:
            yield from layer.walk()


class _Place(NamedTuple):
    """Where a node was called: its pass, its layers and the calls of them, outermost first."""

    turn: str
    layers: tuple[_Layer, ...]
    calls: tuple[int, ...]


class Tally:
    """The layers of a graph by the names of the modules above them.

    Args:
        graph: as it was recorded.
    """

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._outside = _Layer(())
        self._layers: dict[tuple[str, ...], _Layer] = {}
        self._calls: dict[Scope, int] = {}
        self._places: dict[int, _Place] = {}
        self._leaving: dict[int, dict[tuple[int, int], None]] = {}
        self._last: dict[int, int] = {}
        self._optimizer_flops = self._state = self._state_bytes = 0
        self._optimizer_us = 0.0
        for number, node in enumerate(graph.nodes):
            self._count(number, node)
        for node in graph.nodes:
            self._note_edges(node)
        for layer in self._roots():
            layer.sum_up()

    def rows(self) -> Iterator[SummaryRow]:
        """Yield the rows of a summary."""
        roots = self._roots()
        for root in roots:
            if root is not self._outside or not root.empty or len(roots) == 1:
                yield from map(self._row, root.walk())

    def totals(self) -> Totals:
        """Return the totals of a summary."""
        sums = _Sums()
        for root in self._roots():
            sums.add(root.total)
        return Totals(
            **sums.values(),
            optimizer_flops=self._optimizer_flops,
            optimizer_us=self._optimizer_us,
            state=self._state,
            state_bytes=self._state_bytes,
        )

    def _roots(self) -> list[_Layer]:
        return [*(layer for names, layer in self._layers.items() if len(names) == 1), self._outside]

    def _place(self, scope: Scope) -> _Place:
        if id(scope) not in self._places:
            frames = tuple(frame for frame in modules(scope) if frame.kind == "module")
            parts = [frames[: depth + 1] for depth in range(len(frames))]
            calls = tuple(self._calls.setdefault(part, len(self._calls)) for part in parts)
            self._places[id(scope)] = _Place(pass_of(scope), tuple(map(self._layer, parts)), calls)
        return self._places[id(scope)]

    def _layer(self, frames: tuple[Frame, ...]) -> _Layer:
        names = tuple(frame.name for frame in frames)
        if names not in self._layers:
            self._layers[names] = _Layer(frames)
            if len(names) > 1:
                self._layers[names[:-1]].below.append(self._layers[names])
        return self._layers[names]

    def _count(self, number: int, node: Node) -> None:
        place = self._place(node.scope)
        layer = place.layers[-1] if place.layers else self._outside
        layer.own.params += node.params
        layer.nodes.append(node)
        if node.op == BUFFER and not place.layers:
            self._count_state(node)
        elif node.op in {PARAMETER, BUFFER}:
            _count_weight(layer, node)
        elif node.op in ENDS:
            return
        elif place.turn == OPTIMIZER:
            self._optimizer_flops += node.flops
            self._optimizer_us += node.us
        elif place.turn == BACKWARD:
            layer.own.backward_flops += node.flops
            layer.own.backward_us += node.us
        else:
            self._count_forward(number, node, place, layer)

    def _count_state(self, node: Node) -> None:
        if node.outputs and "tied_to" not in node.attrs:
            shape, dtype = node.outputs[0]
            self._state += elements(shape)
            self._state_bytes += elements(shape) * dtype_bytes(dtype)

    def _count_forward(self, number: int, node: Node, place: _Place, layer: _Layer) -> None:
        layer.own.flops += node.flops
        layer.own.mem += node.mem
        layer.own.us += node.us
        layer.ops[node.op] += 1
        for holder, call in zip(place.layers, place.calls, strict=True):
            holder.calls[call] = None
            self._last[call] = number

    def _note_edges(self, node: Node) -> None:
        """Remember for each call what of it is used outside of it."""
        user = self._place(node.scope)
        if user.turn != FORWARD:
            return
        for edge in node.inputs:
            maker = self._graph.nodes[edge[0]]
            for call in self._place(maker.scope).calls if maker.op not in ENDS else ():
                if call not in user.calls:
                    self._leaving.setdefault(call, {})[edge] = None

    def _outputs(self, layer: _Layer) -> tuple[TensorSpec, ...]:
        first = next(iter(layer.calls), None)
        if first is None:
            return ()
        nodes = self._graph.nodes
        leaving = sorted(self._leaving.get(first, ()))
        used = tuple(nodes[number].outputs[slot] for number, slot in leaving if slot < len(nodes[number].outputs))
        return used or nodes[self._last[first]].outputs

    def _row(self, layer: _Layer) -> SummaryRow:
        return SummaryRow(
            path=layer_path(layer.frames),
            model=layer.frames[0].name if layer.frames else "",
            cls=layer.frames[-1].cls if layer.frames else "",
            op=canonical_class(layer.frames[-1], layer.nodes) if layer.frames else "",
            depth=max(len(layer.frames) - 1, 0),
            calls=len(layer.calls),
            outputs=self._outputs(layer),
            **layer.total.values(),
            own_params=layer.own.params,
            own_buffers=layer.own.buffers,
            own_flops=layer.own.flops,
            weights=tuple(layer.weights.values()),
            ops=dict(layer.ops),
        )


def _count_weight(layer: _Layer, node: Node) -> None:
    shape, dtype = node.outputs[0] if node.outputs else (None, "")
    trainable = node.op == PARAMETER
    tied = "tied_to" in node.attrs
    path, native = str(node.attrs.get("path", "")), str(node.attrs.get("native", ""))
    # A layer that is called twice, or also in the backward pass, has the same weight in a second node, tied to the first one.
    layer.weights.setdefault((node.name, path, native), WeightRow(node.name, path, native, shape, dtype, trainable, tied))
    if not tied:
        layer.own.buffers += 0 if trainable or _counts(shape, dtype) else elements(shape)
        layer.own.bytes += elements(shape) * dtype_bytes(dtype)


def _counts(shape: tuple[int | None, ...] | None, dtype: str) -> bool:
    """Tell whether state is a counter, such as num_batches_tracked of PyTorch, of which other frameworks have none."""
    return shape == () and dtype.removeprefix("u").startswith("int")
