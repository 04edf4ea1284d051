"""What a profiled window asks of the profiler of a framework, and what that leaves behind for another process to finish.

Each adapter has a `make_tracer(request)`, which `frameworks.py` finds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

from multiboard.errors import MultiboardError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager

INPUT_STAGE: Final[Mapping[str, Any]] = {
    "_ipl_stage_id": 1 << 40,
    "_ipl_stage_name": "input",
    "_ipl_stage_cat": "preprocessing",
}
"""Stats of what XProf counts as waiting for input. It takes the number for that of a kind of event, too: all of that kind would
count as input."""


class Raw(NamedTuple):
    """A file that a tracer leaves behind.

    Attributes:
        kind: 'kineto' (JSON of torch.profiler), 'xspace' (a serialised XSpace), 'pprof' (gzip, the live buffers of JAX), or
            'artefact' (a file to be put beside the session as it is, e.g. a snapshot of CUDA's memory).
        path: the file, in the folder of the request.
        framework: 'torch', 'jax' or 'tensorflow'.
        facts: what the file does not say, as JSON takes it, e.g. `{"layers": [...], "roots": [...], "device": {...}, "rank": 0}`.
    """

    kind: str
    path: str
    framework: str
    facts: Mapping[str, Any]


class Request(NamedTuple):
    """What a window asks of a tracer.

    Attributes:
        folder: an existing temporary directory for raw files.
        level: 'light' (no shapes, stacks or memory), 'default' or 'deep' (shapes and stacks).
        memory: also what is allocated.
        layers: also which layer an operation belongs to.
        python: also the functions of Python.
        names: returns the layer path of a module, where the adapter knows better; None lets the tracer find out.
        host_only: no events of devices, because the profiler of another framework has them.
        snapshot: put a snapshot of the memory of the device beside the session, where the framework can.
    """

    folder: str
    level: str
    memory: bool
    layers: bool
    python: bool
    names: Callable[[object], str | None] | None
    host_only: bool
    snapshot: bool


class ForeignProfilerError(MultiboardError, RuntimeError):
    """Another profiler is running, and the framework has one at a time; it goes on undisturbed."""


class Tracer(Protocol):
    """The profiler of a framework for one window; all methods are called on the thread that trains.

    The order is `prepare`, `start`, then `step` and `input` as they come, then `stop`; `abort` may come at any time instead, also
    after a method that has raised. Anything may raise but `abort`: the window ends with it, and the training goes on.
    """

    def prepare(self) -> None:
        """Begin to warm up: the profiler may run, what it sees is thrown away. May do nothing, and may not be called at all.

        Raises:
            ForeignProfilerError: another profiler is running.
        """
        ...

    def start(self) -> None:
        """Wait for the devices, then record.

        Raises:
            ForeignProfilerError: another profiler is running.
        """
        ...

    def step(self, number: int) -> None:
        """Mark what follows as that of a global step: end the marker before, begin one of the name `train`."""
        ...

    def pause(self) -> None:
        """End the marker: what follows belongs to no step until the next one is marked."""
        ...

    def input(self) -> AbstractContextManager[Any]:
        """Return what marks the work inside as waiting for input."""
        ...

    def stop(self) -> list[Raw]:
        """End the marker, wait for the devices, stop, and save the raw files; nothing more.

        Returns:
            The files, the trace itself first.
        """
        ...

    def abort(self) -> None:
        """Stop and throw away what there is; the profiler of the framework can be used again. Raises nothing."""
        ...
