"""Seeing the calls of linen modules while a step is traced: linen intercepts methods itself."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING, Any

from multiboard import tags
from multiboard_jax.layer_paths import join
from multiboard_jax.layers import Frame

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from multiboard_jax.layers import Watcher


def linen_calls(watcher: Watcher, takes: Callable[[Any, str], bool]) -> AbstractContextManager[Any]:
    """Return a context in which a watcher is told of the calls of linen modules.

    Args:
        watcher: is told of them.
        takes: whether it is told of a module, which has its variables, and the name of its method.
    """
    linen = sys.modules.get("flax.linen")
    if linen is None:
        return contextlib.nullcontext()

    def intercept(function: Callable[..., Any], args: Any, kwargs: Any, context: Any) -> Any:
        module = context.module
        if module.scope is None or not takes(module, context.method_name):
            return function(*args, **kwargs)
        base = watcher.frames[-1].base if watcher.frames else ""
        path = join(base, tags.layer_path("/".join(module.path)))
        return watcher.within(Frame(module, path, base, linen=True), lambda: function(*args, **kwargs))

    intercepted: AbstractContextManager[Any] = linen.intercept_methods(intercept)
    return intercepted
