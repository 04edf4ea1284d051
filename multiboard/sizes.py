"""How much memory a value takes while it waits: estimates, of which the large ones are exact."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from multiboard.values import Capture

if TYPE_CHECKING:
    from multiboard.values import Value

_OBJECT: Final = 256
"""A record with its numbers and its place in a queue."""
_PER_SCALAR: Final = 56
"""A float and its place in a dict."""
_PER_CAPTURED_TENSOR: Final = 8 * 1024
"""Bucket counts of one tensor, 32-bit on the device and once more on the host."""
_SMALL: Final = {int, float, bool, type(None)}
_TEXTS: Final = {str, bytes}


def call_bytes(tags: int) -> int:
    """Return the bytes that one call with so many scalars takes."""
    return _OBJECT + _PER_SCALAR * tags


def bytes_of(value: Value) -> int:
    """Return the bytes that a value takes on host or device."""
    if isinstance(value, Capture):
        return _OBJECT + _PER_CAPTURED_TENSOR * len(value.tags)
    return _OBJECT + _field_bytes(value)


def _field_bytes(field: Any) -> int:
    kind = type(field)
    if kind in _SMALL:
        return 0
    if kind in _TEXTS:
        return len(field)
    if isinstance(field, (tuple, list)):
        return sum([_field_bytes(one) for one in field if type(one) not in _SMALL])
    size = getattr(field, "nbytes", None)
    if isinstance(size, int):
        return size
    if hasattr(field, "__dataclass_fields__"):
        return sum(_field_bytes(getattr(field, name)) for name in field.__dataclass_fields__)
    return _tensor_bytes(field)


def _tensor_bytes(field: Any) -> int:
    """Return the bytes of a tensor of TensorFlow, which does not tell them; 0 for anything else."""
    dtype, shape = getattr(field, "dtype", None), getattr(field, "shape", None)
    elements = getattr(shape, "num_elements", lambda: None)()
    return (elements or 0) * getattr(dtype, "size", 0)
