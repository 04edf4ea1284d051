"""Turns a call of an operator into a node: its inputs, outputs, facts, FLOPs and the memory that it takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from multiboard.graph.ir import CONSTANT, INPUT, OUTPUT, Node
from multiboard_torch._compat import bare
from multiboard_torch.tracing.flops import flops
from multiboard_torch.tracing.native import device_name, fact, operator, spec
from multiboard_torch.tracing.producers import Producers
from multiboard_torch.tracing.trees import tensors

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from multiboard.graph.ir import Attribute, Scope, TensorSpec
    from multiboard.graph.recorder import Recorder, Weight

_HOST: Final = "cpu"
"""Where an operator takes the time of its call; elsewhere it is only started."""
_SILENT: Final = ("prim::", "profiler::")
"""What computes nothing: questions about tensors, and marks for profilers."""


class Operations:
    """The nodes of operators, with edges to those that computed their inputs.

    Args:
        recorder: takes the nodes.
        find_weight: tells the parameter that a tensor is which no known one is, e.g. one that a layer gets while it runs.
    """

    def __init__(self, recorder: Recorder, find_weight: Callable[[Tensor], Weight | None]) -> None:
        self.recorder = recorder
        self.producers = Producers()
        self._find_weight = find_weight
        self._first_use: dict[Any, int] = {}

    def record(
        self, function: Any, args: Sequence[Any], kwargs: Mapping[str, Any], out: Any, scope: Scope, microseconds: float
    ) -> None:
        """Record one call of an operator.

        Args:
            function: the operator.
            args: its arguments.
            kwargs: its arguments by name.
            out: what it returned.
            scope: where it was called.
            microseconds: that it took, 0 if not measured.
        """
        known = operator(function)
        if known.name.startswith(_SILENT):
            return
        if known.rebinds and isinstance(out, Tensor) and args:
            self._rebind(args[0], out, scope)
            return
        inputs: list[tuple[int, int]] = []
        attrs: dict[str, Attribute] = {}
        names = known.arguments
        for index, value in enumerate(args):
            self._argument(names[index] if index < len(names) else str(index), value, scope, inputs, attrs)
        for name, value in kwargs.items():
            self._argument(name, value, scope, inputs, attrs)
        results = _results(out)
        written = _written(known.written, names, args, kwargs) if known.written else []
        slots = _slots(known.returned, written, results)
        mem = self._bind(results, written, slots)
        device = device_name(results[0].device) if results else ""
        count = flops(function, known.name, args, kwargs, out, self.recorder)
        outputs = tuple([spec(tensor) for tensor in results])
        self.recorder.add(
            Node(
                known.name,
                scope,
                tuple(inputs),
                outputs,
                "",
                attrs,
                device,
                flops=count,
                us=microseconds if device == _HOST else 0.0,
                mem=mem,
            )
        )

    def record_call(self, name: str, args: Any, result: Any, own: Sequence[Tensor], scope: Scope) -> None:
        """Record a whole layer as one node, where its operators are not heard.

        Args:
            name: of its class.
            args: that it was called with.
            result: what it returned.
            own: its parameters.
            scope: its own.
        """
        inputs = tuple(self.source(tensor, scope) for tensor in (*own, *(tensor for _, tensor in tensors(args))))
        results = [tensor for _, tensor in tensors(result)]
        self._bind(results, (), ())
        self.recorder.add(Node(name, scope, inputs, tuple(spec(tensor) for tensor in results)))

    def _argument(self, name: str, value: Any, scope: Scope, inputs: list[tuple[int, int]], attrs: dict[str, Attribute]) -> None:
        if value is None:
            return
        if isinstance(value, Tensor):
            inputs.append(self.source(value, scope))
            return
        if type(value) in (list, tuple):
            found = [self.source(one, scope) for one in value if isinstance(one, Tensor)]
            if found:
                inputs.extend(found)
                return
        told = fact(value)
        if told is not None:
            attrs[name] = told

    def source(self, tensor: Tensor, scope: Scope) -> tuple[int, int]:
        """Return the node and output that a tensor comes from; a parameter, or what nobody computed, gets a node now."""
        producers = self.producers
        found = producers.output(tensor)
        if found is not None:
            return found
        weight = producers.weight(tensor)
        if weight is None and isinstance(tensor, nn.Parameter):
            weight = self._find_weight(tensor)
        found = None if weight is not None else producers.output_of_memory(tensor)
        if found is not None:
            return found
        weight = weight or producers.weight_of_memory(tensor) or self._find_weight(tensor)
        if weight is not None:
            return self.use(weight, scope, device_name(tensor.device)), 0
        return self._foreign(tensor, scope), 0

    def use(self, weight: Weight, scope: Scope, device: str = "") -> int:
        """Return the node of a parameter in the module that uses it; outside of any, e.g. in an optimizer, its first one."""
        if weight.key in self._first_use and not any(frame.kind == "module" for frame in scope):
            return self._first_use[weight.key]
        node = self.recorder.weight(weight, scope, device=device)
        self._first_use.setdefault(weight.key, node)
        return node

    def is_used(self, weight: Weight) -> bool:
        """Tell whether a parameter has a node."""
        return weight.key in self._first_use

    def scope_of(self, weight: Weight) -> Scope | None:
        """Return the module that used a parameter first, None if none has."""
        node = self._first_use.get(weight.key)
        return None if node is None else self.recorder.nodes[node].scope

    def take_inputs(self, tree: Any) -> None:
        """Record the arguments of a model by name; one that is a parameter or was computed before stays what it is."""
        for path, given in tensors(tree):
            tensor = bare(given)
            if not self._is_known(tensor):
                self._input(tensor, path or "input")

    def take_outputs(self, tree: Any, scope: Scope = ()) -> None:
        """Record what a model returns."""
        for path, returned in tensors(tree):
            tensor = bare(returned)
            source = self.source(tensor, scope)
            self.recorder.add(
                Node(OUTPUT, (), (source,), (self._spec_of(source),), path or "output", {}, device_name(tensor.device))
            )

    def _is_known(self, tensor: Tensor) -> bool:
        producers = self.producers
        looks = (producers.output, producers.weight, producers.output_of_memory, producers.weight_of_memory)
        return any(look(tensor) is not None for look in looks)

    def _spec_of(self, source: tuple[int, int]) -> TensorSpec:
        return self.recorder.nodes[source[0]].outputs[source[1]]

    def _foreign(self, tensor: Tensor, scope: Scope) -> int:
        """Record a tensor that nobody computed: in a module or region a constant, outside of any an input."""
        inside = any(frame.kind != "call" for frame in scope)
        return self._constant(tensor, scope) if inside else self._input(tensor, "input")

    def _input(self, tensor: Tensor, name: str) -> int:
        return self._end(Node(INPUT, (), (), (spec(tensor),), name, {}, device_name(tensor.device)), tensor)

    def _constant(self, tensor: Tensor, scope: Scope) -> int:
        return self._end(Node(CONSTANT, scope, (), (spec(tensor),), "", {}, device_name(tensor.device)), tensor)

    def _end(self, node: Node, tensor: Tensor) -> int:
        number = self.recorder.add(node)
        self.producers.bind(tensor, number, 0)
        return number

    def _rebind(self, given: Any, out: Tensor, scope: Scope) -> None:
        """Let a second name of a tensor stand for what computed the first."""
        if out is given or not isinstance(given, Tensor) or is_lazy(given):
            return
        weight = self.producers.weight(given) if self.producers.output(given) is None else None
        if weight is not None:
            self.producers.rename(out, weight)
        else:
            self.producers.bind(out, *self.source(given, scope))

    def _bind(self, results: Sequence[Tensor], written: Sequence[Tensor], slots: Sequence[int]) -> int:
        """Remember that the next node computes these tensors and return the bytes of memory that is new."""
        node, new = len(self.recorder.nodes), 0
        for slot, tensor in enumerate(results):
            if self.producers.bind(tensor, node, slot, written=slot in slots):
                new += tensor.untyped_storage().nbytes()
        for slot, tensor in zip(slots, written, strict=True):
            if results[slot] is not tensor:
                self.producers.bind(tensor, node, slot, written=True)
        return new


def _slots(returned: Sequence[int], written: Sequence[Tensor], results: list[Tensor]) -> Sequence[int]:
    """Return which result stands for each tensor that an operator has changed; one that it does not return becomes a result."""
    if len(returned) == len(written) and all(slot < len(results) for slot in returned):
        return returned
    first = len(results)
    results += written
    return range(first, len(results))


def _written(names: frozenset[str], order: Sequence[str], args: Sequence[Any], kwargs: Mapping[str, Any]) -> list[Tensor]:
    values = [value for name, value in zip(order, args, strict=False) if name in names]
    values += [value for name, value in kwargs.items() if name in names]
    return [tensor for value in values for _, tensor in tensors(value)]


def _results(out: Any) -> list[Tensor]:
    if isinstance(out, Tensor):
        return [out]
    if not isinstance(out, (list, tuple)):
        return []
    found = [one for one in out if isinstance(one, Tensor)]
    return found if len(found) == len(out) else [tensor for _, tensor in tensors(out)]
