"""The file writer that code written for torch and tensorboardX reaches for inside a `SummaryWriter`.

It takes finished Event and Summary messages of any protobuf package, brings them into the form that this package writes, and
knows which step and time a call means: both peers take more than integers for a step. The values of the `add_*` methods do not
pass through here.
"""

from __future__ import annotations

import contextlib
import operator
from math import isfinite
from numbers import Number
from time import time
from typing import TYPE_CHECKING, Any

from multiboard import wire
from multiboard.arrays import fetch_array
from multiboard.errors import ArgumentError
from multiboard.events import read_event

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from multiboard.legacy import Normaliser
    from multiboard.run import Run

_SUMMARY, _TAGGED_RUN_METADATA = 5, 8
"""Fields of Event (tensorflow/tensorboard event.proto)."""


class FileWriter:
    """Writes finished messages into the event file of a run.

    Args:
        log_dir: the run directory.
        open_run: returns the run, opened again if it was closed.
        flush: of the run.
        close: of the run.

    Attributes:
        event_writer: takes events with their own wall times, as that inside the peers' file writer does.
    """

    def __init__(self, log_dir: str, open_run: Callable[[], Run], flush: Callable[[], object], close: Callable[[], None]) -> None:
        self._log_dir = log_dir
        self._open_run = open_run
        self._flush = flush
        self._close = close
        self._step: object = None
        self._walltime: float | None = None
        self._normaliser: Normaliser | None = None
        self.event_writer = EventWriter(self)

    def get_logdir(self) -> str:
        """Return the run directory."""
        return self._log_dir

    def add_event(self, event: Any, step: object = None, walltime: float | None = None) -> None:
        """Write an Event message.

        Args:
            event: the message, or its bytes.
            step: replaces the step of the event; None leaves it.
            walltime: replaces its wall time, seconds since the epoch; None is now.

        Raises:
            ArgumentError: `event` is no message, or `walltime` no number.
        """
        self._write(serialised("event", event), self._step if step is None else step, walltime)

    def add_summary(self, summary: Any, global_step: object = None, walltime: float | None = None) -> None:
        """Write a Summary message.

        Args:
            summary: the message, or its bytes.
            global_step: None is 0.
            walltime: seconds since the epoch; None is now.

        Raises:
            ArgumentError: `summary` is no message, or `walltime` no number.
        """
        data = serialised("summary", summary)
        step, when = self.at(global_step, walltime)
        self._write(wire.message(_SUMMARY, data), step, when)

    def add_graph(self, graph_profile: Any, walltime: float | None = None) -> None:
        """Write a graph, and what its nodes cost, as torch's tracer returns them.

        Args:
            graph_profile: a GraphDef and a RunMetadata, each a message or its bytes.
            walltime: of the costs, seconds since the epoch; None is now.

        Raises:
            ArgumentError: they are no messages.
        """
        graph, costs = (serialised("graph_profile", message) for message in graph_profile)
        self._open_run().graph(graph)
        self._write(wire.message(_TAGGED_RUN_METADATA, wire.message(1, b"step1"), wire.message(2, costs)), None, walltime)

    def add_onnx_graph(self, graph: Any, walltime: float | None = None) -> None:  # noqa: ARG002  # of the peers' signatures
        """Write a graph, as the peers read it from an ONNX file; `SummaryWriter.add_onnx_graph` takes the file.

        Args:
            graph: a GraphDef message or its bytes.
            walltime: accepted: a run has one graph.

        Raises:
            ArgumentError: it is no message.
        """
        self._open_run().graph(serialised("graph", graph))

    def _write(self, event: bytes, step: object, walltime: float | None) -> None:
        """Normalise, stamp and write an event: of a field that comes twice, protobuf takes the last."""
        run = self._open_run()
        event = self._normalised(event, run)
        if not event:
            return
        when = self._walltime if walltime is None else walltime
        stamped = event + wire.double(1, time() if when is None else _seconds(when))
        number: Any = 0 if step is None else as_step(step, run.report)
        if step is not None and _has_index(number):
            stamped += wire.integer(2, operator.index(number))
        run.raw(stamped, number)  # what is no step is refused there

    def _normalised(self, event: bytes, run: Run) -> bytes:
        """Return an event in the form that this package writes; one that is none is said and left out."""
        if self._normaliser is None:
            from multiboard.legacy import Normaliser  # 10 ms, which only finished messages need

            self._normaliser = Normaliser(self._say, always_describe=True)
        try:
            return self._normaliser.event(event)
        except ValueError as error:
            run.report("message that is no event", f"a message of {len(event)} bytes cannot be read and is left out: {error}")
            return b""

    def _say(self, cause: str, message: str, count: int = 1) -> None:  # noqa: ARG002  # of the protocol
        self._open_run().report(cause, message)

    def flush(self) -> None:
        """Wait until all that was logged is in the file; returns at once on a closed writer."""
        self._flush()

    def close(self) -> None:
        """Write all that was logged and close the file; a second call does nothing."""
        self._close()

    def reopen(self) -> None:
        """Open a new event file if the old one is closed."""
        self._open_run()

    @contextlib.contextmanager
    def use_metadata(self, *, global_step: object = None, walltime: float | None = None) -> Iterator[FileWriter]:
        """Use a step and a wall time for all calls inside the block that state none.

        Args:
            global_step: None leaves the default.
            walltime: seconds since the epoch; None leaves the default.
        """
        before = self._step, self._walltime
        self._step = self._step if global_step is None else global_step
        self._walltime = self._walltime if walltime is None else walltime
        try:
            yield self
        finally:
            self._step, self._walltime = before

    def at(self, step: object, walltime: float | None) -> tuple[Any, float | None]:
        """Return the step and the wall time that a call means.

        Args:
            step: as a caller of the peers may write it; None is that of `use_metadata`, else 0.
            walltime: None is that of `use_metadata`, else None, which `Run` reads as now.
        """
        if step is None:
            step = 0 if self._step is None else self._step
        when = self._walltime if walltime is None else walltime
        return (step if type(step) is int else as_step(step, self._open_run().report)), when


