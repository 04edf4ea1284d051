"""Where the tracer of a framework is; nothing is imported of a framework that the program does not use."""

from __future__ import annotations

import contextlib
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Final

from multiboard.errors import ArgumentError, MissingFrameworkError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from multiboard.profile.tracer import Request, Tracer

ADAPTERS: Final[dict[str, str]] = {
    "torch": "multiboard_torch.profile",
    "jax": "multiboard_jax.profile",
    "tensorflow": "multiboard_keras.profile_tensorflow",
}
"""By the name of a framework, which is also that of its module: the module that has `make_tracer`."""

_LISTENERS: Final[dict[str, str]] = {"torch": "multiboard_torch.compiled_graphs"}
"""By framework: the module whose `GRAPHS` learn of what is compiled before a window, in which that is run."""


def check_frameworks(value: object) -> tuple[str, ...]:
    """Return the argument `framework` of a profiler as a tuple, empty for None.

    Raises:
        ArgumentError: it names something else than frameworks, or one twice.

    >>> check_frameworks("torch"), check_frameworks(("jax", "torch")), check_frameworks(None)
    (('torch',), ('jax', 'torch'), ())
    """
    if value is None:
        return ()
    names = (value,) if isinstance(value, str) else tuple(value) if isinstance(value, (tuple, list)) else ("",)
    if not names or len(set(names)) < len(names) or any(name not in ADAPTERS for name in names):
        known = ", ".join(map(repr, ADAPTERS))
        raise ArgumentError("framework", value, f"use one of {known}, or several, that with the device first")
    return names


def loaded() -> tuple[str, ...]:
    """Return the frameworks that the program has imported."""
    return tuple(name for name in ADAPTERS if sys.modules.get(name) is not None)


def listen(frameworks: Iterable[str]) -> None:
    """Let the adapters of frameworks that are imported learn of what is compiled from now on. Raises nothing."""
    for name in frameworks:
        if name in _LISTENERS and sys.modules.get(name) is not None:
            with contextlib.suppress(Exception):  # a profile without layers is better than none
                import_module(_LISTENERS[name]).GRAPHS.listen()


def make_tracer(framework: str, request: Request) -> Tracer:
    """Return the tracer of a framework, which has to be imported already.

    Raises:
        MissingFrameworkError: it is not.
    """
    if sys.modules.get(framework) is None:
        raise MissingFrameworkError("its profile", f"{framework}, which this program has not imported", framework)
    make: Callable[[Request], Tracer] = import_module(ADAPTERS[framework]).make_tracer
    return make(request)
