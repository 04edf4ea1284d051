"""TFRecord framing: payload bytes to framed bytes and back.

Frame: uint64 length, uint32 masked CRC-32C of those 8 bytes, payload, uint32 masked CRC-32C of the payload, little-endian.
Mask: ((crc >> 15) | (crc << 17)) + 0xa282ead8 modulo 2**32 (tensorflow/core/lib/io/record_writer.h).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import google_crc32c
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy.typing as npt

_HEADER: Final = struct.Struct("<QI")
_LENGTH: Final = struct.Struct("<Q")
_CRC: Final = struct.Struct("<I")
OVERHEAD: Final = 16
"""Bytes that the frame adds to a payload."""

crc32c: Callable[[bytes], int] = google_crc32c.value
"""CRC-32C of bytes, not masked."""


def masked_crc(data: bytes) -> int:
    """Return the masked CRC-32C of the data.

    >>> hex(masked_crc(b""))
    '0xa282ead8'
    """
    crc = crc32c(data)
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def mask_crcs(crcs: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint32]:
    """Return the masked values of many checksums, uint32 `[n]`."""
    return ((crcs >> np.uint32(15)) | (crcs << np.uint32(17))) + np.uint32(0xA282EAD8)


def frame_header(length: int) -> bytes:
    """Return the 12 bytes in front of a payload of this length."""
    packed = _LENGTH.pack(length)
    return packed + _CRC.pack(masked_crc(packed))


def frame(payload: bytes) -> bytes:
    """Return the payload as one framed record."""
    return b"".join((frame_header(len(payload)), payload, _CRC.pack(masked_crc(payload))))


@dataclass(frozen=True, slots=True)
class Damage:
    """A place where a file holds no readable record.

    Attributes:
        offset: bytes from the start of the file.
        reason: what is wrong there.
        torn: the file ends in the middle of a record: a writer that was killed, or one that is still writing.
    """

    offset: int
    reason: str
    torn: bool = False


def unframe(data: bytes | memoryview, damage: list[Damage]) -> Iterator[bytes]:
    """Yield the payloads of all readable records.

    A record with a broken payload is skipped and reported; a broken length ends the reading, since nothing tells where the
    next record starts. No allocation is larger than the data.

    Args:
        data: the content of a file.
        damage: receives one entry per place that could not be read.
    """
    view = memoryview(data)
    offset, size = 0, len(view)
    while offset < size:
        if size - offset < _HEADER.size:
            damage.append(Damage(offset, "the file ends inside a record header", torn=True))
            return
        length, length_crc = _HEADER.unpack_from(view, offset)
        if masked_crc(bytes(view[offset : offset + 8])) != length_crc:
            damage.append(Damage(offset, "the length of the record is damaged"))
            return
        end = offset + OVERHEAD + length
        if end > size:
            damage.append(Damage(offset, f"the file ends inside a record of {length} bytes", torn=True))
            return
        payload = bytes(view[offset + 12 : end - 4])
        if masked_crc(payload) == _CRC.unpack_from(view, end - 4)[0]:
            yield payload
        else:
            damage.append(Damage(offset, f"the payload of a record of {length} bytes is damaged"))
        offset = end
