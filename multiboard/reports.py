"""What went wrong without stopping anybody: counted always, said once per cause.

The writer thread and the running loop must not raise; they report here. A warning that a filter turns into an error goes to the
log instead.
"""

from __future__ import annotations

import sys
import threading
import warnings
from collections import Counter
from typing import TYPE_CHECKING, Final, NamedTuple

from multiboard.errors import MultiboardWarning
from multiboard.tags import dropped

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable

_OURS: Final = {"multiboard", "multiboard_torch", "multiboard_jax", "multiboard_keras"}
WRITER_THREAD: Final = "multiboard-writer"


class Drops(NamedTuple):
    """Values of one kind that had to go.

    Attributes:
        total: so far.
        step: the largest step of them.
    """

    total: int
    step: int


class Reports:
    """Counts causes of one run.

    Args:
        on_error: called with cause and message at every occurrence, in the thread where it happens.
        on_drop: called with kind, number of values and step at every drop, in the thread where it happens.
    """

    def __init__(
        self,
        on_error: Callable[[str, str], None] | None = None,
        on_drop: Callable[[str, int, int], None] | None = None,
    ) -> None:
        self.counts: Counter[str] = Counter()
        self._on_error, self._on_drop = on_error, on_drop
        self._drops: dict[str, Drops] = {}
        self._written: dict[str, int] = {}
        self._lock = threading.RLock()

    def add(self, cause: str, message: str) -> None:
        """Count a cause and say it if it is new; the warning points at the user's line.

        Args:
            cause: a short key; the same key is said once.
            message: one sentence that names the input, the rule and the remedy.
        """
        self.counts[cause] += 1
        if self._on_error is not None:
            self._call(self._on_error, cause, message)
        if self.counts[cause] == 1:
            self._say(message)

    def drop(self, kind: str, count: int, step: int, reason: str, *, cause: str = "") -> None:
        """Count values that had to go, and say it once per kind.

        Args:
            kind: of the values.
            count: how many.
            step: of the values.
            reason: why, as half a sentence.
            cause: a key of its own, under which the reason is said as it is.
        """
        with self._lock:
            before = self._drops.get(kind, Drops(0, step))
            self._drops[kind] = Drops(before.total + count, max(before.step, step))
        if self._on_drop is not None:
            self._call(self._on_drop, kind, count, step)
        said = f"values of the kind {kind} are dropped from step {step} on: {reason}; {dropped(kind)!r} counts them."
        self.add(cause or f"{kind} dropped", reason if cause else said)

    def new_drops(self) -> dict[str, Drops]:
        """Return by kind what was dropped so far, where it has changed since the last call."""
        if not self._drops:
            return {}
        with self._lock:
            changed = {kind: drops for kind, drops in self._drops.items() if drops.total != self._written.get(kind)}
            self._written |= {kind: drops.total for kind, drops in changed.items()}
        return changed

    def summary(self) -> str:
        """Return one line with all counts, empty if there are none."""
        return ", ".join(f"{cause} ({count})" for cause, count in sorted(self.counts.items()))

    def _say(self, message: str) -> None:
        try:
            if threading.current_thread().name == WRITER_THREAD:  # no line of the caller is on this stack
                warnings.warn_explicit(message, MultiboardWarning, "multiboard", 0)
            else:
                warnings.warn(message, MultiboardWarning, stacklevel=_levels_to_the_user())
        except MultiboardWarning:  # a filter turns warnings into errors, but nothing of ours may end a training
            _logger().warning(message)

    def _call(self, callback: Callable[..., None], *arguments: object) -> None:
        try:
            callback(*arguments)
        except Exception:  # noqa: BLE001  # it is the user's
            _logger().exception("a callback raised for %s", arguments)


def _logger() -> logging.Logger:
    import logging  # when it is needed: its import costs as much as that of five files of this package

    return logging.getLogger("multiboard")


def _levels_to_the_user() -> int:
    """Return the stack level, for a warning in the calling function, of the first frame outside this package's code."""
    frame, level = sys._getframe(1), 1  # noqa: SLF001  # the documented way to walk the stack cheaply
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] in _OURS:
        frame, level = frame.f_back, level + 1
    return level
