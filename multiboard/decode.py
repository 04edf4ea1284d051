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
    14: "<f4",
    17: "<u2",
    18: "<c16",
    19: "<f2",
    22: "<u4",
    23: "<u8",
}
"""NumPy dtype by TensorProto dtype (tensorflow/core/framework/types.proto); of bfloat16 (14) the one it is widened to."""
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
        return legacy_rows(value.histo)
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
    array = tensor_array(tensor)
    if plugin in _NATIVE or tensor.dtype == _STRING:
        return array
    if array.dtype.kind == "c":
        raise ValueError("complex numbers have no place in a chart")
    if plugin == "scalars":
        return float(array.reshape(-1)[0])
    return array.astype(np.float64)


def tensor_array(tensor: Any) -> npt.NDArray[Any]:
    """Return what a TensorProto holds; bfloat16 is widened to float32, which is exact.

    Raises:
        ValueError: it holds fewer numbers than its shape says, or numbers of an unknown dtype.
    """
    if tensor.dtype not in _DTYPES and tensor.dtype != _STRING:
        raise ValueError(f"a tensor has the unknown dtype {tensor.dtype}")
    shape = [dim.size for dim in tensor.tensor_shape.dim]
    if tensor.dtype == _STRING:
        return np.array(tensor.string_val, dtype=object).reshape(shape)
    dtype = np.dtype(_DTYPES[tensor.dtype])
    if tensor.tensor_content or 0 in shape:
        stored = "<u2" if tensor.dtype == BFLOAT16 else dtype
        return _widened(np.frombuffer(tensor.tensor_content, stored), tensor.dtype).reshape(shape)
    values = _listed(tensor, dtype)
    count = math.prod(shape)
    if len(values) == 1 and count <= _FILLED:
        return np.full(shape, values[0])
    if len(values) < count:
        raise ValueError(f"a tensor of {count} numbers holds {len(values)}")
    return values[:count].reshape(shape)


BFLOAT16: Final = 14
_HALF: Final = 19
"""TensorProto dtypes whose numbers are listed as the 16 bits of each."""


def _listed(tensor: Any, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    if tensor.half_val:
        bits = np.array(tensor.half_val, "<u2")
        return bits.view("<f2") if tensor.dtype == _HALF else _widened(bits, tensor.dtype)
    signed = tensor.float_val or tensor.double_val or tensor.int_val or tensor.int64_val or tensor.bool_val
    return np.array(signed or tensor.uint32_val or tensor.uint64_val or [0], dtype)


def _widened(stored: npt.NDArray[Any], dtype: int) -> npt.NDArray[Any]:
    return (stored.astype("<u4") << 16).view("<f4") if dtype == BFLOAT16 else stored


_LARGEST: Final = float(np.finfo(np.float64).max)
"""The outermost limits of older histograms, which stand for infinity."""


def legacy_rows(histogram: Any) -> npt.NDArray[np.float64]:
    """Return left, right and count `[k, 3]` of the occupied buckets of a HistogramProto (summary.proto).

    The smallest value lies in the first of them and the largest in the last, whose outer edges are these two values then; it is
    the only place where the tensor form keeps them. No edge is infinite or NaN: such a bucket shrinks to its other edge, and one
    without any is left out.
    """
    count = np.array(histogram.bucket, np.float64)
    right = np.array(histogram.bucket_limit, np.float64)[: len(count)]
    left = np.concatenate([[-np.inf], right[:-1]]) if len(right) else right
    rows = np.column_stack([left, right, count[: len(right)]])
    rows = rows[rows[:, 2] > 0]
    if len(rows):
        rows[0, 0] = _within(rows[0], histogram.min, rows[0, 0])
        rows[-1, 1] = _within(rows[-1], histogram.max, rows[-1, 1])
    closed = np.isfinite(rows[:, :2]) & (abs(rows[:, :2]) < _LARGEST)
    rows[:, :2] = np.where(closed, rows[:, :2], rows[:, 1::-1])
    return rows[closed.any(axis=1)]


def _within(row: npt.NDArray[np.float64], number: float, edge: float) -> float:
    """Return the place in a bucket that is nearest to a number; for NaN the edge."""
    return edge if math.isnan(number) else float(min(max(number, row[0]), row[1]))