class EventWriter:
    """Writes finished events as they are.

    Args:
        writer: that of the run.
    """

    def __init__(self, writer: FileWriter) -> None:
        self._writer = writer
        self.get_logdir, self.flush, self.close, self.reopen = writer.get_logdir, writer.flush, writer.close, writer.reopen

    def add_event(self, event: Any) -> None:
        """Write an Event message at its own wall time; without one it is now.

        Args:
            event: the message, or its bytes.

        Raises:
            ArgumentError: it is no message.
        """
        data, walltime = serialised("event", event), None
        with contextlib.suppress(ValueError):  # no Event, which is said
            walltime = read_event(data).wall_time or None
        self._writer.add_event(data, walltime=walltime)


def as_step(step: object, report: Callable[[str, str], None]) -> object:
    """Return a step as an integer where the peers accept it; anything else as it is, for `Run` to refuse.

    Args:
        step: an integer, '3', a float, an array of any framework with one element, or an object that `int` takes.
        report: receives cause and message if a fraction is cut off, as the peers do without a word.

    >>> as_step("3", print), as_step(4.0, print), as_step(None, print)
    (3, 4, None)
    """
    if type(step) is int or step is None:
        return step
    if _has_index(step):
        return step
    number = _number(step)
    if number is None:
        return step
    if int(number) != number:
        report("step with a fraction", f"step {number!r} is cut to {int(number)}: steps are integers; count in smaller units.")
    return int(number)


def _has_index(step: object) -> bool:
    try:
        operator.index(step)  # type: ignore[arg-type]
    except Exception:  # noqa: BLE001  # of any framework: no integer, several elements, traced
        return False
    return True


def _number(step: object) -> float | None:
    """Return the finite number that a text or an array of one element holds, else None."""
    try:
        number = int(step) if isinstance(step, str) else fetch_array(step).item()
        if not isinstance(number, Number) and hasattr(type(number), "__int__"):
            number = int(number)  # an object that counts steps itself
    except Exception:  # noqa: BLE001  # of any framework
        return None
    return number if isinstance(number, (int, float)) and isfinite(number) else None


def _seconds(walltime: object) -> float:
    try:
        return float(walltime)  # type: ignore[arg-type]
    except (TypeError, ValueError) as error:
        raise ArgumentError("walltime", walltime, "pass seconds since the epoch, e.g. time.time()") from error


def serialised(name: str, message: Any) -> bytes:
    """Return the bytes of a message.

    Raises:
        ArgumentError: it is none.
    """
    if isinstance(message, bytes):
        return message
    if not hasattr(message, "SerializeToString"):
        raise ArgumentError(name, message, "pass a protobuf message or its bytes; values have methods of their own")
    data: bytes = message.SerializeToString()
    return data
