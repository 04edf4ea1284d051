"""Metrics as lines of the log, in the words of clu's LoggingWriter.

A line is written by a thread, because the numbers in it may still be on a device.
"""

from __future__ import annotations

import logging
import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np

from multiboard.arrays import fetch_array, framework_of, take_array
from multiboard.forks import unforked
from multiboard.protocols import is_pending

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

logger = logging.getLogger("multiboard.clu")
_BUCKETS = 30
"""Buckets of a histogram in the log, where nothing else is said."""


class Lines:
    """Writes metrics to the log `multiboard.clu`, at level INFO; nothing is kept or fetched while that level is off.

    Args:
        collection: named in each line.
        asynchronous: write in a thread; else each call waits for its numbers.
    """

    def __init__(self, collection: str | None, *, asynchronous: bool) -> None:
        self._collection = f" collection={collection}" if collection else ""
        self._asynchronous = asynchronous
        self._thread: tuple[int, ThreadPoolExecutor] | None = None

    def add(self, step: object, values: Mapping[str, Any], form: Callable[[Mapping[str, Any]], Iterator[str]]) -> None:
        """Write the lines of one call.

        Args:
            step: in brackets in front of the lines.
            values: by name; arrays are copied unless they cannot change.
            form: returns what follows the step, called in the thread.
        """
        if not logger.isEnabledFor(logging.INFO):
            return
        head = f"[{step}]{self._collection}"
        try:
            kept = {name: _kept(value) for name, value in values.items()}
        except Exception as error:  # noqa: BLE001  # no mapping, or no value: said by the run that takes the same call
            logger.warning("%s cannot be logged: %s", head, error)
            return
        if self._asynchronous:
            self._executor().submit(_write, head, kept, form)
        else:
            _write(head, kept, form)

    def _executor(self) -> ThreadPoolExecutor:
        """Return the thread of this process: a forked one has none."""
        if self._thread is None or self._thread[0] != os.getpid():
            self._thread = os.getpid(), ThreadPoolExecutor(1, thread_name_prefix="multiboard-clu")
        return self._thread[1]

    def flush(self) -> None:
        """Wait until the lines of all calls are in the log."""
        if self._thread is not None:
            self._executor().submit(int).result()


def scalars(values: Mapping[str, Any]) -> Iterator[str]:
    """Yield all numbers in one line, sorted by name.

    >>> list(scalars({"loss": 0.123456789, "epoch": 3}))
    ['epoch=3, loss=0.123457']
    """
    yield ", ".join(
        f"{name}={value:.6g}" if isinstance(value, float) else f"{name}={value}" for name, value in sorted(values.items())
    )


def texts(values: Mapping[str, Any]) -> Iterator[str]:
    """Yield all texts in one line."""
    yield f"Got texts: {dict(values)}."


def shapes(kind: str) -> Callable[[Mapping[str, Any]], Iterator[str]]:
    """Return a form that says only what shapes the arrays have.

    >>> list(shapes("images")({"a": np.zeros((4, 4, 3))}))
    ["Got images: {'a': (4, 4, 3)}."]
    """

    def form(values: Mapping[str, Any]) -> Iterator[str]:
        yield f"Got {kind}: { {name: np.shape(value) for name, value in values.items()} }."

    return form


def histograms(num_buckets: Mapping[str, int]) -> Callable[[Mapping[str, Any]], Iterator[str]]:
    """Return a form that counts the finite values of each array in buckets of equal width, a line for each array with values.

    >>> list(histograms({"w": 2})({"w": np.array([0.0, 1.0, 4.0])}))
    ["Histogram for 'w' = {[0, 2): 2, [2, 4]: 1}"]
    """

    def form(values: Mapping[str, Any]) -> Iterator[str]:
        for name, value in values.items():
            numbers = np.asarray(value)
            finite = numbers[np.isfinite(numbers)] if numbers.dtype.kind == "f" else numbers
            if finite.size:
                yield f"Histogram for {name!r} = {{{_buckets(finite, max(2, num_buckets.get(name) or _BUCKETS))}}}"

    return form


def _buckets(numbers: Any, number: int) -> str:
    low, high = numbers.min(), numbers.max()
    if low == high:
        return f"[{low - 0.5:.3g}, {high + 0.5:.3g}]: {numbers.size}"
    counts, edges = np.histogram(numbers, number)
    closed = [")"] * (number - 1) + ["]"]
    rows = zip(edges[:-1], edges[1:], closed, counts, strict=True)
    return ", ".join(f"[{left:.3g}, {right:.3g}{end}: {count}" for left, right, end, count in rows)


def _kept(value: Any) -> Any:
    """Return what later changes of a value cannot reach, without waiting for a device."""
    framework = framework_of(type(value))
    if framework == "numpy":
        return value.copy()
    return take_array("", value) if framework == "torch" else value


def _fetched(value: Any) -> Any:
    return fetch_array(value) if is_pending(value) or framework_of(type(value)) == "torch" else value


def _write(head: str, values: Mapping[str, Any], form: Callable[[Mapping[str, Any]], Iterator[str]]) -> None:
    try:
        for line in form({name: _fetched(value) for name, value in values.items()}):
            with unforked():
                logger.info("%s %s", head, line)
    except Exception as error:  # noqa: BLE001  # of any framework: a donated buffer, a failed kernel
        logger.warning("%s cannot be logged: %s", head, error)
