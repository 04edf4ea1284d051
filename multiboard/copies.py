"""Copies of arrays, into memory that is used again.

The first touch of fresh memory takes several times as long as the copy itself. So memory of copies is kept, up to 16 MiB in a
process, and used again as soon as nothing refers to it: nobody has to give a copy back.
"""

from __future__ import annotations

import sys
import threading
from collections import deque
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

KEPT_BYTES: Final = 16 * 2**20
"""Memory that is kept at most."""
SMALLEST: Final = 64 * 2**10
"""Bytes from which on it is worth it: below, the allocator uses memory again by itself."""
_UNUSED: Final = 2
"""References to memory that nobody uses: the name in `_unused` and the argument of `getrefcount`."""
_COUNTS_REFERENCES: Final = getattr(sys, "_is_gil_enabled", lambda: True)()

_kept: Final[deque[npt.NDArray[np.uint8]]] = deque()
_lock: Final = threading.Lock()  # never waited for: a signal handler may interrupt its owner


def copy(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return a copy of an array of numbers, exactly as `np.array` does."""
    plain = type(array) is np.ndarray and array.dtype.kind in "biufc" and array.flags.c_contiguous
    if not (plain and SMALLEST <= array.nbytes <= KEPT_BYTES and _COUNTS_REFERENCES and _lock.acquire(blocking=False)):
        return np.array(array)
    try:
        memory = _unused(array.nbytes)
        copied = memory.view(array.dtype).reshape(array.shape)  # refers to the memory from here on
    finally:
        _lock.release()
    np.copyto(copied, array)
    return copied


def _unused(size: int) -> npt.NDArray[np.uint8]:
    """Return kept memory, or else fresh one, which is kept if there is room for it."""
    while _kept:
        memory = _kept.popleft()
        if sys.getrefcount(memory) > _UNUSED:
            _kept.appendleft(memory)  # copies end in the order in which they were made: the others are in use, too
            break
        if memory.nbytes == size:
            _kept.append(memory)
            return memory
    memory = np.empty(size, np.uint8)
    if sum(kept.nbytes for kept in _kept) + size <= KEPT_BYTES:
        _kept.append(memory)
    return memory
