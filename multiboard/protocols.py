"""What is exchanged between the parts: values that are not there yet, and the end of the pipeline."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, TypeGuard, TypeVar

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence, Sized

    from multiboard.buckets import Statistics
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
    """Tell whether a value has still to be fetched.

    The class tells: an `isinstance` of the protocol takes a hundred times as long, and a tensor of TensorFlow a while to say that
    it lacks an attribute.
    """
    return hasattr(type(value), "fetch")


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

    def newest_step(self) -> int | None:
        """Return the largest step that was put, about; None before the first."""
        ...

    def end(self, value: Value) -> None:
        """Take the last value in a signal handler, where no lock may be taken."""
        ...


class Observer(Protocol):
    """Sees what a run writes, in the writer thread, once it is on the host.

    Scalars come in the order of their calls. Distributions, and the norms that go with them, have an order of their own: they may
    be seen after scalars of later steps.

    It may log into the run, which never waits for it; what it logs comes back to it, so that it has to look at the tags. (With
    `durable=True` it is called by the thread that logs, and what it logs is shown to no observer.) What it raises is reported
    once per cause. As long as it works nothing else is written: what takes time belongs into a thread of its own.

    A method `tick() -> None`, if there is one, is called about ten times a second, also when nothing is logged; of a durable run
    with each call only.

    A method `saw_hparams(values)`, if there is one, gets the hyper-parameters of the run, flat and with its facts.
    """

    def saw_scalars(self, numbers: Mapping[str, float], step: int, wall_time: float) -> None:
        """Take the numbers of one call.

        Args:
            numbers: by tag, NaN and infinities among them; what float32 cannot hold is infinite. With the counts
                `nonfinite/<tag>` that are written with those, and of a capture its norms and counts.
            step: of the call.
            wall_time: of the call, seconds since the epoch.
        """
        ...

    def saw_histogram(self, tag: str, statistics: Statistics, step: int, wall_time: float) -> None:
        """Take a distribution; those of one capture come in the order of its tags, and before its norms."""
        ...

    def close(self) -> None:
        """Finish: nothing more comes. The run is closed by now and takes no values."""
        ...


class Sink(Protocol):
    """The end of the pipeline: takes values of one run in order. One call at a time, usually from the writer thread.

    Attributes:
        start_step: if the sink resumes, the step after the last one that was there before; else 0.
    """

    start_step: int

    def observe(self, observer: Observer) -> None:
        """Show an observer what is accepted from now on, until it is told to close."""
        ...

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
