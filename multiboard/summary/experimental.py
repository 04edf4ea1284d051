"""The names of `tf.summary.experimental`: the default step, scopes for own kinds of summaries, and finished Summary messages."""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING, Any, Final

from multiboard.summary.state import defaults, is_recording, replaced, scoped
from multiboard.writer.files import serialised
from multiboard.writer.summaries import step_of, write_summary

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["get_step", "set_step", "summary_scope", "write_raw_pb"]

_NOT_IN_A_SCOPE: Final = re.compile(r"[^-_/.A-Za-z0-9]")


def get_step() -> Any:
    """Return the default step of this thread as it was set, None without one."""
    return defaults.step


def set_step(step: Any) -> None:
    """Set the default step of this thread.

    Args:
        step: an integer, or what holds one, e.g. a `tf.Variable`: it is read at each call. None unsets it.
    """
    defaults.step = step


@contextlib.contextmanager
def summary_scope(name: str | None, default_name: str = "summary", values: object = None) -> Iterator[tuple[str, str]]:  # noqa: ARG001  # of TensorFlow's signature
    """Put what is logged inside a block behind a name, and return tag and scope for an own kind of summary.

    Args:
        name: of the summary.
        default_name: used if `name` is None or empty.
        values: accepted.
    """
    inner = _NOT_IN_A_SCOPE.sub("", name or default_name) or default_name
    tag, scope = scoped(name or default_name), scoped(inner)
    with replaced(scope=f"{defaults.scope}/{inner}" if defaults.scope else inner):
        yield tag, f"{scope}/"


def write_raw_pb(tensor: Any, step: Any = None, name: str | None = None) -> bool:  # noqa: ARG001  # of TensorFlow's signature
    """Write a finished Summary message.

    Args:
        tensor: the message, its bytes, or a string tensor that holds them.
        step: None is the default step.
        name: accepted.

    Returns:
        Whether there is a writer that takes it.

    Raises:
        ArgumentError: `tensor` is no message.
        StepError: see `multiboard.summary`.
    """
    run = defaults.run
    if run is None or not is_recording():
        return False
    data = tensor.numpy() if hasattr(tensor, "numpy") else tensor
    write_summary(run, serialised("tensor", data), step_of(defaults.step if step is None else step, run))
    return True
