"""The protobuf wire format by hand, and the parts of an Event that all kinds share.

A protobuf object per event costs six times the packing. The messages are Event (event.proto), Summary and SummaryMetadata
(summary.proto) and TensorProto (tensor.proto) of tensorflow/tensorboard. The encoding is described at
protobuf.dev/programming-guides/encoding.
"""

from __future__ import annotations

import struct
from functools import lru_cache
from typing import Final

SCALAR, TENSOR, BLOB_SEQUENCE = 1, 2, 3
"""SummaryMetadata.data_class."""
DT_FLOAT, DT_DOUBLE, DT_INT32, DT_UINT8, DT_STRING = 1, 2, 3, 4, 7
"""TensorProto.dtype."""
VARINT, FIXED64, BYTES = 0, 1, 2
"""Wire types."""
_DOUBLE: Final = struct.Struct("<d")
_ONE_BYTE: Final = [bytes([number]) for number in range(0x80)]


def varint(number: int) -> bytes:
    """Return a base-128 varint; negative numbers as 64-bit two's complement, ten bytes long.

    >>> varint(300).hex(), len(varint(-1))
    ('ac02', 10)
    """
    if 0 <= number < 0x80:  # noqa: PLR2004
        return _ONE_BYTE[number]
    if 0 < number < 0x4000:  # noqa: PLR2004  # most lengths
        return bytes((number & 0x7F | 0x80, number >> 7))
    number &= 0xFFFFFFFFFFFFFFFF
    out = bytearray()
    while number > 0x7F:  # noqa: PLR2004
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


_key = lru_cache(maxsize=1024)(varint)


def tagged(number: int, wire_type: int, data: bytes) -> bytes:
    """Return a field by number and wire type; `data` is its encoded value."""
    return _key(number << 3 | wire_type) + data


def message(number: int, *parts: bytes) -> bytes:
    """Return a field of bytes, a string or a message, made of joined parts."""
    body = b"".join(parts)
    return _key(number << 3 | BYTES) + varint(len(body)) + body


def integer(number: int, value: int) -> bytes:
    """Return a field of an integer, enum or bool."""
    return tagged(number, VARINT, varint(value))


def double(number: int, value: float) -> bytes:
    """Return a field of a float64."""
    return tagged(number, FIXED64, _DOUBLE.pack(value))


def event(wall_time: float, step: int, *parts: bytes) -> bytes:
    """Return an Event of wall time (seconds since the epoch), step and further fields."""
    return b"".join((double(1, wall_time), integer(2, step) if step else b"", *parts))


def metadata(plugin: str, data_class: int, description: str = "", content: bytes = b"") -> bytes:
    """Return the SummaryMetadata field of a Summary.Value; data class 0 stays unset."""
    plugin_data = message(1, plugin.encode()) + (message(2, content) if content else b"")
    described = message(3, description.encode()) if description else b""
    return message(9, message(1, plugin_data), described, integer(4, data_class) if data_class else b"")


@lru_cache(maxsize=4096)
def shape(*sizes: int) -> bytes:
    """Return the shape field of a TensorProto."""
    return message(2, *(message(2, integer(1, size)) for size in sizes))


def numbers(dtype: int, sizes: tuple[int, ...], content: bytes) -> bytes:
    """Return the tensor field of a Summary.Value: numbers of a dtype and shape, little-endian in row-major order."""
    return message(8, integer(1, dtype), shape(*sizes), message(4, content))


def strings(*values: bytes, rank: int) -> bytes:
    """Return the tensor field of a Summary.Value: strings of rank 0 (one) or 1."""
    sizes = shape(*([len(values)] if rank else []))
    return message(8, integer(1, DT_STRING), sizes, *(message(8, value) for value in values))


def summary_value(tag: str, described: bytes, tensor: bytes) -> bytes:
    """Return a Summary.Value field; `described` is its metadata field or empty."""
    return message(1, message(1, tag.encode()), described, tensor)
