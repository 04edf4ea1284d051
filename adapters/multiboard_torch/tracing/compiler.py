"""Keeps the compiler away while a model is observed: compiled functions run as they are written, for whoever observes.

The import of the compiler takes a second. Until somebody else does it, nothing is compiled; a function that is compiled first
inside the observed call brings it in. What PyTorch compiles by itself, as `torch.cond` does, works in no other way and runs
compiled, unobserved. Torch before 2.6 runs all compiled functions so.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Final

import torch

from multiboard_torch._compat import compiles_itself, has_compiler

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    Apart = Callable[[str, Callable[..., Any]], Callable[..., Any]]
    """Makes a function, given its name, one that runs unobserved."""


class _Eager:
    """The state of the process: who observes now. They may end in any order."""

    def __init__(self) -> None:
        self._users: list[Apart] = []
        self._lock = threading.Lock()
        self._original: Callable[..., Any] | None = None
        self._stance: AbstractContextManager[Any] | None = None

    def begin(self, apart: Apart) -> None:
        with self._lock:
            self._users.append(apart)
            if self._original is None and hasattr(torch.compiler, "set_stance"):
                self._original = torch.compile
                torch.compile = self._compile
                if has_compiler():
                    self._enter()

    def end(self, apart: Apart) -> None:
        with self._lock:
            self._users.remove(apart)
            if not self._users:
                self._leave()

    def _enter(self) -> None:
        self._stance = torch.compiler.set_stance("force_eager")
        self._stance.__enter__()

    def _leave(self) -> None:
        stance, self._stance = self._stance, None
        if self._original is not None and torch.compile == self._compile:
            torch.compile = self._original
        self._original = None
        if stance is not None:
            stance.__exit__(None, None, None)

    def _compile(self, *args: Any, **kwargs: Any) -> Any:
        original = self._original or torch.compile
        function = args[0] if args else kwargs.get("model")
        if not compiles_itself(function):
            with self._lock:
                if self._users and self._stance is None:
                    self._enter()
            return original(*args, **kwargs)
        compiled = _in_default_stance(original(*args, **kwargs))
        for apart in self._users:
            compiled = apart(str(getattr(function, "__name__", "")), compiled)
        return compiled


def _in_default_stance(function: Callable[..., Any]) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        with torch.compiler.set_stance("default"):
            return function(*args, **kwargs)

    return call


_EAGER: Final = _Eager()


def begin_eager(apart: Apart) -> None:
    """Run compiled functions as they are written until `end_eager`.

    Args:
        apart: is given each function that must be compiled all the same.
    """
    _EAGER.begin(apart)


def end_eager(apart: Apart) -> None:
    """End what `begin_eager` began; the last one puts everything back."""
    _EAGER.end(apart)
