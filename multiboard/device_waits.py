"""The numbers of several calls come from a device together: every wait wakes the writer thread up for little work.

What has arrived is read at once, so that calls with the same tags are encoded together, as those with numbers of the host are.
"""

from __future__ import annotations

import contextlib
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from multiboard.arrays import REFERENCES, fetch_numbers
from multiboard.protocols import is_pending
from multiboard.scalar_events import as_scalars
from multiboard.values import IMMEDIATE, Scalars

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from multiboard.protocols import Logged
    from multiboard.values import Foreign

_MOST: Final = 64
"""Calls that are waited for together at most."""
_SOON: Final = 0.05
"""Seconds of a wait that may be longer next time: a quarter of the interval after which everything is in the file."""


class DeviceWaits:
    """Cuts the calls of one sink into groups, of which the last call is waited for: the others are ready before it."""

    def __init__(self) -> None:
        self._calls = 1

    def groups(self, logged: Sequence[Logged]) -> Iterator[Sequence[Logged]]:
        """Yield all calls in order, those with numbers of a device in groups that have arrived, if possible as numbers.

        Groups grow while their waits are short, so that a slow training sees each step as soon as it is over.

        Args:
            logged: in the order of the calls.
        """
        if _last_array(logged[-_MOST:]) is None:
            yield logged
            return
        begin = 0
        while begin < len(logged):
            group = logged[begin : begin + self._calls]
            begin += len(group)
            self._wait(group)
            yield [_on_host(record) for record in group]

    def _wait(self, group: Sequence[Logged]) -> None:
        began = monotonic()
        with contextlib.suppress(Exception):  # it is read again, and reported there
            np.asarray(_last_array(group))
        self._calls = min(2 * self._calls, _MOST) if monotonic() - began < _SOON else max(self._calls // 2, 1)


def _last_array(group: Sequence[Logged]) -> Foreign | None:
    """Return the last number on a device. Pending ones say themselves when they are ready, and may be fetched only once."""
    values = (value for record in reversed(group) for value in as_scalars(record).values)
    return next((value for value in values if type(value) not in IMMEDIATE and not is_pending(value)), None)


def _on_host(record: Logged) -> Logged:
    """Return a call with numbers instead of arrays; what cannot be read stays as it is, and is reported where it is written."""
    if type(record) is not Scalars or not REFERENCES.issuperset(map(type, record.values)):
        return record
    try:
        numbers: Any = dict(zip(record.tags, fetch_numbers(record), strict=True))  # of which none is pending
    except Exception:  # noqa: BLE001  # any framework's error: a donated buffer, a failed kernel
        return record
    return (numbers, None, record.step, record.wall_time) if len(numbers) == len(record.tags) else record
