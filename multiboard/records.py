"""TFRecord framing: payload bytes to framed bytes and back.

Frame: uint64 length, uint32 masked CRC-32C of those 8 bytes, payload, uint32 masked CRC-32C of the payload, little-endian.
Mask: ((crc >> 15) | (crc << 17)) + 0xa282ead8 modulo 2**32 (tensorflow/core/lib/io/record_writer.h).
"""

from __future__ import annotations

import struct
from array import array
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


def walk(data: bytes, damage: list[Damage]) -> npt.NDArray[np.int64]:
    """Return the offsets of all whole records whose length is intact; their payloads are not looked at.

    Behind a damaged length the reading goes on at the next bytes that are the header of a record with the right checksum. No
    allocation is larger than the data.

    Args:
        data: the content of a file.
        damage: receives one entry per place where no record could be found.
    """
    offsets = array("q")
    headers = _Headers(data)
    lengths: dict[bytes, int] = {}
    offset, size, last, streak = 0, len(data), -1, 0
    while offset < size:
        header = data[offset : offset + _HEADER.size]
        length = lengths.get(header, -1)
        if length < 0:
            if len(header) < _HEADER.size:
                damage.append(Damage(offset, "the file ends inside a record header", torn=True))
                break
            length, checksum = _HEADER.unpack(header)
            if masked_crc(header[:8]) != checksum:
                damage.append(Damage(offset, "the length of the record is damaged"))
                offset = headers.find(offset + 1)
                continue
            if len(lengths) < _KNOWN_HEADERS:
                lengths[header] = length
        end = offset + OVERHEAD + length
        if end > size:
            damage.append(Damage(offset, f"the file ends inside a record of {length} bytes", torn=True))
            break
        offsets.append(offset)
        offset = end
        streak = streak + 1 if length == last else 0
        last = length
        if streak == _STREAK:
            count = _equal_headers(data, offset, header, OVERHEAD + length)
            offsets.frombytes(np.arange(offset, offset + count * (OVERHEAD + length), OVERHEAD + length).tobytes())
            offset += count * (OVERHEAD + length)
            streak = 0
    return np.frombuffer(offsets, np.int64) if offsets else np.empty(0, np.int64)


_KNOWN_HEADERS: Final = 4096
_STREAK: Final = 16
"""Records of one length in a row after which more of them are expected."""
_FIRST_LOOK, _LONGEST_LOOK = 64, 65536


def _equal_headers(data: bytes, offset: int, header: bytes, stride: int) -> int:
    """Return how many whole records with this header follow each other from `offset` on."""
    possible = (len(data) - offset) // stride
    length, checksum = _HEADER.unpack(header)
    count, look = 0, _FIRST_LOOK
    while count < possible:
        look = min(look, possible - count)
        begin = offset + count * stride
        lengths = np.ndarray((look,), "<u8", data, begin, (stride,))
        checksums = np.ndarray((look,), "<u4", data, begin + 8, (stride,))
        equal = (lengths == np.uint64(length)) & (checksums == np.uint32(checksum))
        if not equal.all():
            return count + int(equal.argmin())
        count += look
        look = min(look * 4, _LONGEST_LOOK)
    return count


class _Headers:
    """Finds record headers at unknown places; each part of the data is looked at once."""

    _BLOCK: Final = 65536

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._block = -1
        self._found: npt.NDArray[np.int64] = np.empty(0, np.int64)

    def find(self, offset: int) -> int:
        """Return the first offset from this one on where a whole record begins, or the end of the data.

        Args:
            offset: not smaller than in the call before.
        """
        for block in range(offset // self._BLOCK, -(-len(self._data) // self._BLOCK)):
            if block != self._block:
                self._block, self._found = block, self._headers_in(block)
            later = self._found[self._found >= offset]
            if len(later):
                return int(later[0])
        return len(self._data)

    def _headers_in(self, block: int) -> npt.NDArray[np.int64]:
        from multiboard.checksums import contributions  # needed for damaged files only

        begin = block * self._BLOCK
        count = min(self._BLOCK, len(self._data) - OVERHEAD + 1 - begin)
        if count <= 0:
            return np.empty(0, np.int64)
        positions = np.arange(begin, begin + count)
        lengths = np.ndarray((count,), "<u8", self._data, begin, (1,))
        positions = positions[lengths <= (len(self._data) - OVERHEAD - positions).astype(np.uint64)]
        octets = np.frombuffer(self._data, np.uint8)[positions[:, np.newaxis] + np.arange(8)]
        computed = contributions([(octets, 0)], len(positions)) ^ np.uint32(crc32c(bytes(8)))
        stored = np.ndarray((count,), "<u4", self._data, begin + 8, (1,))[positions - begin]
        return positions[mask_crcs(computed) == stored]


def payload_at(data: bytes, offset: int) -> bytes | None:
    """Return the payload of the record at an offset that `walk` has found, None if its checksum is wrong."""
    end = offset + _HEADER.size + _LENGTH.unpack_from(data, offset)[0]
    payload = data[offset + _HEADER.size : end]
    return payload if masked_crc(payload) == _CRC.unpack_from(data, end)[0] else None


def payload_damage(data: bytes, offset: int) -> Damage:
    """Return the entry for a record whose payload has the wrong checksum."""
    return Damage(offset, f"the payload of a record of {_LENGTH.unpack_from(data, offset)[0]} bytes is damaged")


def unframe(data: bytes | memoryview, damage: list[Damage]) -> Iterator[bytes]:
    """Yield the payloads of all readable records.

    A record with a broken payload is skipped and reported; behind a broken length the reading goes on at the next record that
    can be found. No allocation is larger than the data.

    Args:
        data: the content of a file.
        damage: receives one entry per place that could not be read.
    """
    data = bytes(data)
    for offset in walk(data, damage).tolist():
        payload = payload_at(data, offset)
        if payload is None:
            damage.append(payload_damage(data, offset))
        else:
            yield payload
