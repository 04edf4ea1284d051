"""What a thread logs to where a call does not say it: the default writer, the default step, the condition and the name scope."""

from __future__ import annotations

import contextlib
import sys
import threading
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from multiboard.run import Run

Condition: TypeAlias = "Any | Callable[[], Any]"
"""A bool, a scalar of any framework, or a function that returns one."""


class Defaults(threading.local):
    """The defaults of one thread; a new thread has none, as in TensorFlow.

    Attributes:
        run: where values go; None records nothing.
        step: of calls that state none; an integer, or anything that holds one.
        condition: whether values are recorded.
        scope: prefix of tags, made by `summary_scope`.
    """

    run: Run | None = None
    step: Any = None
    condition: Condition = True
    scope: str = ""


defaults = Defaults()


@contextlib.contextmanager
def replaced(**values: Any) -> Iterator[None]:
    """Set defaults inside a block; the former ones come back however it is left.

    Args:
        values: by name of an attribute of `Defaults`.
    """
    before = {name: getattr(defaults, name) for name in values}
    vars(defaults).update(values)
    try:
        yield
    finally:
        vars(defaults).update(before)


def is_recording() -> bool:
    """Tell whether there is a default writer and the condition holds; a condition that is a function is called."""
    condition = defaults.condition
    return defaults.run is not None and bool(condition() if callable(condition) else condition)


def scoped(name: str) -> str:
    """Return a name behind the name scopes that are active: TensorFlow's, if it is in use, and those of `summary_scope`."""
    scope = defaults.scope
    tensorflow = sys.modules.get("tensorflow")
    if hasattr(tensorflow, "get_current_name_scope"):
        outer = tensorflow.get_current_name_scope()  # type: ignore[union-attr]
        scope = f"{outer}/{scope}" if outer and scope else outer or scope
    return f"{scope}/{name}" if scope else name
