"""Errors and warnings, and the sentences that they say.

    MultiboardError
    ├── ArgumentError (ValueError, TypeError)  an argument that is not one of the possible ones
    ├── LogDirError (OSError)              the log directory cannot be created or written
    ├── TagError (ValueError)              a tag that cannot be used
    │   └── TagKindError                   a tag that already has another kind in this run
    ├── StepError (TypeError, ValueError)  a step that is not a 64-bit integer
    ├── ValueKindError (TypeError)         a value of a type that the kind cannot take
    ├── ValueShapeError (ValueError)       a value of a shape that the kind cannot take
    ├── CallError                          a call that failed in a way of its own
    ├── ClosedRunError (RuntimeError)      a call on a run that is closed
    ├── ReadError (ValueError)             a path without event files
    │   └── ProfileReadError               a file that holds no profile
    └── MissingFrameworkError (ImportError)  a facade whose framework is not installed
    MultiboardWarning (UserWarning)        something was counted instead of raised; said once per cause

An error is for a call that is wrong in itself. Data never raises: NaN, a full disk or a dead device value is counted.
"""

from __future__ import annotations

import reprlib
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable


class MultiboardError(Exception):
    """Every error that multiboard raises on purpose; it can be sent to other processes."""

    def __reduce__(self) -> tuple[Any, ...]:
        return _made_again, (type(self), self.args, self.__dict__)


_Error = TypeVar("_Error", bound=MultiboardError)


def _made_again(kind: type[_Error], args: tuple[Any, ...], attributes: dict[str, Any]) -> _Error:
    """Return an error with its sentence, which is no argument of its class."""
    error = kind.__new__(kind)
    error.args = args
    error.__dict__.update(attributes)
    return error


class MultiboardWarning(UserWarning):
    """Something was counted or dropped instead of raised; said once per cause."""


class ArgumentError(MultiboardError, ValueError, TypeError):
    """An argument that is not one of the possible ones."""

    def __init__(self, name: str, received: object, remedy: str) -> None:
        self.name = name
        self.received = received
        super().__init__(f"argument {name!r} got {reprlib.repr(received)} ({_type_name(received)}); {remedy}.")


class LogDirError(MultiboardError, OSError):
    """The log directory cannot be created or written."""

    def __init__(self, path: str, reason: str) -> None:
        self.path = path
        super().__init__(f"log_dir {path!r} cannot be written: {reason}. Choose a directory that this user can create files in.")


class TagError(MultiboardError, ValueError):
    """A tag that cannot be used."""

    def __init__(self, tag: object, message: str | None = None) -> None:
        self.tag = tag
        super().__init__(
            message
            or f"tag {reprlib.repr(tag)} ({type(tag).__name__}) cannot be used: a tag is a non-empty string, e.g. 'train/loss'."
        )


class TagKindError(TagError):
    """A tag that already has another kind in this run; TensorBoard would drop one of the two."""

    def __init__(self, tag: str, kind: str, known: str) -> None:
        self.kind = kind
        self.known = known
        super().__init__(
            tag,
            f"tag {tag!r} is a {known} in this run, and one tag has one kind; give the {kind} another tag, e.g. '{tag}/{kind}'.",
        )


class StepError(MultiboardError, TypeError, ValueError):
    """A step that is not a 64-bit integer."""

    def __init__(self, step: object) -> None:
        self.step = step
        wrong = "step None: no step is given"
        if step is not None:
            wrong = f"step {reprlib.repr(step)} ({type(step).__name__}) is not an integer between -2**63 and 2**63 - 1"
        super().__init__(f"{wrong}; pass the number of optimizer steps taken before this one, e.g. run.log(metrics, step=i).")


class ValueKindError(MultiboardError, TypeError):
    """A value of a type that the kind cannot take."""

    def __init__(self, tag: str, value: object, rule: str) -> None:
        self.tag = tag
        super().__init__(f"tag {tag!r} got {reprlib.repr(value)} ({_type_name(value)}): {rule}")


class ValueShapeError(MultiboardError, ValueError):
    """A value of a shape that the kind cannot take."""

    def __init__(self, tag: str, shape: tuple[int, ...], rule: str) -> None:
        self.tag = tag
        self.shape = shape
        super().__init__(f"tag {tag!r} got a value of shape {list(shape)}: {rule}")


class CallError(MultiboardError):
    """A call that failed in a way of its own, e.g. in a foreign object that has no value here."""

    def __init__(self, error: Exception) -> None:
        super().__init__(
            f"the call failed with {type(error).__name__}: {error}. Pass numbers, arrays or strings that have a value."
        )
        self.__cause__ = error


class ClosedRunError(MultiboardError, RuntimeError):
    """A call on a run that is closed."""

    def __init__(self, log_dir: str) -> None:
        super().__init__(f"run {log_dir!r} is closed and takes no more values; log before close(), or open a new Run.")


class ReadError(MultiboardError, ValueError):
    """A path without event files."""

    def __init__(self, path: str, message: str | None = None) -> None:
        self.path = path
        super().__init__(message or f"path {path!r} holds no event files; pass a run directory or a directory above runs.")


class ProfileReadError(ReadError):
    """A file that holds no profile."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(
            path,
            f"path {path!r} cannot be read as a profile: {reason}. Pass an .xplane.pb file, or the JSON (or .json.gz) file that "
            "export_chrome_trace of torch.profiler has written.",
        )


class MissingFrameworkError(MultiboardError, ImportError):
    """A facade whose framework is not installed."""

    def __init__(self, facade: str, framework: str, extra: str) -> None:
        super().__init__(f"{facade} needs {framework}: pip install 'multiboard[{extra}]'")


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return " Did you mean 'x'?" for the nearest known word, or an empty string."""
    import difflib

    near = difflib.get_close_matches(word, list(known), n=1)
    return f" Did you mean {near[0]!r}?" if near else ""


def _type_name(value: object) -> str:
    cls = type(value)
    return cls.__qualname__ if cls.__module__ == "builtins" else f"{cls.__module__}.{cls.__qualname__}"


def cause_of(error: BaseException, action: str) -> str:
    """Return what the reports of a run count under, so that the same thing that goes wrong again is said once.

    Args:
        error: a mistake in a call, whose tag matters, or an exception of anybody else.
        action: what failed with the latter.

    >>> cause_of(TagError(""), "capture"), cause_of(OSError(), "capture")
    ('TagError', 'capture OSError')
    """
    kind = type(error).__name__
    return f"{kind} {getattr(error, 'tag', '')}".strip() if isinstance(error, MultiboardError) else f"{action} {kind}"
