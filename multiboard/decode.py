"""Values of event files to Python and NumPy: the tensor form, and the older fields of each kind."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from multiboard import proto

if TYPE_CHECKING:
    import numpy.typing as npt

GRAPHS: Final = "graph_run_metadata_graph"
"""Plugin of named graphs."""
TIMED_GRAPHS: Final = "graph_run_metadata"
"""Plugin of named graphs with times."""
CONCEPTUAL_GRAPHS: Final = "graph_keras_model"
"""Plugin of the layers of Keras models."""
_DTYPES: Final = {
    1: "<f4",
    2: "<f8",
    3: "<i4",
    4: "u1",
    5: "<i2",
    6: "i1",
    8: "<c8",
    9: "<i8",
    10: "?",
    17: "<u2",
    18: "<c16",
    19: "<f2",
    22: "<u4",
    23: "<u8",
}
"""NumPy dtype by TensorProto dtype (tensorflow/core/framework/types.proto)."""
_STRING: Final = 7
_FILLED: Final = 1024
"""Numbers of a tensor up to which one number stands for all of them; a damaged shape allocates no more."""
_NATIVE: Final = frozenset({"multiboard", "mesh"})
"""Plugins whose tensors keep their dtype; those of the others are numbers, float64."""


def legacy_plugin(value: Any) -> str:
    """Return the plugin of a Summary.Value without metadata by its fields, empty if they do not tell."""
    for name, plugin in _LEGACY.items():
        if value.HasField(name):
            return plugin
    return ""


_LEGACY: Final = {"simple_value": "scalars", "histo": "histograms", "image": "images", "audio": "audio"}


def lone_plugin(value: Any) -> str:
    """Return what a tensor is taken for whose tag has no metadata at all: one number for a scalar, others stay tensors."""
    return "multiboard" if value.tensor.tensor_shape.dim or value.tensor.dtype == _STRING else "scalars"


def decode(value: Any, plugin: str) -> Any:
    """Return what a Summary.Value holds, in the form of `Column.value`.

    Args:
        value: the message.
        plugin: of the value's tag.
    """
    if value.HasField("histo"):
        return _legacy_rows(value.histo)
    for name in ("image", "audio"):
        if value.HasField(name):
            return [getattr(value, name).encoded]
    if not value.HasField("tensor"):
        return value.simple_value
    return _decode_tensor(value.tensor, plugin)


def _decode_tensor(tensor: Any, plugin: str) -> Any:
    if plugin in {"images", "audio"}:
        return list(tensor.string_val[2 if plugin == "images" else 0 :])
    if plugin == "text":
        return b"\n".join(tensor.string_val).decode(errors="replace")
    if plugin == CONCEPTUAL_GRAPHS:
        return b"".join(tensor.string_val)
    if plugin in {GRAPHS, TIMED_GRAPHS}:
        graphs = proto.RunMetadata.FromString(b"".join(tensor.string_val)).function_graphs
        return b"".join(graph.pre_optimization_graph for graph in graphs)  # joined messages are one message with all nodes
    array = _tensor(tensor)
    if plugin in _NATIVE or tensor.dtype == _STRING:
        return array
    if array.dtype.kind == "c":
        raise ValueError("complex numbers have no place in a chart")
    if plugin == "scalars":
        return float(array.reshape(-1)[0])
    return array.astype(np.float64)


def _tensor(tensor: Any) -> npt.NDArray[Any]:
    shape = [dim.size for dim in tensor.tensor_shape.dim]
    if tensor.dtype == _STRING:
        return np.array(tensor.string_val, dtype=object).reshape(shape)
    dtype = np.dtype(_DTYPES.get(tensor.dtype, "<f4"))
    if tensor.tensor_content or 0 in shape:
        return np.frombuffer(tensor.tensor_content, dtype).reshape(shape)
    listed = tensor.float_val or tensor.double_val or tensor.int_val or tensor.int64_val or tensor.bool_val
    values = np.array(listed or [0], dtype)
    count = math.prod(shape)
    if len(values) == 1 and count <= _FILLED:
        return np.full(shape, values[0])
    if len(values) < count:
        raise ValueError(f"a tensor of {count} numbers holds {len(values)}")
    return values[:count].reshape(shape)


def _legacy_rows(histogram: Any) -> npt.NDArray[np.float64]:
    """Return the rows of an old histogram, whose first bucket begins at the observed minimum."""
    right = np.array(histogram.bucket_limit)
    left = np.concatenate([[histogram.min], right[:-1]])
    rows = np.column_stack([np.minimum(left, right), right, np.array(histogram.bucket)])
    return rows[rows[:, 2] > 0]
