"""The protobuf wire format, read by hand: where the fields of a message lie, without a copy and without an object.

A message of many small parts takes fifty times its size as objects; read this way it takes nothing. The encoding is described at
protobuf.dev/programming-guides/encoding. Groups, which TensorBoard's messages do not have, are refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_FIXED: Final = {_FIXED64: 8, _FIXED32: 4}
_LONGEST: Final = 10
"""Bytes of the longest varint."""


def fields(data: bytes, begin: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """Yield number, wire type, begin and end of each field of a message; of a varint begin and end of its own bytes.

    Args:
        data: bytes that hold the message.
        begin: where the message begins in them.
        end: where it ends.

    Raises:
        ValueError: the bytes are no message.

    >>> list(fields(bytes.fromhex("10ac02"), 0, 3))
    [(2, 0, 1, 3)]
    """
    while begin < end:
        key, begin = varint(data, begin, end)
        number, wire_type = key >> 3, key & 7
        if wire_type == _BYTES:
            size, begin = varint(data, begin, end)
            stop = begin + size
        elif wire_type == _VARINT:
            _, stop = varint(data, begin, end)
        elif wire_type in _FIXED:
            stop = begin + _FIXED[wire_type]
        else:
            raise ValueError(f"field {number} has the unknown wire type {wire_type}")
        if stop > end or not number:
            raise ValueError(f"field {number} reaches beyond its message")
        yield number, wire_type, begin, stop
        begin = stop


def varint(data: bytes, begin: int, end: int) -> tuple[int, int]:
    """Return an unsigned base-128 varint of at most 64 bits and the position behind it.

    Raises:
        ValueError: it has no end.
    """
    value = shift = 0
    for position in range(begin, min(end, begin + _LONGEST)):
        byte = data[position]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:  # noqa: PLR2004
            return value & 0xFFFFFFFFFFFFFFFF, position + 1
        shift += 7
    raise ValueError("a varint has no end")


def int64(data: bytes, begin: int, end: int) -> int:
    """Return a varint as a signed 64-bit integer."""
    value = varint(data, begin, end)[0]
    return value - (1 << 64) if value >> 63 else value
