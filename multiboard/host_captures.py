"""Captures of arrays that are in host memory: of NumPy loops, and of frameworks that hand out NumPy arrays.

An adapter that counts on a device makes a `Capture` with a `Pending` batch of its own; this is for all others.
"""

from __future__ import annotations

import weakref
from time import time
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from multiboard.copies import copy
from multiboard.values import Capture, MeasuredBatch

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    from multiboard.run import Run

_NO_NUMBERS: Final = "OSUMm"
"""Kinds of NumPy: objects, texts and times."""
HELD_BYTES: Final = 2**30
"""What copies that wait for the writer thread may hold together; a capture beyond it is left out and counted."""


def capture_arrays(
    run: Run,
    arrays: Mapping[str, npt.ArrayLike],
    step: int,
    *,
    descriptions: Mapping[str, str] = MappingProxyType({}),
    norms: bool = True,
    histograms: bool = True,
) -> None:
    """Log the distributions of many arrays of one step, with their norms, non-finite counts and update ratios.

    The arrays are copied now, and counted by the writer thread. Raises nothing because of data: what is no array of numbers is
    left out, and said.

    Args:
        run: to write to.
        arrays: by tag, e.g. 'params/dense/kernel', 'grads/dense/kernel', 'updates/dense/kernel'; real numbers of any shape.
        step: of the update.
        descriptions: by tag, see `multiboard.tags.description`.
        norms: whether norms and ratios are written.
        histograms: whether histograms are written.
    """
    taken = {tag: found for tag, array in arrays.items() if (found := _numbers(run, tag, array)) is not None}
    if not taken:
        return
    size = sum(array.nbytes for array in taken.values())
    if size + sum(batch.nbytes for batch in list(_held)) > HELD_BYTES:
        message = (
            f"the capture of step {step} was left out: {size / 2**20:.0f} MiB more would have to wait for the writer thread."
        )
        run.report("capture held", message)
        return
    batch = _Batch([copy(array) for array in taken.values()], size)
    run.capture(Capture(tuple(taken), batch, step, time(), descriptions, norms=norms, histograms=histograms))


def _numbers(run: Run, tag: str, array: npt.ArrayLike) -> npt.NDArray[Any] | None:
    """Return an array of NumPy, or None for what has no numbers, which would cost the whole capture."""
    try:
        found = np.asarray(array)
        reason = f"it is an array of {found.dtype}" if found.dtype.kind in _NO_NUMBERS else ""
    except Exception as error:  # noqa: BLE001  # whatever `__array__` does, or rows of several lengths
        reason = f"{type(error).__name__}: {error}"
    if not reason:
        return found
    run.report(f"capture of {tag}", f"the distribution {tag!r} was left out: {reason}; pass numbers.")
    return None


class _Batch:
    """Copies that are still to be counted.

    Attributes:
        nbytes: that they hold.
    """

    def __init__(self, arrays: Sequence[npt.NDArray[Any]], nbytes: int) -> None:
        self._arrays, self.nbytes = arrays, nbytes
        _held.add(self)

    def fetch(self) -> MeasuredBatch:
        """Count the values of each array."""
        from multiboard.buckets import measure

        found = [measure(array) for array in self._arrays]
        counts, specials, moments = zip(*((one.counts, one.specials, one.moments) for one in found), strict=True)
        return MeasuredBatch(np.stack(counts), np.stack(specials), np.stack(moments))


_held: Final[weakref.WeakSet[_Batch]] = weakref.WeakSet()
