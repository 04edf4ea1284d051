"""What is exchanged between the parts: values that are not there yet, and the end of the pipeline."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeAlias, TypeVar, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from multiboard.values import Value

Logged: TypeAlias = tuple[tuple[str, ...], tuple[float, ...], int, float]
"""Tags, Python numbers, step and wall time of one call: what most calls are, without the cost of a record."""

T_co = TypeVar("T_co", covariant=True)


@runtime_checkable
class Pending(Protocol[T_co]):
    """A value that is still being computed, or still on a device.

    Whoever creates one guarantees that it keeps the value of the moment of logging: later updates in place and donated
    buffers must not change or destroy it.
    """

    def fetch(self) -> T_co:
        """Return the value on the host. Called once, in the writer thread; may wait there."""
        ...


class Sink(Protocol):
    """The end of the pipeline: takes values of one run in order. All calls come from the writer thread."""

    def accept(self, value: Value) -> None:
        """Take one value. Raises only for the value itself, never because of the disk."""
        ...

    def accept_scalars(self, logged: Sequence[Logged]) -> None:
        """Take plain numbers of many calls: tags, numbers, step and wall time of each. Raises nothing."""
        ...

    def flush(self) -> bool:
        """Bring all accepted values to the file; tell whether they are there."""
        ...

    def close(self) -> None:
        """Flush and close; further values are an error."""
        ...

    def abandon(self) -> None:
        """Let go of the file without writing: called in a forked child, where the file belongs to the parent."""
        ...
