"""What went wrong without stopping anybody: counted always, said once per cause.

The writer thread and the running loop must not raise; they report here. A warning that a filter turns into an error goes to the
log instead.
"""

from __future__ import annotations

import contextlib
import sys
import threading
import warnings
from collections import Counter, deque
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from multiboard.errors import MultiboardWarning
from multiboard.forks import unforked, without_hanging
from multiboard.tags import dropped

if TYPE_CHECKING:
    from collections.abc import Callable

_ADAPTERS: Final = ("torch", "jax", "keras", "lightning", "transformers", "bridges")
_OURS: Final = {"multiboard", *(f"multiboard_{name}" for name in _ADAPTERS)}
_OUR_THREADS: Final = "multiboard-"
WRITER_THREAD: Final = f"{_OUR_THREADS}writer"
_CAUSES: Final = 1000
"""Causes that are told apart; wrong calls with ever new tags must not fill the memory."""


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
        self._first: dict[str, object] = {}
        self._dropped: deque[tuple[str, int, int]] = deque()
        self._drops: dict[str, Drops] = {}

    def add(self, cause: str, message: str) -> None:
        """Count a cause and say it if it is new; the warning points at the user's line.

        Args:
            cause: a short key; the same key is said once.
            message: one sentence that names the input, the rule and the remedy.
        """
        if cause not in self.counts and len(self.counts) >= _CAUSES:
            cause = "further causes"
        self.counts[cause] += 1
        occurrence = object()
        is_first = self._first.setdefault(cause, occurrence) is occurrence  # atomic: one of many threads is the first
        if self._on_error is not None:
            self._call(self._on_error, cause, message)
        if is_first:
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
        self._dropped.append((kind, count, step))
        if self._on_drop is not None:
            self._call(self._on_drop, kind, count, step)
        said = f"values of the kind {kind} are dropped from step {step} on: {reason}; {dropped(kind)!r} counts them."
        self.add(cause or f"{kind} dropped", reason if cause else said)

    def new_drops(self) -> dict[str, Drops]:
        """Return by kind what was dropped so far, where it has changed since the last call; for one thread at a time."""
        changed = set()
        while self._dropped:
            kind, count, step = self._dropped.popleft()
            before = self._drops.get(kind, Drops(0, step))
            self._drops[kind] = Drops(before.total + count, max(before.step, step))
            changed.add(kind)
        return {kind: self._drops[kind] for kind in sorted(changed)}

    def summary(self) -> str:
        """Return one line with all counts, empty if there are none."""
        return ", ".join(f"{cause} ({count})" for cause, count in sorted(dict(self.counts).items()))

    def _say(self, message: str) -> None:
        is_ours = threading.current_thread().name.startswith(_OUR_THREADS)  # no line of the caller is on this stack
        without_hanging(partial(_warn, message, *(("multiboard", 0) if is_ours else _place_of_the_user())))

    def _call(self, callback: Callable[..., None], *arguments: object) -> None:
        try:
            callback(*arguments)
        except (Exception, SystemExit) as error:  # noqa: BLE001  # it is the user's, and an exit would end the writer thread only
            without_hanging(partial(_write_to_log, "a callback raised for %s", arguments, exc_info=error))


def _warn(message: str, *place: Any) -> None:
    try:
        with unforked():
            warnings.warn_explicit(message, MultiboardWarning, *place)
    except Exception:  # noqa: BLE001  # a filter that turns warnings into errors, a stream that is closed: neither may end a training
        _write_to_log(message)


def _write_to_log(message: str, *arguments: object, exc_info: BaseException | None = None) -> None:
    with contextlib.suppress(Exception), unforked():
        import logging  # when it is needed: its import costs as much as that of five files of this package

        level = logging.WARNING if exc_info is None else logging.ERROR
        logging.getLogger("multiboard").log(level, message, *arguments, exc_info=exc_info)


def _place_of_the_user() -> tuple[str, int, str, dict[str, int]]:
    """Return what `warnings.warn_explicit` takes for the first frame outside this package's code."""
    frame = sys._getframe(1)  # noqa: SLF001  # the documented way to walk the stack cheaply
    while frame.f_back is not None and str(frame.f_globals.get("__name__")).partition(".")[0] in _OURS:
        frame = frame.f_back
    names = frame.f_globals
    registry = names.setdefault("__warningregistry__", {})
    return frame.f_code.co_filename, frame.f_lineno, names.get("__name__", "<string>"), registry
