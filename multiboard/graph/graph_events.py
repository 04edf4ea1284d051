"""What TensorBoard draws of a graph: GraphDef for the structure, StepStats for time and memory.

The messages are GraphDef (graph.proto), NodeDef (node_def.proto), RunMetadata (protobuf/config.proto) and StepStats
(framework/step_stats.proto) of tensorflow/tensorflow.
"""

from __future__ import annotations

import math
import re
from functools import lru_cache
from itertools import accumulate
from typing import TYPE_CHECKING, Final, TypeVar

from multiboard import graph_def, wire
from multiboard.graph.ir import ENDS
from multiboard.graph.names import by_group, names

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from multiboard.graph.ir import Attribute, Graph, Node, TensorSpec

_TYPES: Final = {
    "float32": 1,
    "float64": 2,
    "int32": 3,
    "uint8": 4,
    "int16": 5,
    "int8": 6,
    "string": 7,
    "complex64": 8,
    "int64": 9,
    "bool": 10,
    "bfloat16": 14,
    "uint16": 17,
    "complex128": 18,
    "float16": 19,
    "uint32": 22,
    "uint64": 23,
}
"""Numbers of tensorflow/core/framework/types.proto."""
T = TypeVar("T")
MOST_DESCRIBED: Final = 10_000
"""Nodes beyond which TensorBoard takes most of its time to read what is said of them."""
_FLOAT32_MAX: Final = 3.4e38
_ACCELERATORS: Final = frozenset({"cuda", "gpu", "rocm", "xpu", "mps"})
_DEVICE: Final = re.compile(r"([a-z]+)(?:[:_](\d+))?$")
_SWALLOWED: Final = re.compile(r"[a-zA-Z]+Summary|NoOp")
"""Operations that TensorBoard takes out of the picture."""


class Picture:
    """A graph as TensorBoard draws it.

    Args:
        graph: a view.

    Attributes:
        graph_def: its GraphDef.
        brief: whether the nodes are too many to show more of each than shapes and what is counted.
    """

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._names = names(graph)
        self.brief = len(graph.nodes) > MOST_DESCRIBED
        facts = _counts if self.brief else _attributes
        self.graph_def = graph_def.graph_def(
            _node(node, name, self._names, facts) for node, name in zip(graph.nodes, self._names, strict=True)
        )

    def run_metadata(self, costs: Sequence[float] | None = None) -> bytes:
        """Return a RunMetadata with the GraphDef, and StepStats if there are costs.

        Args:
            costs: microseconds of each node, or what is shown in their place.
        """
        stats = wire.message(1, *_step_stats(self._graph, self._names, costs)) if costs else b""
        return stats + wire.message(4, wire.message(2, self.graph_def))

    def times(self) -> list[float]:
        """Return the measured microseconds of each node; an empty list if nothing was measured."""
        times = [node.us if 0 < node.us < math.inf else 0.0 for node in self._graph.nodes]
        return times if any(times) else []

    def flops(self) -> list[float]:
        """Return the FLOPs of each node; an empty list if there are none."""
        flops: list[float] = [node.flops for node in self._graph.nodes]
        return flops if any(flops) else []


def _node(node: Node, name: str, called: Sequence[str], facts: Callable[[Node], dict[str, bytes]]) -> bytes:
    inputs = [f"{called[source]}:{slot}" if slot else called[source] for source, slot in node.inputs]
    told = _if_possible(facts, node) or _if_possible(_counts, node) or {}
    return graph_def.node(name, _op(node.op, bool(inputs)), inputs, told, device_of(node.device))


def _if_possible(make: Callable[[Node], T], node: Node) -> T | None:
    try:
        return make(node)
    except Exception:  # noqa: BLE001  # whatever an adapter put there: a node that says less is better than no picture
        return None


@lru_cache(maxsize=4096)
def _op(native: str, fed: bool) -> str:
    """Return an op that TensorBoard draws as a node of its own, or as a circle if it is one of `ENDS`."""
    op = native or "Node"
    if _SWALLOWED.fullmatch(op):
        return f"{op}_"
    return op.replace("Const", "const") if native not in ENDS and fed else op


