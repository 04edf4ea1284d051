"""Distributions counted by their callers: what a loop does with its arrays once too many of them wait for the writer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from multiboard.arrays import on_host
from multiboard.values import Histogram

if TYPE_CHECKING:
    from multiboard.values import Value

_WORTH_IT: Final = 16 * 2**10
"""Bytes from which on an array is about twice as large as its counts."""


def counted(value: Value) -> Value:
    """Return a value that takes less memory, or the value itself: the distribution of a large array that is on the host."""
    if not isinstance(value, Histogram):
        return value
    array = on_host(value.values)
    if array is None or array.nbytes < _WORTH_IT:
        return value
    from multiboard.buckets import measure

    with np.errstate(all="ignore"):  # the caller may have asked NumPy to raise
        return value._replace(values=measure(array))
