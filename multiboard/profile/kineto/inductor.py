"""What the kernels of a program that Inductor has written are for: the calls in its source code, each with a layer.

Kernels know no layer. The source says above each call which nodes of the traced graph it computes, of which the caller knows the
layers. In the backward pass, few of whose nodes are nodes of that graph, there is more to go by: a call belongs to the layer of
the parameter whose gradient it computes, or that it reads; or to the one that has made what it reads of what was kept.

Facts of a program: `nodes`, layers by node, '' for those of the outermost module; `parameters`, the layers of its inputs in
order, '' for what is no parameter; `forward` and `backward`, the source of the functions, of which the latter may be missing.
"""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_COMMENT: Final = re.compile(r"\s*# (?:Topologically Sorted |Unsorted )?Source Nodes: \[([^\]]*)\]")
_INPUT: Final = re.compile(r"primals_(\d+)")
_TANGENT: Final = "tangents_"
_NO_KERNEL: Final = re.compile(
    r"assert_\w+|empty\w*|reinterpret_tensor|get_raw_stream|clear|_DeviceGuard|set_device|alloc_\w+|as_strided|alias|size|stride|"
    r"data_ptr|record_\w+|view|permute"
)
"""Functions that compute nothing, or only another view."""
_FUSED: Final = ("triton_", "cpp_")
_OVERLOADS: Final = frozenset({"run", "default", "out"})


class Call(NamedTuple):
    """A call of a kernel, or of an operation that is none of Inductor's.

    Attributes:
        name: as in the trace, without a namespace, e.g. 'triton_poi_fused_gelu_4' or 'mm'.
        reads: the names that it is called with, those that it writes to among them.
        writes: the name of what it returns; '' if it returns nothing.
        nodes: of the traced graph, or of the backward pass.
    """

    name: str
    reads: tuple[str, ...]
    writes: str
    nodes: tuple[str, ...]


class Function(NamedTuple):
    """The function `call` of a program.

    Attributes:
        inputs: names of its arguments, in order.
        calls: in order.
        aliases: names by the name that they stand for another time.
        parts: those of them that are one of several results of a call.
        results: names of what it returns, in order; '' for what is no buffer.
    """

    inputs: tuple[str, ...]
    calls: tuple[Call, ...]
    aliases: Mapping[str, str]
    parts: frozenset[str]
    results: tuple[str, ...]


def layered_calls(program: Mapping[str, Any]) -> list[list[tuple[str, str]]]:
    """Return the calls of the forward and of the backward function of a program, each with its name and its layer.

    Args:
        program: facts as above.

    Returns:
        One list per function that there is; the layer is '' where nothing tells it.

    Raises:
        SyntaxError: a source is none.
    """
    nodes, parameters = dict(program.get("nodes") or {}), list(program.get("parameters") or ())
    forward = read_function(str(program.get("forward") or ""))
    layers = [_forward_layer(call, nodes, parameters) for call in forward.calls]
    found = [list(zip((call.name for call in forward.calls), layers, strict=True))]
    if program.get("backward"):
        backward = read_function(str(program["backward"]))
        told = _backward_layers(forward, layers, backward, nodes, parameters)
        found.append(list(zip((call.name for call in backward.calls), told, strict=True)))
    return found


def function_source(module: str) -> str:
    """Return the lines of the function `call` of a module that Inductor has written, '' if there is none."""
    lines = module.splitlines()
    begin = next((number for number, line in enumerate(lines) if re.match(r"\s*def call\(", line)), None)
    if begin is None:
        return ""
    depth = len(lines[begin]) - len(lines[begin].lstrip())
    end = next((i for i in range(begin + 1, len(lines)) if lines[i].strip() and _depth(lines[i]) <= depth), len(lines))
    return "\n".join(line[depth:] for line in lines[begin:end])


def read_function(source: str) -> Function:
    """Return what a function `call` does.

    Raises:
        SyntaxError: it is no Python.
    """
    lines, comments = source.splitlines(), list[tuple[int, tuple[str, ...]]]()
    for number, line in enumerate(lines, 1):
        if match := _COMMENT.match(line):
            comments.append((number, tuple(name.strip() for name in match[1].split(",") if name.strip())))
    inputs: tuple[str, ...] = ()
    calls, aliases, parts, results = list[Call](), dict[str, str](), set[str](), tuple[str, ...]()
    before = 0
    for statement in _statements(ast.parse(source)):
        value, target = getattr(statement, "value", None), _target(statement)
        if isinstance(statement, ast.Return):
            results = tuple(_buffer(one) for one in value.elts) if isinstance(value, ast.Tuple) else (_buffer(value),)
        elif isinstance(value, ast.Name) and value.id == "args" and isinstance(statement, ast.Assign):
            inputs = tuple(one.id for one in ast.walk(statement.targets[0]) if isinstance(one, ast.Name))
        elif isinstance(value, ast.Call) and (name := _called(value.func)):
            above = [names for number, names in comments if before < number <= statement.lineno]
            reads = [one.id for argument in _arguments(value) for one in ast.walk(argument) if isinstance(one, ast.Name)]
            calls.append(Call(name, tuple(dict.fromkeys(reads)), target, above[-1] if above else ()))
            before = statement.lineno
        elif target and (source_name := _buffer(value)):
            aliases[target] = source_name
            parts |= {target} if isinstance(value, ast.Subscript) else set()
    return Function(inputs, tuple(calls), aliases, frozenset(parts), results)


