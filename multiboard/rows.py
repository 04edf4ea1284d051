"""The same part of many records of a file as one array."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt


class Rows:
    """Records of a file, of which the same part is taken from each.

    Args:
        data: the content of the file.
        at: int64 `[n]`, offsets of the records.
    """

    def __init__(self, data: bytes, at: npt.NDArray[np.int64]) -> None:
        self._data = data
        self._at = at
        strides = np.diff(at)
        self._stride = int(strides[0]) if len(strides) and (strides == strides[0]).all() else 0

    def __len__(self) -> int:
        return len(self._at)

    def take(self, offset: int, dtype: str) -> npt.NDArray[Any]:
        """Return what lies at an offset within each record, `[n]`; it must lie within the file."""
        if self._stride:
            return np.ndarray(self._at.shape, dtype, self._data, int(self._at[0]) + offset, (self._stride,)).copy()
        size = np.dtype(dtype).itemsize
        return np.ndarray((len(self._data) - size + 1,), dtype, self._data, 0, (1,))[self._at + offset]


def padded_varints(word: npt.NDArray[np.uint64], width: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Return varints of a fixed width, and which of the words begin with one.

    Args:
        word: eight bytes each, of which the first are the varint.
        width: bytes of the varint, at most 8; 0 stands for an absent one, whose value is 0.

    >>> padded_varints(np.array([0x02AC, 0x7F], np.uint64), 2)
    (array([300, 127]), array([ True, False]))
    """
    value = np.zeros(len(word), np.uint64)
    for byte in range(width):
        value |= (word >> np.uint64(8 * byte) & np.uint64(0x7F)) << np.uint64(7 * byte)
    more = sum(0x80 << 8 * byte for byte in range(width))
    last = 0x80 << 8 * (width - 1) if width else 0
    return value.view(np.int64), word & np.uint64(more) == np.uint64(more ^ last)
