"""Run facts on their way: git is asked in a thread of its own, so that nothing waits for it in the meantime."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from multiboard.forks import unforked

if TYPE_CHECKING:
    from multiboard.kinds.hparams import HParam


class Gathering:
    """Gathers the facts of this process from when it is first asked for them; a pending value."""

    def __init__(self) -> None:
        self._found: dict[str, HParam] = {}
        self._thread: threading.Thread | None = None

    def is_ready(self) -> bool:
        """Tell whether they are there."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._gather, name="multiboard-facts", daemon=True)
            try:
                self._thread.start()
            except RuntimeError:  # at the end of the interpreter no thread can be started
                self._gather()
        return not self._thread.is_alive()

    def fetch(self) -> dict[str, HParam]:
        """Return the facts; waits for at most `facts.repository.LIMIT` seconds and a few milliseconds."""
        if not self.is_ready() and self._thread is not None:
            self._thread.join()
        return self._found

    def _gather(self) -> None:
        with unforked():  # a child would wait for a module that was half imported when it was forked
            from multiboard import facts

        self._found = {**facts.gather()}
