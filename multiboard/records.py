"""TFRecord framing: payload bytes to framed bytes and back.

Frame: uint64 length, uint32 masked CRC-32C of those 8 bytes, payload, uint32 masked CRC-32C of the payload, little-endian.
Mask: ((crc >> 15) | (crc << 17)) + 0xa282ead8 modulo 2**32 (tensorflow/core/lib/io/record_writer.h).
"""

from __future__ import annotations

import struct
from array import array
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, Final, NamedTuple

import google_crc32c
import numpy as np

from multiboard.checksums import contributions

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


@lru_cache(maxsize=1024)
def frame_header(length: int) -> bytes:
    """Return the 12 bytes in front of a payload of this length."""
    packed = _LENGTH.pack(length)
    return packed + _CRC.pack(masked_crc(packed))


def frame(payload: bytes) -> bytes:
    """Return the payload as one framed record."""
    return b"".join((frame_header(len(payload)), payload, _CRC.pack(masked_crc(payload))))


class Damage(NamedTuple):
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
    way = _Walk(data, damage)
    way.run()
    return np.frombuffer(way.offsets, np.int64)


_KNOWN_HEADERS: Final = 4096
_LONGEST_PERIOD: Final = 32
_SAMPLE: Final = 3 * _LONGEST_PERIOD
"""Records in a row whose lengths are compared to find a period."""
_FIRST_LOOK, _LONGEST_LOOK = 16, 16384


class _Walk:
    """Goes from record to record: one by one, and in leaps where the lengths repeat, as they do when tags are logged in turn.

    Args:
        data: the content of a file.
        damage: receives what is wrong with it.
    """

    def __init__(self, data: bytes, damage: list[Damage]) -> None:
        self.offsets = array("q")
        self._data = data
        self._damage = damage
        self._headers = _Headers(data)
        self._lengths: dict[bytes, int] = {}

    def run(self) -> None:
        """Find all records."""
        data, size, lengths, append = self._data, len(self._data), self._lengths, self.offsets.append
        offset, patience, leap_at = 0, _SAMPLE, _SAMPLE
        while offset < size:
            header = data[offset : offset + 12]
            length = lengths.get(header, -1)
            if length < 0:
                found = self._length(header, offset)
                if found is None:
                    offset = self._headers.find(offset + 1) if len(header) == _HEADER.size else size
                    continue
                length = found
            end = offset + OVERHEAD + length
            if end > size:
                self._damage.append(Damage(offset, f"the file ends inside a record of {length} bytes", torn=True))
                return
            append(offset)
            offset = end
            if len(self.offsets) >= leap_at:
                landed = self._leap(offset)
                patience = _SAMPLE if landed > offset else min(2 * patience, 64 * _SAMPLE)
                offset, leap_at = landed, len(self.offsets) + patience

    def _length(self, header: bytes, offset: int) -> int | None:
        """Return the length that a header says, None if it is damaged or cut."""
        if len(header) < _HEADER.size:
            self._damage.append(Damage(offset, "the file ends inside a record header", torn=True))
            return None
        length, checksum = _HEADER.unpack(header)
        if masked_crc(header[:8]) != checksum:
            self._damage.append(Damage(offset, "the length of the record is damaged"))
            return None
        if len(self._lengths) < _KNOWN_HEADERS:
            self._lengths[header] = length
        return int(length)

    def _leap(self, offset: int) -> int:
        """Add all records from `offset` on whose headers continue the period of the last ones; return the offset behind them."""
        recent = self.offsets[-_SAMPLE:]
        recent.append(offset)
        strides = [after - before for before, after in pairwise(recent)]
        period = next((p for p in range(1, _LONGEST_PERIOD + 1) if strides[p:] == strides[:-p]), 0)
        if not period:
            return offset
        begins, ends = recent[-1 - period : -1], recent[-period:]
        if any(
            begin + OVERHEAD + _LENGTH.unpack_from(self._data, begin)[0] != end for begin, end in zip(begins, ends, strict=True)
        ):
            return offset  # something damaged lies between
        stride = offset - begins[0]
        count = min(_equal_headers(self._data, begin, stride) for begin in begins)
        found = np.array(begins)[np.newaxis, :] + stride * np.arange(1, count + 1)[:, np.newaxis]
        self.offsets.frombytes(found.astype(np.int64).tobytes())
        return offset + count * stride


def _equal_headers(data: bytes, offset: int, stride: int) -> int:
    """Return how many records follow that have the header of the record at `offset`, each `stride` bytes behind the last.

    Each of them is whole, for its end is at most that of the last stride.
    """
    length, checksum = _HEADER.unpack_from(data, offset)
    possible = (len(data) - offset) // stride - 1
    count, look = 0, _FIRST_LOOK
    while count < possible:
        look = min(look, possible - count)
        begin = offset + (count + 1) * stride
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
        found: npt.NDArray[np.int64] = positions[mask_crcs(computed) == stored]
        return found


def record_length(data: bytes, offset: int) -> int | None:
    """Return the bytes of the payload behind the header at an offset, None if the checksum tells that it is no header."""
    length, checksum = _HEADER.unpack_from(data, offset)
    return int(length) if masked_crc(data[offset : offset + _LENGTH.size]) == checksum else None


def payload_at(data: bytes, offset: int) -> bytes | None:
    """Return the payload of the record at an offset that `walk` has found, None if its checksum is wrong."""
    end = offset + _HEADER.size + _LENGTH.unpack_from(data, offset)[0]
    payload = data[offset + _HEADER.size : end]
    return payload if masked_crc(payload) == _CRC.unpack_from(data, end)[0] else None


def payloads(data: bytes, offsets: npt.NDArray[np.int64], damage: list[Damage]) -> Iterator[tuple[int, bytes]]:
    """Yield offset and payload of records that `walk` has found, without those whose checksum is wrong.

    Args:
        data: an event file.
        offsets: of records, int64 `[n]`.
        damage: receives an entry for every record that is left out.
    """
    for offset in offsets.tolist():
        payload = payload_at(data, offset)
        if payload is None:
            damage.append(payload_damage(data, offset))
        else:
            yield offset, payload


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
    yield from (payload for _, payload in payloads(data, walk(data, damage), damage))
