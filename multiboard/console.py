"""What the process prints, as texts `console` at the steps of the run.

The `write` of the streams that are `sys.stdout` and `sys.stderr` now is followed by a copy for the run. The streams stay the
objects that they are, so that handlers of `logging` that hold them are heard, too, and what the terminal shows, `isatty`,
`fileno` and the encoding do not change. Not heard is what goes past them: programs that are started, and C and C++ code that
writes to file descriptors. Leading those through a pipe would take the terminal from them, and lose what is in the pipe when the
process is killed.
"""

from __future__ import annotations

import os
import sys
import threading
import weakref
from collections import deque
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from multiboard.console_text import Budget, Lines
from multiboard.forks import ForkableLock

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from multiboard.buckets import Statistics
    from multiboard.run import Run

TAG: Final = "console"
SECONDS: Final = 2.0
"""After which what was printed becomes a text, if the run has taken a step since the last one."""
_PRINTS: Final = 200
"""After which it does so at once."""
_SECONDS_OF_A_STEP: Final = 60.0
"""The same within one step: every text has a step of its own, because the data server of TensorBoard shows one text of each."""
_PRINTS_OF_A_STEP: Final = 4000
_CHARACTERS: Final = 2**20
"""After which it becomes a text in any case."""
_PATIENCE: Final = 10.0
"""Seconds that the end of a run waits for the step of its last value."""
_TURN: Final = 2.0
"""Seconds that it waits for another thread that makes a text."""
_WAITING: Final = 10_000
"""Prints that wait for the writer, before the caller makes the text itself."""
_WAITING_CHARACTERS: Final = 8 * _CHARACTERS


def capture(run: Run) -> None:
    """Log what the process prints from now on, until the run is closed.

    Args:
        run: an open one.

    Raises:
        ClosedRunError: the run is closed.
    """
    console = Console(run)
    run.observe(console)
    run.before_close(console.finish)
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is not None and not listen(stream, console, name):
            message = f"sys.{name} is a {type(stream).__name__}, whose write cannot be followed; it is left out."
            run.report(f"console {name}", message)


class Console:
    """Collects what is printed, and writes it into a run.

    Args:
        run: where it goes.
    """

    def __init__(self, run: Run) -> None:
        self._run = weakref.ref(run)  # the writer thread holds this, and a run that is forgotten must be let go
        self._step = run.start_step
        self._told = self._step - 1
        self._printed: deque[tuple[str, str]] = deque()
        self._size = 0
        self._lines = Lines()
        self._budget = Budget()
        self._writing = threading.Lock()  # not waited for before the end: who finds it taken leaves its prints to the other one
        self._written = monotonic()
        self._process = os.getpid()
        self.listening = True

    def heard(self, name: str, text: str) -> None:
        """Take what was printed, in the thread that prints; raises nothing and waits for nothing."""
        if not self.listening or os.getpid() != self._process:
            return
        self._printed.append((name, text))
        self._size += len(text)
        if self._is_late():
            self._write()  # no writer thread: a durable run, or one whose writer waits

    def saw_scalars(self, numbers: Mapping[str, float], step: int, wall_time: float) -> None:  # noqa: ARG002  # of the protocol
        """Keep the step."""
        self._step = max(step, self._step)

    def saw_histogram(self, tag: str, statistics: Statistics, step: int, wall_time: float) -> None:  # noqa: ARG002  # of the protocol
        """Keep the step."""
        self._step = max(step, self._step)

    def tick(self) -> None:
        """Write what is due; of a program that a signal ends, all."""
        run = self._run()
        if run is not None and run.ending:
            self._write(last=True)
        elif not self._printed:
            self._written = monotonic()
        elif self._is_due():
            self._write()

    def _is_due(self) -> bool:
        new = self._step > self._told
        seconds, prints = (SECONDS, _PRINTS) if new else (_SECONDS_OF_A_STEP, _PRINTS_OF_A_STEP)
        return monotonic() - self._written > seconds or len(self._printed) >= prints or self._size >= _CHARACTERS

    def _is_late(self) -> bool:
        if len(self._printed) >= _WAITING or self._size >= _WAITING_CHARACTERS:
            return True
        return monotonic() - self._written > 2 * SECONDS and self._is_due()

    def close(self) -> None:
        """Listen no more."""
        self._stop()

    def finish(self) -> None:
        """Write all that was printed, while the run still takes it."""
        run = self._run()
        if run is not None:
            run.flush(_PATIENCE)  # for the step of the last value
        self._stop()
        self._write(last=True, wait=_TURN)

    def _stop(self) -> None:
        self.listening = False
        leave(self)

    def _write(self, *, last: bool = False, wait: float = 0.0) -> None:
        if not self._writing.acquire(timeout=wait):
            return
        try:
            self._written, self._size = monotonic(), 0
            for _ in range(len(self._printed)):
                self._lines.add(*self._printed.popleft())
            text = self._budget.take(self._lines.finished(last=last))
            self._note(text)
            if last:
                self._note(self._budget.rest())
        finally:
            self._writing.release()

    def _note(self, text: str) -> None:
        run = self._run()
        if text and run is not None and not run.closed:
            self._told = max(self._step, self._told + 1)
            run.note(TAG, text, self._told)


class _Follower:
    """The `write` of a stream, followed by copies for consoles.

    Args:
        stream: whose `write` it becomes.
    """

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._own = "write" in vars(stream)
        self._write: Callable[[str], int] = stream.write
        self.listeners: tuple[tuple[Console, str], ...] = ()

    def __call__(self, text: str, /) -> int:
        """Write a text, and copy it."""
        count = self._write(text)
        if type(text) is str:
            for console, name in self.listeners:
                console.heard(name, text)
        return count

    def restore(self) -> None:
        """Give the stream its `write` back, unless somebody else has replaced it since: then this one goes on without copies."""
        if vars(self._stream).get("write") is self:
            if self._own:
                self._stream.write = self._write
            else:
                del self._stream.write


_followers: Final[list[_Follower]] = []
_changing: Final = ForkableLock()


def listen(stream: Any, console: Console, name: str) -> bool:
    """Let a console hear what is written to a stream; tell whether that can be done.

    Args:
        stream: an open one.
        console: to hear it.
        name: of the stream.
    """
    with _changing.current:
        follower = vars(stream).get("write") if hasattr(stream, "__dict__") else None
        if not isinstance(follower, _Follower):
            try:
                follower = _Follower(stream)
                stream.write = follower
            except (AttributeError, TypeError):
                return False
            _followers.append(follower)
        if all(each is not console for each, _ in follower.listeners):  # one stream may be both of them
            follower.listeners = (*follower.listeners, (console, name))
    return True


def leave(console: Console) -> None:
    """Let a console hear nothing more; a stream that nobody hears gets its own `write` back."""
    with _changing.current:
        for follower in tuple(_followers):
            follower.listeners = tuple(each for each in follower.listeners if each[0] is not console)
            if not follower.listeners:
                follower.restore()
                _followers.remove(follower)
