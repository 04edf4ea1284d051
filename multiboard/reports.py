"""What went wrong without stopping anybody: counted always, said once per cause.

The writer thread and the running loop must not raise; they report here. A warning that a filter turns into an error goes to the
log instead.
"""

from __future__ import annotations

import logging
import sys
import threading
import warnings
from collections import Counter
from typing import TYPE_CHECKING, Final

from multiboard.errors import MultiboardWarning

if TYPE_CHECKING:
    from collections.abc import Callable

_logger = logging.getLogger("multiboard")
_OURS: Final = {"multiboard", "multiboard_torch", "multiboard_jax", "multiboard_keras"}
WRITER_THREAD: Final = "multiboard-writer"


class Reports:
    """Counts causes of one run.

    Args:
        on_error: called with cause and message at every occurrence, in the thread where it happens.
    """

    def __init__(self, on_error: Callable[[str, str], None] | None = None) -> None:
        self.counts: Counter[str] = Counter()
        self._on_error = on_error

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
            _logger.warning(message)

    def _call(self, callback: Callable[[str, str], None], cause: str, message: str) -> None:
        try:
            callback(cause, message)
        except Exception:
            _logger.exception("on_error raised for %s", cause)


def _levels_to_the_user() -> int:
    """Return the stack level, for a warning in the calling function, of the first frame outside this package's code."""
    frame, level = sys._getframe(1), 1  # noqa: SLF001  # the documented way to walk the stack cheaply
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] in _OURS:
        frame, level = frame.f_back, level + 1
    return level
