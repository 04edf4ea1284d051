"""ONNX models to GraphDef bytes: inputs, outputs, operations and initialisers, with their shapes; no weights are read.

The messages are ModelProto, GraphProto, NodeProto and AttributeProto of onnx/onnx, onnx.proto. An edge of ONNX is a tensor with a
name, an edge of TensorBoard is a node and the number of its output.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from multiboard import graph_def
from multiboard.errors import MissingFrameworkError

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence

_DTYPES: Final = {1: 1, 2: 4, 3: 6, 4: 17, 5: 5, 6: 3, 7: 9, 8: 7, 9: 10, 10: 19, 11: 2, 12: 22, 13: 23, 14: 8, 15: 18, 16: 14}
"""Type of TensorFlow by that of ONNX (TensorProto.DataType)."""
_SMALL: Final = 8
"""Constants of at most so many numbers are shown with them."""


def read_onnx(path: str | os.PathLike[str]) -> bytes:
    """Return the graph of an ONNX file as a serialised GraphDef. Needs the onnx package: `multiboard[onnx]`.

    Args:
        path: the file; what it keeps in further files is not read.

    Raises:
        MissingFrameworkError: the onnx package is not installed.
        Exception: what onnx raises for a file that is missing or no ONNX model.
    """
    try:
        import onnx
    except ImportError as error:
        raise MissingFrameworkError("the graph of an ONNX file", "the onnx package", "onnx") from error
    graph = onnx.load(path, load_external_data=False).graph
    if not graph.node and not graph.output:
        raise ValueError(f"{path!s} holds no ONNX graph")
    translation = _Translation()
    translation.graph(graph, "", {})
    return graph_def.graph_def(translation.nodes)


class _Translation:
    """Translates the graphs of one model.

    Attributes:
        nodes: encoded, of all graphs.
    """

    def __init__(self) -> None:
        self.nodes: list[bytes] = []
        self._taken: set[str] = set()

    def graph(self, graph: Any, scope: str, outer: Mapping[str, str]) -> list[str]:
        """Translate a graph and return the names of its outputs.

        Args:
            graph: a GraphProto.
            scope: prefix of all names, empty or ending in '/'.
            outer: where the tensors come from that graphs around this one define: node and output by name of the tensor.
        """
        sources = dict(outer)
        shapes = {value.name: _sizes(value) for value in (*graph.value_info, *graph.input, *graph.output)}
        constants = {tensor.name for tensor in graph.initializer}
        for tensor in graph.initializer:
            sources[tensor.name] = self._add(scope + tensor.name, "Const", (), _described(tensor.data_type, list(tensor.dims)))
        for value in graph.input:
            if value.name not in constants:  # older models list their initialisers as inputs, too
                attributes = _described(value.type.tensor_type.elem_type, shapes[value.name])
                sources[value.name] = self._add(scope + value.name, "Input", (), attributes)
        named = [(node, self._unique(scope + (node.name or node.op_type))) for node in graph.node]
        for node, name in named:
            sources |= {tensor: f"{name}:{i}" if i else name for i, tensor in enumerate(node.output) if tensor}
        for node, name in named:
            self._node(node, name, sources, shapes)
        return [
            self._add(
                scope + value.name,
                "Output",
                _inputs([value.name], sources),
                _described(value.type.tensor_type.elem_type, shapes[value.name]),
            )
            for value in graph.output
        ]

    def _node(self, node: Any, name: str, sources: Mapping[str, str], shapes: Mapping[str, Any]) -> None:
        """Translate an operation; what the branches of a condition or the body of a loop return leads to it."""
        inputs = _inputs(node.input, sources)
        attributes = {"_output_shapes": graph_def.shapes(shapes.get(tensor) for tensor in node.output)}
        for attribute in node.attribute:
            inner = list(attribute.graphs) + [attribute.g] * attribute.HasField("g")
            for graph in inner:
                inputs += self.graph(graph, f"{name}/{attribute.name}/", sources)
            if not inner:
                attributes[attribute.name] = _attribute(attribute)
        domain = "" if node.domain in {"", "ai.onnx"} else f"{node.domain}."
        self.nodes.append(graph_def.node(name, domain + node.op_type, inputs, attributes))

    def _add(self, name: str, op: str, inputs: Sequence[str], attributes: Mapping[str, bytes]) -> str:
        unique = self._unique(name)
        self.nodes.append(graph_def.node(unique, op, inputs, attributes))
        return unique

    def _unique(self, name: str) -> str:
        """Return a name that no other node has; a colon would be read as the number of an output."""
        wanted = name.replace("//", "/").strip("/").replace(":", "_").lstrip("^") or "node"
        unique, number = wanted, 1
        while unique in self._taken:
            unique, number = f"{wanted}_{number}", number + 1
        self._taken.add(unique)
        return unique


def _inputs(tensors: Sequence[str], sources: Mapping[str, str]) -> list[str]:
    """Return where tensors come from; inputs that are left out have an empty name."""
    return [sources[tensor] for tensor in tensors if tensor in sources]


def _sizes(value: Any) -> list[int | None] | None:
    tensor = value.type.tensor_type
    if not tensor.HasField("shape"):
        return None
    return [size.dim_value if size.HasField("dim_value") else None for size in tensor.shape.dim]


def _described(dtype: int, sizes: list[int | None] | None) -> dict[str, bytes]:
    """Return the attributes of a node that has one output."""
    known = _DTYPES.get(dtype)
    named = graph_def.text(_name_of(dtype)) if known is None else graph_def.dtype(known)
    return {"dtype": named, "shape": graph_def.shape(sizes), "_output_shapes": graph_def.shapes([sizes])}


def _name_of(dtype: int) -> str:
    from onnx import TensorProto

    return str(TensorProto.DataType.Name(dtype)).lower() if dtype in TensorProto.DataType.values() else "unknown"


def _attribute(attribute: Any) -> bytes:
    """Return an attribute: integers and floats as such, everything else in words."""
    from onnx import AttributeProto, helper

    if attribute.type == AttributeProto.INT:
        return graph_def.integer(attribute.i)
    if attribute.type == AttributeProto.FLOAT:
        return graph_def.number(attribute.f)
    if attribute.type == AttributeProto.TENSOR:
        return graph_def.text(_tensor(attribute.t))
    if attribute.ref_attr_name:
        return graph_def.text(attribute.ref_attr_name)
    try:
        value = helper.get_attribute_value(attribute)
    except ValueError:  # a type that this version of onnx does not know
        return graph_def.text("unknown")
    return graph_def.text(_words(value))


def _words(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    if isinstance(value, (str, int, float)):
        return str(value)
    if hasattr(value, "__iter__"):
        return f"[{', '.join(map(_words, value))}]"
    return _tensor(value) if hasattr(value, "data_type") else " ".join(str(value).split())


def _tensor(tensor: Any) -> str:
    """Return type and shape of a constant, and its numbers if they are few and in the file."""
    from onnx import TensorProto, numpy_helper

    size = 1
    for length in tensor.dims:
        size *= length
    described = f"{_name_of(tensor.data_type)} {list(tensor.dims)}"
    if size > _SMALL or tensor.data_location == TensorProto.EXTERNAL:
        return described
    return f"{described} {numpy_helper.to_array(tensor).tolist()}"
