"""The calls of modules while a graph is traced: each opens a scope that tells its name, its class and which call it is.

Modules of NNX and equinox are seen through `layers`, those of linen through `linen_calls`. Traces that are
made here are kept apart from those of the training, where JAX can do that, so that neither has the names of the other.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from multiboard_jax._compat import only_here
from multiboard_jax.layer_paths import join, layers_in, unmark
from multiboard_jax.layers import Watcher, watching
from multiboard_jax.linen_calls import linen_calls
from multiboard_jax.tracing.parts import module_scope

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from multiboard_jax.layers import Frame


class _Scopes(Watcher):
    """Opens a scope for every call of a module.

    Args:
        key: traces with another key are kept apart.
        marks: write paths into the modules of NNX: see `layers`.
    """

    def __init__(self, key: object, *, marks: bool) -> None:
        super().__init__(lambda _, __, output: output, key, marks=marks)
        self._root = ""

    def learn(self, tree: Any) -> None:
        """Take in the modules of a tree, and the class of the outermost one."""
        super().learn(tree)
        roots = (type(layer).__name__ for path, layer in layers_in(tree) if not path)
        self._root = self._root or next(roots, "")

    def within(self, frame: Frame, function: Callable[[], Any]) -> Any:
        """Call a function as a module; a method that a module calls of itself is a part of the same call."""
        if self.frames and self.frames[-1].path == frame.path:
            return super().within(frame, function)
        with module_scope(self._name(frame), type(frame.layer).__name__):
            return super().within(frame, function)

    def _apart(self, module: Any) -> AbstractContextManager[None]:
        if module.scope is None:
            return contextlib.nullcontext()
        return only_here((self._key, self.frames[-1].base if self.frames else "", module.path))

    def _name(self, frame: Frame) -> str:
        if not frame.path:
            return type(frame.layer).__name__
        if not self.frames:
            return frame.path if frame.linen else join(self._root, frame.path)
        outer = self.frames[-1].path
        inside = frame.path.startswith(f"{outer}/") or not outer
        return frame.path.removeprefix(f"{outer}/") if inside else frame.path.rpartition("/")[2]


@contextlib.contextmanager
def module_scopes(arguments: Any, *, marks: bool) -> Iterator[None]:
    """Let every module that is called inside open a scope.

    Args:
        arguments: of the function that is traced, with the modules in them.
        marks: as of `layers.Watcher`; without them modules that are equal cannot always be told apart, with them not every
            function can be traced.
    """
    key = object()
    scopes = _Scopes(key, marks=marks)
    try:
        with watching(scopes, arguments), linen_calls(scopes, _is_layer), only_here(key):
            yield
    finally:
        if marks:
            unmark(arguments)


def _is_layer(_: Any, method: str) -> bool:
    return method == "__call__" or not (method == "setup" or method.startswith("_"))
