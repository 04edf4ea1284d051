"""What lies between the callers of one run and the writer: a queue of scalars, a queue of everything else, and what is refused.

The caller appends and returns. Only what does not fit into the memory budget is looked at: it is dropped and counted, or, with
`overflow="block"`, waited for. A loop that does nothing but log would take the interpreter lock from the writer nearly all the
time, because the writer gives it back with every NumPy operation; once a quarter of the room is taken, such a loop pauses for 2
ms every 1024 calls, so that its values are written instead of dropped.
"""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING, Final

from multiboard.counting import counted
from multiboard.protocols import is_pending
from multiboard.sizes import bytes_of, call_bytes
from multiboard.values import IMMEDIATE, Capture, Scalars

if TYPE_CHECKING:
    from collections.abc import Callable

    from multiboard.budget import MemoryBudget
    from multiboard.protocols import Logged, Sink
    from multiboard.reports import Reports
    from multiboard.values import Foreign, Value

_SAMPLED: Final = 17
"""One call in so many; an odd number, because calls of different size tend to alternate."""
_POLL: Final = 0.002
"""Seconds between two looks at a full queue."""
_HURRIED: Final = 4
"""One part in so many of its room may fill before a queue makes its callers pause."""
_CALLS_PER_PAUSE: Final = 1024
_PAUSE: Final = 0.002
"""Seconds."""


