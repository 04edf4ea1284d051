"""The hooks of all modules: one pair for all who observe, who may end in any order and in the middle of a call.

Where a module raises, PyTorch goes through the hooks one by one, and one that is taken off meanwhile would end that with an error
of its own. The last hook may be taken off.
"""

from __future__ import annotations

import sys
import threading
import warnings
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Protocol

import torch
from torch.nn.modules import module as module_hooks

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import nn
    from torch.utils.hooks import RemovableHandle


class Listener(Protocol):
    """Hears of the calls of modules in all threads; raises nothing."""

    def before_module(self, module: nn.Module) -> None:
        """Hear that a module is called."""

    def after_module(self, module: nn.Module, args: Any, result: Any) -> None:
        """Hear what a module returned; None if it raised."""


class _Hooks:
    """The state of the process: who listens now."""

    def __init__(self) -> None:
        self._listeners: list[Listener] = []
        self._lock = threading.Lock()
        self._handles: list[RemovableHandle] = []

    def begin(self, listener: Listener) -> None:
        with self._lock:
            self._listeners.append(listener)
            if not self._handles:
                self._handles.append(module_hooks.register_module_forward_pre_hook(self._before))
                self._handles.append(module_hooks.register_module_forward_hook(self._after, always_call=True))

    def end(self, listener: Listener) -> None:
        with self._lock:
            self._listeners = [one for one in self._listeners if one is not listener]
            if not self._listeners and (sys.exception() is None or _is_last(self._handles)):
                self._take_off()

    def _take_off(self) -> None:
        while self._handles:
            self._handles.pop().remove()

    def _before(self, module: nn.Module, _args: Any) -> None:
        if torch.compiler.is_compiling():  # the compiler answers this itself, and then compiles nothing of what follows
            return
        for listener in self._listeners:
            listener.before_module(module)
        if not self._listeners:
            with self._lock:
                if not self._listeners:
                    self._take_off()

    def _after(self, module: nn.Module, args: Any, result: Any) -> None:
        if not torch.compiler.is_compiling():
            for listener in self._listeners:
                listener.after_module(module, args, result)


def _is_last(handles: list[RemovableHandle]) -> bool:
    """Tell whether a hook of the user stands behind that of the last handle; True if there is none."""
    hooks = handles[-1].hooks_dict_ref() if handles else None
    return not hooks or next(reversed(hooks)) == handles[-1].id


_HOOKS: Final = _Hooks()


def silence_compiled() -> Callable[[], None]:
    """Keep compiled modules from warning of hooks on all modules, which a user has not set; returns what ends that."""
    warnings.filterwarnings("ignore", "Using `torch.compile.module.` when there are global hooks", UserWarning)
    return partial(_remove_filter, warnings.filters[0])


def _remove_filter(entry: object) -> None:
    if entry in warnings.filters:
        warnings.filters.remove(entry)  # type: ignore[attr-defined]


def begin_modules(listener: Listener) -> None:
    """Tell a listener of all modules until `end_modules`."""
    _HOOKS.begin(listener)


def end_modules(listener: Listener) -> None:
    """Tell it no more; a second call does nothing."""
    _HOOKS.end(listener)
