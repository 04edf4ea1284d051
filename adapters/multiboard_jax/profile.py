"""What JAX's profiler does in a profiled window: `make_tracer`.

The files that a tracer leaves have these facts, which XLA's own trace does not say:

- `layers`: canonical paths of layers, e.g. 'blocks/0/attn', if `wrap_train_step` drives the window.
- `roots`: names of the scopes that outermost modules of linen open: their classes. They are no part of a layer's path. The method
  of a module other than `__call__` follows its name behind a dot.
- `rank`, `world`: of a job with several processes, the number of this one and how many there are.
- `gpus`: how many of them this process has.
- `memory`: what `memory_stats` returns at the end of the window, on accelerators.
- `host_only`: what devices did is not to be shown; JAX cannot leave it out itself.
- `notes`: what could not be done as it was asked for.
"""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import jax

from multiboard.profile.tracer import INPUT_STAGE, ForeignProfilerError, Raw
from multiboard_jax._compat_profiler import Session, TakenError, probe, profile_options
from multiboard_jax.memory import memory_stats

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from multiboard.profile.tracer import Request

_HOST_LEVELS: Final = {"light": 2, "default": 2, "deep": 3}
"""At level 1, JAX before 0.7 leaves out the operations of CPUs."""
_GPUS: Final = frozenset({"gpu", "cuda", "rocm"})
_SAFE_PYTHON: Final = (3, 12)
_NO_PYTHON: Final = "functions of Python are left out: below Python 3.12 tracing them can crash the process."
_FOREIGN: Final = "another profile of JAX is running and goes on"
_GAVE_WAY: Final = "another profile of JAX was started in the middle of the window and goes on"


def make_tracer(request: Request) -> JaxTracer:
    """Return the profiler of JAX for one window.

    Args:
        request: what is to be traced, and where to put it.
    """
    return JaxTracer(request)


class JaxTracer:
    """Traces JAX: what it computes on devices and on CPUs, its compilations and transfers, and the marks of steps.

    Args:
        request: what is to be traced, and where to put it.
    """

    def __init__(self, request: Request) -> None:
        self._request = request
        self._python = request.python and sys.version_info >= _SAFE_PYTHON
        self._session: Session | None = None
        self._is_prepared = False
        self._marker = contextlib.ExitStack()

    def prepare(self) -> None:
        """Start and stop the profiler once: on GPUs that takes long the first time, and it may be refused.

        Raises:
            ForeignProfilerError: another profiler is running.
        """
        with _foreign_errors():
            probe(self._options())
        self._is_prepared = True

    def start(self) -> None:
        """Wait for the devices, then record.

        Raises:
            ForeignProfilerError: another profiler is running.
        """
        if not self._is_prepared:
            self.prepare()
        wait_for_devices()
        with _foreign_errors():
            self._session = Session(self._options(), self._request.folder)

    def step(self, number: int) -> None:
        """Mark what follows as that of a global step; ends the marker before.

        Raises:
            ForeignProfilerError: another profiler has been started meanwhile, and this one has ended.
        """
        self._marker.close()
        if self._session is not None and self._session.gave_way:
            raise ForeignProfilerError(_GAVE_WAY)
        self._marker.enter_context(jax.profiler.StepTraceAnnotation("train", step_num=number))

    def pause(self) -> None:
        """End the marker: what follows belongs to no step until the next one is marked."""
        self._marker.close()

    def input(self) -> AbstractContextManager[Any]:
        """Return what marks the work inside as waiting for input."""
        return jax.profiler.TraceAnnotation("input", **INPUT_STAGE)

    def stop(self) -> list[Raw]:
        """End the marker, wait for the devices, stop, and save the trace and which buffers are alive.

        Raises:
            ForeignProfilerError: another profiler has been running.
        """
        self._marker.close()
        wait_for_devices()
        session, self._session = self._session, None
        if session is None:
            return []
        with _foreign_errors():
            trace = session.stop()
        folder, facts = Path(self._request.folder), self._facts()
        raw = Raw("xspace", str(folder / "jax.xplane.pb"), "jax", facts)
        Path(raw.path).write_bytes(trace)
        if not self._request.memory:
            return [raw]
        buffers = Raw("pprof", str(folder / "jax.live_buffers.pprof.gz"), "jax", facts)
        try:
            jax.profiler.save_device_memory_profile(buffers.path)
        except Exception as error:  # noqa: BLE001  # a backend that cannot: the trace is worth more
            facts["notes"].append(f"live buffers are left out: {type(error).__name__}: {error}")
            return [raw]
        return [raw, buffers]

    def abort(self) -> None:
        """Stop and throw away what there is; JAX's profiler can be used again. Raises nothing."""
        session, self._session = self._session, None
        with contextlib.suppress(Exception):
            self._marker.close()
        if session is not None:
            with contextlib.suppress(Exception):
                session.stop()

    def _options(self) -> Any:
        return profile_options(
            host_tracer_level=_HOST_LEVELS.get(self._request.level, 2),
            python_tracer_level=int(self._python),
            device_tracer_level=int(not self._request.host_only),
        )

    def _facts(self) -> dict[str, Any]:
        facts: dict[str, Any] = {
            "roots": linen_roots(),
            "gpus": sum(device.platform in _GPUS for device in jax.local_devices()),
            "memory": memory_stats(),
            "host_only": self._request.host_only,
            "notes": [_NO_PYTHON] if self._request.python and not self._python else [],
        }
        if jax.process_count() > 1:
            facts |= {"rank": jax.process_index(), "world": jax.process_count()}
        return facts


def wait_for_devices() -> None:
    """Wait for all that has been launched; what computes nothing that lives, nobody has asked for. Raises nothing."""
    for array in jax.live_arrays():
        with contextlib.suppress(Exception):  # deleted in another thread, or of a step that failed
            array.block_until_ready()
    with contextlib.suppress(Exception):  # of a callback; JAX keeps it for the next who asks
        jax.effects_barrier()


def linen_roots() -> list[str]:
    """Return the names of the scopes that outermost modules of linen open, of all classes that there are."""
    linen = sys.modules.get("flax.linen")
    return [] if linen is None else sorted({cls.__name__ for cls in _subclasses(linen.Module)})


def _subclasses(cls: type) -> Iterator[type]:
    inner: type
    for inner in type.__subclasses__(cls):
        yield inner
        yield from _subclasses(inner)


@contextlib.contextmanager
def _foreign_errors() -> Iterator[None]:
    try:
        yield
    except TakenError as error:
        raise ForeignProfilerError(f"{_FOREIGN}: {error}") from error
