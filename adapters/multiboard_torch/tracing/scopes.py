"""Where the program is: the stack of modules, functions and regions that an observer keeps while it records."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from multiboard_torch.tracing.native import call_name

if TYPE_CHECKING:
    from collections.abc import Callable

    from multiboard.graph.ir import Frame, Scope
    from multiboard.graph.recorder import Recorder


class Scopes:
    """A stack of scopes; a scope is built once where it is entered, so that reading it costs nothing.

    Args:
        recorder: numbers the frames.
    """

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._levels: list[Scope | Callable[..., Any]] = [()]

    @property
    def now(self) -> Scope:
        """Return the frames around what runs now, outermost first."""
        top = self._levels[-1]
        if isinstance(top, tuple):
            return top
        below = self._levels[-2]
        frame = self._recorder.frame("call", call_name(top))
        self._levels[-1] = scope = (*(below if isinstance(below, tuple) else ()), frame)
        return scope

    @property
    def depth(self) -> int:
        """Return how many levels there are."""
        return len(self._levels)

    def push(self, frame: Frame) -> None:
        """Enter a frame below the current one."""
        self._levels.append((*self.now, frame))

    def enter(self, scope: Scope) -> None:
        """Go to another place until `pop`, whatever the current one is."""
        if not isinstance(self._levels[-1], tuple):
            _ = self.now
        self._levels.append(scope)

    def call(self, function: Callable[..., Any]) -> None:
        """Enter a function of the API; it gets a frame when something is recorded in it."""
        if not isinstance(self._levels[-1], tuple):
            _ = self.now
        self._levels.append(function)

    def pop(self) -> None:
        """Leave what was entered last."""
        if len(self._levels) > 1:
            del self._levels[-1]

    def cut(self, depth: int) -> None:
        """Leave all levels above a depth."""
        del self._levels[max(depth, 1) :]
