"""CRC-32C of many pieces of equal length at once.

A CRC is linear over GF(2): the checksum of a message is that of the message with some bytes set to zero, XOR one table entry for
each of those bytes, which depends on the byte and on its distance from the end (Sarwate, CACM 31(8), 1988, byte by byte). So
records that differ in a few bytes need a few table look-ups each.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import google_crc32c
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy.typing as npt

_tables: Final[dict[int, npt.NDArray[np.uint32]]] = {}
"""By distance. Several writer threads may fill it at once: every entry has its place and one value, whoever puts it there."""


def table(distance: int) -> npt.NDArray[np.uint32]:
    """Return what a byte adds to the checksum by its value, uint32 `[256]`.

    Args:
        distance: bytes that follow it in the message.

    >>> hex(table(0)[1])
    '0xf26b8303'
    """
    if distance not in _tables:
        for place in range(distance + 1):
            if place not in _tables:
                _tables[place] = _further(_tables[place - 1]) if place else _last_byte()
    return _tables[distance]


def _last_byte() -> npt.NDArray[np.uint32]:
    zero = google_crc32c.value(bytes(1))
    return np.array([google_crc32c.value(bytes([byte])) ^ zero for byte in range(256)], np.uint32)


def _further(nearer: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint32]:
    """Return the table of a byte that one more byte follows."""
    further: npt.NDArray[np.uint32] = _tables[0][nearer & np.uint32(0xFF)] ^ (nearer >> np.uint32(8))
    return further


def contributions(pieces: Iterable[tuple[npt.NDArray[np.uint8], int]], rows: int) -> npt.NDArray[np.uint32]:
    """Return what bytes add to the checksums of their messages, to be XORed to those of the messages without them.

    Args:
        pieces: bytes `[rows, width]` that follow each other, and the distance of the last one from the end of its message.
        rows: number of messages.
    """
    total = np.zeros(rows, np.uint32)
    for columns, distance in pieces:
        width = columns.shape[1]
        for column in range(width):
            total ^= table(distance + width - 1 - column).take(columns[:, column])
    return total