class QueueLane:
    """The queues of one run.

    Args:
        sink: where the writer brings the values.
        budget: the memory of the run and its children.
        reports: receives what is dropped.
        waits: whether a caller waits for memory instead; asked each time, so that nobody waits for a writer that has ended.

    Attributes:
        numbers: calls with scalars.
        append: puts one there; allowed while there are fewer than `limit`.
        limit: how many there may be before `overflow` has to be asked.
        active: whether the writer has found scalars at its last look.
        reached: the largest step of what has come to the writer, about: of scalars that come together the last one counts.
    """

    def __init__(self, sink: Sink, budget: MemoryBudget, reports: Reports, waits: Callable[[], bool]) -> None:
        self.sink = sink
        self.numbers: deque[Logged] = deque()
        self.append = self.numbers.append
        self._values: deque[tuple[Value, int]] = deque()
        self._budget, self._reports, self._waits = budget, reports, waits
        self.active = False
        self.reached: int | None = None
        self._call_bytes = call_bytes(1)
        self._lanes = 1
        self.limit = 0
        self.set_limit()

    def set_limit(self, lanes: int | None = None) -> None:
        """Fit the limit of the scalars to the memory that is free.

        Args:
            lanes: that share the memory now; None is as before.
        """
        self._lanes = lanes or self._lanes
        self._room = self._budget.scalar_calls(self._call_bytes, self._lanes)
        self.limit = min(self._room, max(self._room // _HURRIED, self.limit))  # what a pause has earned stays

    def overflow(self, logged: Logged) -> None:
        """Take scalars when there is little room: let the writer work; without room wait for it, or drop them and count."""
        while len(self.numbers) >= self._room and self._waits():
            time.sleep(_POLL)
        if len(self.numbers) < self._room:
            self.numbers.append(logged)
            self.limit = min(self._room, len(self.numbers) + _CALLS_PER_PAUSE)
            time.sleep(_PAUSE)
        else:
            count = 1 if isinstance(logged[0], str) else len(logged[0])
            self._reports.drop("scalar", count, logged[2], "memory is full of scalars that wait to be written")

    def put_scalars(self, scalars: Scalars) -> None:
        """Take scalars of any kind."""
        self._call_bytes = max(self._call_bytes, call_bytes(len(scalars.tags)))
        if len(self.numbers) < self.limit:
            self.numbers.append(scalars)
        else:
            self.overflow(scalars)

    def put(self, value: Value, kind: str, tag: object, step: int) -> None:
        """Take a value that comes again and again; when memory fills, the caller counts large arrays, then only some are kept.

        Args:
            value: no scalars.
            kind: what it is counted as if it is dropped.
            tag: or the tags of a capture, which is as many values.
            step: of the value.
        """
        size = bytes_of(value)
        if self._budget.is_filling(size, self._scalar_bytes()):
            value = counted(value)
            size = bytes_of(value)
        self.reached = later(self.reached, step)
        if self._fits(tag, size):
            self._values.append((value, size))
            self.set_limit()
            return
        reason = "memory is full of values that wait to be written"
        if not self._budget.could_hold(size):
            reason = f"a value of {size} bytes is larger than three quarters of memory_bytes={self._budget.limit}"
        self._reports.drop(kind, len(tag) if isinstance(tag, tuple) else 1, step, reason)

    def _fits(self, tag: object, size: int) -> bool:
        if not self._waits():
            return self._budget.take(tag, size, self._scalar_bytes())
        while not (fits := self._budget.take_if_free(size, self._scalar_bytes())):
            if not (self._budget.could_hold(size) and self._waits()):
                break
            time.sleep(_POLL)
        return fits

    def _scalar_bytes(self) -> int:
        return len(self.numbers) * self._call_bytes

    def put_once(self, value: Value) -> None:
        """Take a value of which there is one in a run; it is never dropped."""
        size = bytes_of(value)
        self._budget.always_take(size)
        self._values.append((value, size))

    def end(self, value: Value) -> None:
        """Take the last value from a signal handler, where no lock may be taken."""
        self._values.append((value, 0))

    def newest_step(self) -> int | None:
        """Return the largest step that was put, about; None before the first."""
        try:
            return later(self.reached, self.numbers[-1][2])
        except IndexError:  # there is none, or the writer was faster
            return self.reached

    # ------------------------------------------------------------------ for the writer

    def taken_numbers(self, *, hold_back: Callable[[Foreign], bool] | None = None) -> list[Logged]:
        """Return the scalars that are there.

        Args:
            hold_back: called with every value that may have to be fetched; True leaves its call and all that follow in the queue.
        """
        logged: list[Logged] = []
        for _ in range(len(self.numbers)):
            record = self.numbers.popleft()
            if type(record) is Scalars and hold_back is not None and any(map(hold_back, record.values)):
                self.numbers.appendleft(record)
                break
            logged.append(record)
        if logged:
            self.limit = self._room // _HURRIED
            self._learn_size(logged)
        return logged

    def _learn_size(self, logged: list[Logged]) -> None:
        """Take a sample of the calls for what one of them takes."""
        self.active = True
        self.reached = later(self.reached, logged[-1][2])
        tags = [1 if isinstance(record[0], str) else len(record[0]) for record in logged[::_SAMPLED]]
        self._call_bytes = max(self._call_bytes, call_bytes(sum(tags) // len(tags)))

    def next_value(self, *, wait: bool) -> Value | None:
        """Return the next of the other values, or None.

        Args:
            wait: also one that is still being computed.
        """
        if not self._values or not (wait or not is_unready(_awaited(self._values[0][0]))):
            return None
        value, size = self._values.popleft()
        self._budget.give_back(size)
        return value

    def values_waiting(self) -> int:
        """Return how many of the other values there are."""
        return len(self._values)

    def clear(self) -> None:
        """Forget everything."""
        self.numbers.clear()
        self._values.clear()


def later(reached: int | None, step: int) -> int:
    """Return the larger one of two steps; None is before all of them."""
    return step if reached is None or step > reached else reached


def is_unready(value: Foreign) -> bool:
    """Tell whether a pending value says that fetching it would wait."""
    return _says_ready(value) is False


def may_wait(value: Foreign) -> bool:
    """Tell whether fetching a value could wait for a device."""
    return type(value) not in IMMEDIATE and not _says_ready(value)


def _says_ready(value: Foreign) -> bool | None:
    """Return what a pending value says of itself, None if it cannot be asked.

    Arrays of JAX are not asked: their `is_ready` ends the process if another thread donates the array meanwhile.
    """
    if not (is_pending(value) and hasattr(value, "is_ready")):
        return None
    try:
        return bool(value.is_ready())
    except Exception:  # noqa: BLE001  # e.g. a device that failed: fetching the value reports it
        return True


def _awaited(value: Value) -> object:
    """Return the part of a value that is computed on a device."""
    return value.batch if isinstance(value, Capture) else getattr(value, "awaited", value)