def _attributes(node: Node) -> dict[str, bytes]:
    return {**{key: _attribute(value) for key, value in node.attrs.items()}, **_counts(node), **_dtypes(node.outputs)}


def _counts(node: Node) -> dict[str, bytes]:
    return _counted(node.flops, node.params, node.mem, node.outputs)


@lru_cache(maxsize=4096)
def _counted(flops: int, params: int, mem: int, outputs: tuple[TensorSpec, ...]) -> dict[str, bytes]:
    counts = {"flops": flops, "params": params, "bytes": mem}
    encoded = {key: graph_def.integer(value) for key, value in counts.items() if value}
    shapes = {"_output_shapes": graph_def.shapes(spec.shape for spec in outputs)} if outputs else {}
    return encoded | shapes


@lru_cache(maxsize=4096, typed=True)
def _attribute(value: Attribute) -> bytes:
    if isinstance(value, bool):
        return graph_def.boolean(value)
    if isinstance(value, int):
        return graph_def.integer(value)
    if isinstance(value, float) and not _FLOAT32_MAX < abs(value) < math.inf:
        return graph_def.number(value)
    return graph_def.text(str(value))


@lru_cache(maxsize=4096)
def _dtypes(outputs: tuple[TensorSpec, ...]) -> dict[str, bytes]:
    dtypes = {spec.dtype for spec in outputs if spec.dtype}
    if not dtypes:
        return {}
    only = dtypes.pop() if len(dtypes) == 1 else ""
    told = graph_def.dtype(_TYPES[only]) if only in _TYPES else graph_def.text(", ".join(spec.dtype or "?" for spec in outputs))
    return {"dtype": told}


@lru_cache(maxsize=256)
def device_of(native: str) -> str:
    """Return a device as TensorBoard can read it, '' if it is not known.

    Example:
        >>> device_of("cuda:1"), device_of("cpu"), device_of("TPU_3")
        ('/device:GPU:1', '/device:CPU:0', '/device:TPU:3')
    """
    match = _DEVICE.search(native.lower())
    if match is None:
        return ""
    kind = "GPU" if match[1] in _ACCELERATORS else match[1].upper()
    return f"/device:{kind}:{int(match[2] or 0)}"


def _step_stats(graph: Graph, called: Sequence[str], costs: Sequence[float]) -> Iterator[bytes]:
    """Return a DeviceStepStats for each device."""
    by_device: dict[str, list[bytes]] = {}
    order = by_group(called)
    # One after the other, group by group: TensorBoard takes the time of a group from its first start to its last end.
    ends = [1, *(1 + round(total) for total in accumulate(costs[number] for number in order))]
    for number, start, end in zip(order, ends, ends[1:], strict=False):
        node = graph.nodes[number]
        device = device_of(node.device) or "/device:CPU:0"
        by_device.setdefault(device, []).append(_node_stats(node, called[number], start, end))
    for device, stats in by_device.items():
        yield wire.message(1, wire.message(1, device.encode()), *stats)


def _node_stats(node: Node, name: str, start: int, end: int) -> bytes:
    """Return a NodeExecStats; a node without time is not hatched as unused because its outputs are listed."""
    parts = [wire.message(1, name.encode()), wire.integer(2, start)]
    if end > start:
        parts.append(wire.integer(5, end - start))
    if node.mem:
        parts.append(wire.message(6, wire.integer(2, node.mem)))
    return wire.message(2, *parts, *(_if_possible(lambda node: _stats_outputs(node.outputs), node) or ()))


@lru_cache(maxsize=4096)
def _stats_outputs(outputs: Iterable[TensorSpec]) -> tuple[bytes, ...]:
    """Return a NodeOutput for each output, with its TensorDescription."""
    return tuple(
        wire.message(7, wire.integer(1, slot), wire.message(3, wire.message(2, graph_def.shape_message(spec.shape))))
        for slot, spec in enumerate(outputs)
    )
