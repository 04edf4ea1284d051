"""A trace of JAX's profiler."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import Any, Final

import jax

_SAFE_PYTHON: Final = (3, 12)


class JaxTrace:
    """Traces JAX until `stop`, as an XSpace, which XProf reads, and as a trace that Perfetto opens.

    It has what the devices did and the marks of the steps, and from Python 3.12 on Python's functions.

    Args:
        log_dir: the directory above `plugins/profile`.

    Raises:
        RuntimeError: another trace is running.
    """

    def __init__(self, log_dir: str | os.PathLike[str]) -> None:
        _wait()
        jax.profiler.start_trace(os.fspath(log_dir), **_options())

    def step(self, batch: int) -> contextlib.AbstractContextManager[Any]:
        """Return the mark of a step that XProf looks for."""
        return jax.profiler.StepTraceAnnotation("train", step_num=batch)

    def stop(self) -> None:
        """Wait for all that the devices compute, and write the files."""
        try:
            _wait()
        finally:
            jax.profiler.stop_trace()


def _wait() -> None:
    """Wait for all that has been launched; what computes nothing that lives, nobody has asked for."""
    for array in jax.live_arrays():
        with contextlib.suppress(RuntimeError):  # deleted in another thread, or of a step that failed
            array.block_until_ready()


def _options() -> dict[str, Any]:
    """Return options without Python's functions where tracing them has been seen to crash the process: keras-team/keras#20450."""
    if sys.version_info >= _SAFE_PYTHON or not hasattr(jax.profiler, "ProfileOptions"):
        return {}
    options = jax.profiler.ProfileOptions()
    options.python_tracer_level = 0
    return {"profiler_options": options}
