"""What is exchanged between the parts: values that are not there yet, and the end of the pipeline."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, TypeGuard, TypeVar

if TYPE_CHECKING:
    from collections.abc import Sequence, Sized

    from multiboard.values import Scalars, Value

Logged: TypeAlias = "tuple[str, float, int, float] | tuple[dict[str, float], None, int, float] | Scalars"
"""What one call logged: tag, number, step and wall time, or the numbers by tag; without the cost of a record. Numbers that may be
still on a device come as `Scalars`."""

T_co = TypeVar("T_co", covariant=True)


class Pending(Protocol[T_co]):
    """A value that is still being computed, or still on a device.

    Whoever creates one guarantees that it keeps the value of the moment of logging: later updates in place and donated
    buffers must not change or destroy it. A method `is_ready() -> bool`, if there is one, tells without waiting whether `fetch`
    would wait; the writer then comes back later.
    """

    def fetch(self) -> T_co:
        """Return the value on the host. Called once, in the writer thread; may wait there.

        A scalar may be None: there was no value at this step, e.g. in a branch that was not taken, and nothing is written.
        """
        ...


def is_pending(value: object) -> TypeGuard[Pending[Any]]:
    """Tell whether a value has still to be fetched: an `isinstance` of the protocol takes a hundred times as long."""
    return hasattr(value, "fetch")


class Lane(Protocol):
    """The way of one run's values to its sink. Callable from any thread; raises nothing.

    Attributes:
        sink: where it leads.
        numbers: scalar calls that wait; append to them while there are fewer than `limit`, else call `overflow`.
        limit: how many may wait.
    """

    sink: Sink
    limit: int

    @property
    def numbers(self) -> Sized:
        """See the class."""
        ...

    def append(self, logged: Logged) -> None:
        """Take the scalars of one call while fewer than `limit` wait."""
        ...

    def overflow(self, logged: Logged) -> None:
        """Take the scalars of one call, or count them as dropped."""
        ...

    def put_scalars(self, scalars: Scalars) -> None:
        """Take scalars of any kind, or count them as dropped."""
        ...

    def put(self, value: Value, kind: str, tag: object, step: int) -> None:
        """Take a value that comes again and again, or count it as dropped.

        Args:
            value: no scalars.
            kind: what it is counted as.
            tag: or the tags of a capture, which is as many values.
            step: of the value.
        """
        ...

    def put_once(self, value: Value) -> None:
        """Take a value of which there is one in a run; it is never dropped."""
        ...

    def end(self, value: Value) -> None:
        """Take the last value in a signal handler, where no lock may be taken."""
        ...


class Sink(Protocol):
    """The end of the pipeline: takes values of one run in order. One call at a time, usually from the writer thread.

    Attributes:
        start_step: if the sink resumes, the step after the last one that was there before; else 0.
    """

    start_step: int

    def accept(self, value: Value) -> None:
        """Take one value. Raises only for the value itself, never because of the disk."""
        ...

    def accept_scalars(self, logged: Sequence[Logged]) -> None:
        """Take the scalars of many calls. Raises nothing."""
        ...

    def flush(self) -> bool:
        """Bring all accepted values to the file; tell whether they are there."""
        ...

    def held_bytes(self) -> int:
        """Return the bytes of accepted values that could not be written yet."""
        ...

    def close(self) -> None:
        """Flush and close; further values are an error."""
        ...

    def abandon(self) -> None:
        """Let go of the file without writing: called in a forked child, where the file belongs to the parent."""
        ...
