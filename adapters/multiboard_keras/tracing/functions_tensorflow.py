"""Reads the operations of a function of TensorFlow, and of the functions inside it, into the nodes of a graph."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import tensorflow as tf

from multiboard.graph.ir import CONSTANT, Node, modules
from multiboard.graph.recorder import Weight
from multiboard_keras.tracing.flops_tensorflow import flops
from multiboard_keras.tracing.operations_tensorflow import attributes, functions_of, handles, is_fixed, spec_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from multiboard.graph.ir import Frame, Scope, TensorSpec
    from multiboard_keras.tracing.operations_tensorflow import Functions
    from multiboard_keras.tracing.timeline_tensorflow import Timeline
    from multiboard_keras.tracing.trace import Call

    Tensor = Any
    Operation = Any
    Edge = tuple[int, int]


class Constant(NamedTuple):
    """Values that are known; they get a node beside each layer that uses them."""

    key: object
    spec: TensorSpec


Source = tuple[int, int] | Weight | Constant | None
"""Where a tensor comes from: the output of a node, or what is drawn where it is used. None if nothing is drawn: for small
constants, and the state of generators of random numbers."""


class Place(NamedTuple):
    """Where a function is called.

    Attributes:
        caller: the scope of the call, as the timeline has it.
        scope: the same with the frames of loops and branches.
        times: how often the function runs.
    """

    caller: Scope
    scope: Scope
    times: int

    def of(self, scope: Scope) -> Scope:
        """Return where an operation is that the timeline has in a scope."""
        below = len(self.caller)
        return (*self.scope, *scope[below:]) if scope[:below] == self.caller else self.scope

    def inside(self, frame: Frame, times: int = 1) -> Place:
        """Return the place inside a frame that the timeline does not have."""
        return Place(self.caller, (*self.scope, frame), self.times * times)


class _Use(NamedTuple):
    """An operation that calls functions."""

    operation: Operation
    functions: Functions
    sources: Sequence[Source]
    place: Place


_PASSES_ON: Final = frozenset({"Identity", "IdentityN", "ReadVariableOp", "StopGradient", "PreventGradient", "EnsureShape"})
_SMALL: Final = 16
"""Elements of a constant that is part of an operation, like a shape or a permutation."""


class Reader:
    """Records the operations of functions.

    Args:
        call: takes the nodes.
        timeline: tells the scope of each operation.
    """

    def __init__(self, call: Call, timeline: Timeline) -> None:
        self._call, self._recorder, self._timeline = call, call.recorder, timeline
        self._constants: dict[tuple[object, Scope], int] = {}

    def captured(self, graph: Any) -> list[Source]:
        """Return where the tensors come from that a function takes from outside."""
        known = (*graph.variables, *self._call.model.variables)
        variables = {id(handle): variable for variable in known for handle in handles(variable)}
        return [self._outside(tensor, variables) for tensor, _ in graph.captures]

    def _outside(self, tensor: Tensor, variables: dict[int, Any]) -> Source:
        if tensor.dtype == tf.resource:
            variable = variables.get(id(tensor))
            return None if variable is None else self._call.weights.of(variable)
        return _constant(tensor, id(tensor))

    def read(self, graph: Any, sources: Sequence[Source], place: Place) -> list[Source]:
        """Record the operations of a function and return where its results come from.

        Args:
            graph: of the function.
            sources: of its arguments.
            place: where it is called.
        """
        known: dict[str, Source] = {tensor.name: source for tensor, source in zip(graph.inputs, sources, strict=False)}
        operations = graph.get_operations()
        for operation, scope in zip(operations, self._timeline.scopes(graph, place.caller), strict=False):
            if operation.outputs and operation.outputs[0].name in known:
                continue
            found = [known.get(tensor.name) for tensor in operation.inputs]
            try:
                results = self._operation(operation, found, Place(scope, place.of(scope), place.times))
            except Exception as error:  # noqa: BLE001  # the others are drawn
                self._recorder.note(f"{operation.type} is left out: {type(error).__name__}: {error}")
                results = ()
            known.update(zip((tensor.name for tensor in operation.outputs), results, strict=False))
        return [known.get(tensor.name) for tensor in graph.outputs]

    def edges(self, sources: Sequence[Source], scope: Scope) -> tuple[Edge, ...]:
        """Return edges from sources to a node in a scope; a weight or a constant gets a node there."""
        found = (self._edge(source, scope) for source in sources)
        return tuple(edge for edge in found if edge is not None)

    def _edge(self, source: Source, scope: Scope) -> Edge | None:
        if isinstance(source, Weight):
            return self._recorder.weight(source, scope), 0
        if isinstance(source, Constant):
            key = (source.key, modules(scope))
            if key not in self._constants:
                self._constants[key] = self._recorder.add(Node(CONSTANT, key[1], (), (source.spec,)))
            return self._constants[key], 0
        return source

    def _operation(self, operation: Operation, sources: Sequence[Source], place: Place) -> Sequence[Source]:
        kind = operation.type
        if kind == "NoOp":
            return ()
        if kind == "Const":
            return (_constant(operation.outputs[0], (id(operation.graph), operation.name)),)
        if kind in _PASSES_ON:
            return sources
        functions = functions_of(operation)
        if functions and kind in _BY_KIND:
            return _BY_KIND[kind](self, _Use(operation, functions, sources, place))
        if is_fixed(operation, known=[source is None for source in sources]):
            return (None,) * len(operation.outputs)
        return self._node(operation, sources, place)

    def _node(self, operation: Operation, sources: Sequence[Source], place: Place) -> Sequence[Source]:
        outputs = tuple(spec_of(tensor) for tensor in operation.outputs)
        edges = self.edges(sources, place.scope)
        count = flops(operation) * place.times
        node = Node(operation.type, place.scope, edges, outputs, "", attributes(operation), operation.device, count)
        number = self._recorder.add(node)
        return [(number, slot) for slot in range(len(outputs))]

    def _function(self, use: _Use) -> Sequence[Source]:
        (graph,) = use.functions.values()
        name = re.sub(r"^__inference_|_\d+$", "", str(graph.name))
        frame = self._recorder.frame("call", name)
        return self.read(graph, use.sources, use.place.inside(frame))

    def _loop(self, use: _Use) -> Sequence[Source]:
        inner = use.place.inside(self._recorder.frame("region", "while"), self._rounds(use.operation, use.place.scope))
        self.read(use.functions["cond"], use.sources, inner)
        results = self.read(use.functions["body"], use.sources, inner)
        ends = zip(use.sources, results, strict=False)  # the body may return more than the loop
        return [first if result is None else result for first, result in ends]

    def _branches(self, use: _Use) -> Sequence[Source]:
        """Record all branches; their results meet in one node."""
        place = use.place.inside(self._recorder.frame("region", "cond"))
        results: list[Source] = [use.sources[0]]
        for name, graph in use.functions.items():
            branch = self._recorder.frame("region", name.removesuffix("_branch"))
            results += self.read(graph, use.sources[1:], place.inside(branch))
        return self._node(use.operation, results, place)

    def _rounds(self, operation: Operation, scope: Scope) -> int:
        """Return how often the body of a loop runs: its limit, or the time steps of the recurrent layer around it."""
        limit = tf.get_static_value(operation.inputs[1]) if len(operation.inputs) > 1 else None
        if limit is not None and int(limit) > 0:
            return int(limit)
        steps = self._call.frames.steps
        known = next((steps[frame.uid] for frame in reversed(scope) if frame.uid in steps), None)
        if known is None:
            self._recorder.note("A loop is counted once: how often it runs is not known before.")
        return 1 if known is None else known


_BY_KIND: Final[Mapping[str, Callable[[Reader, _Use], Sequence[Source]]]] = {
    "PartitionedCall": Reader._function,  # noqa: SLF001
    "StatefulPartitionedCall": Reader._function,  # noqa: SLF001
    "While": Reader._loop,  # noqa: SLF001
    "StatelessWhile": Reader._loop,  # noqa: SLF001
    "If": Reader._branches,  # noqa: SLF001
    "StatelessIf": Reader._branches,  # noqa: SLF001
    "Case": Reader._branches,  # noqa: SLF001
    "StatelessCase": Reader._branches,  # noqa: SLF001
}


def _constant(tensor: Tensor, key: object) -> Source:
    size = tensor.shape.num_elements()
    return None if size is not None and size <= _SMALL else Constant(key, spec_of(tensor))