class _Writers:
    """Tells which call of a function has made a buffer: that which returns it, or else the first one that is called with it."""

    def __init__(self, function: Function) -> None:
        self._aliases = function.aliases
        self._places: dict[str, int] = {}
        for place, call in enumerate(function.calls):
            for name in [call.writes] if call.writes else call.reads:
                if name not in function.inputs and name not in function.parts:
                    self._places.setdefault(name, place)

    def place(self, name: str) -> int | None:
        """Return the place of the call among all, None for what no call has made."""
        seen = set[str]()
        while name not in self._places and name in self._aliases and name not in seen:
            seen.add(name)
            name = self._aliases[name]
        return self._places.get(name)


def _backward_layers(
    forward: Function, forward_layers: Sequence[str], backward: Function, nodes: Mapping[str, str], parameters: Sequence[str]
) -> list[str]:
    """Return the layers of the calls of a backward function, '' for what nothing tells."""
    writers = _Writers(backward)
    gradients = {
        writers.place(name): parameters[place]
        for place, name in enumerate(backward.results[: len(parameters)])
        if name and parameters[place]
    }
    kept = dict(_kept(forward, forward_layers, backward))
    layers = []
    for place, call in enumerate(backward.calls):
        made = max((kept[name] for name in call.reads if name in kept), default=(0, ""))[1]
        layers.append(gradients.get(place) or _of_parameters(call, parameters) or _of_nodes(call, nodes) or made)
    return _of_readers(backward, writers, layers)


def _of_readers(function: Function, writers: _Writers, layers: list[str]) -> list[str]:
    """Return layers, with those of the only reader for calls without, e.g. for the first half of a sum."""
    readers: dict[int, set[int]] = {}
    for place, call in enumerate(function.calls):
        for made in map(writers.place, call.reads):
            if made is not None and made != place:
                readers.setdefault(made, set()).add(place)
    for place in reversed(range(len(layers))):
        of_readers = {layers[reader] for reader in readers.get(place, ())}
        if not layers[place] and len(of_readers) == 1:
            layers[place] = of_readers.pop()
    return layers


def _forward_layer(call: Call, nodes: Mapping[str, str], parameters: Sequence[str]) -> str:
    """Return the layer of a call: of a kernel that computes several nodes the last one tells it."""
    ways = (_of_nodes(call, nodes), _of_parameters(call, parameters))
    return next(filter(None, ways if call.name.startswith(_FUSED) else reversed(ways)), "")


def _of_nodes(call: Call, nodes: Mapping[str, str]) -> str:
    return next((nodes[name] for name in reversed(call.nodes) if name in nodes), "")


def _of_parameters(call: Call, parameters: Sequence[str]) -> str:
    places = [int(match[1]) - 1 for name in call.reads if (match := _INPUT.fullmatch(name))]
    return next((parameters[place] for place in reversed(places) if place < len(parameters) and parameters[place]), "")


def _kept(forward: Function, layers: Sequence[str], backward: Function) -> Iterator[tuple[str, tuple[int, str]]]:
    """Yield what the backward function gets of the forward one: its name there, and place and layer of the call that made it."""
    names = [name for name in backward.inputs if not name.startswith(_TANGENT)]
    results = forward.results[len(forward.results) - len(names) :] if len(names) <= len(forward.results) else ()
    pairs = list(zip(names, results, strict=False))
    if any(_INPUT.fullmatch(name) and name != result for name, result in pairs):
        return  # in another order than it is known
    writers = _Writers(forward)
    for name, result in pairs:
        place = None if _INPUT.fullmatch(name) else writers.place(result)
        if place is not None and layers[place]:
            yield name, (place, layers[place])


def _statements(tree: ast.AST) -> Iterator[ast.stmt]:
    """Yield all that is done, in order, also in blocks."""
    for node in getattr(tree, "body", ()):
        if isinstance(node, (ast.FunctionDef, ast.With, ast.If)):
            yield from _statements(node)
        elif isinstance(node, ast.stmt):
            yield node


def _target(statement: ast.stmt) -> str:
    targets = statement.targets if isinstance(statement, ast.Assign) else []
    return targets[0].id if len(targets) == 1 and isinstance(targets[0], ast.Name) else ""


def _buffer(value: object) -> str:
    """Return the buffer that an expression is a view of, '' for something else."""
    while isinstance(value, (ast.Subscript, ast.Call)):
        if isinstance(value, ast.Call):
            if _called(value.func) or not value.args:
                return ""
            value = value.args[0]
        else:
            value = value.value
    return value.id if isinstance(value, ast.Name) else ""


def _called(function: ast.expr) -> str:
    """Return what a kernel is called in a trace, '' for a function that is none.

    >>> _called(ast.parse("torch.ops.aten.convolution.default", mode="eval").body)
    'convolution'
    """
    parts = list[str]()
    while isinstance(function, ast.Attribute):
        parts.append(function.attr)
        function = function.value
    parts.append(function.id if isinstance(function, ast.Name) else "")
    parts = [part for part in parts if part not in _OVERLOADS] or [""]
    return "" if _NO_KERNEL.fullmatch(parts[0]) else parts[0]


def _arguments(call: ast.Call) -> Iterator[ast.expr]:
    yield from call.args
    yield from (keyword.value for keyword in call.keywords if keyword.arg != "stream")


def _depth(line: str) -> int:
    return len(line) - len(line.lstrip())
