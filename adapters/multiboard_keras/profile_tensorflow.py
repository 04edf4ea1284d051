"""What TensorFlow's profiler does in a profiled window: `make_tracer`.

It has one session at a time, which is found out by starting one, and writes its XSpace itself, in the folder of the request.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import tensorflow as tf

from multiboard.profile.tracer import INPUT_STAGE, ForeignProfilerError, Raw
from multiboard_keras._compat import tensorflow_profiler_started

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from multiboard.profile.tracer import Request

_HOST_LEVELS: Final = {"light": 1, "default": 2, "deep": 3}


def make_tracer(request: Request) -> TensorFlowTracer:
    """Return the profiler of TensorFlow for one window.

    Args:
        request: what is to be traced, and where to put it.
    """
    return TensorFlowTracer(request)


class TensorFlowTracer:
    """Traces TensorFlow: the operations of graphs, what devices do, `tf.data`, and the marks of steps.

    Functions of Python are there if the installed version records them; TensorFlow 2.21 does not.

    Args:
        request: what is to be traced, and where to put it.
    """

    def __init__(self, request: Request) -> None:
        self._request = request
        self._runs = False
        self._marker = contextlib.ExitStack()

    def prepare(self) -> None:
        """Start and stop the profiler once: on GPUs that takes long the first time, and it may be refused.

        Raises:
            ForeignProfilerError: another profiler is running.
        """
        self._start()
        self._runs = False
        tf.profiler.experimental.stop(save=False)

    def start(self) -> None:
        """Wait for the devices, then record.

        Raises:
            ForeignProfilerError: another profiler is running.
        """
        tf.test.experimental.sync_devices()
        self._start()

    def step(self, number: int) -> None:
        """Mark what follows as that of a global step; ends the marker before."""
        self._marker.close()
        self._marker.enter_context(tf.profiler.experimental.Trace("train", step_num=number, _r=1))

    def pause(self) -> None:
        """End the marker."""
        self._marker.close()

    def input(self) -> AbstractContextManager[Any]:
        """Return what marks the work inside as waiting for input; `tf.data` marks its own."""
        return tf.profiler.experimental.Trace("input", **INPUT_STAGE)  # type: ignore[no-any-return]

    def stop(self) -> list[Raw]:
        """End the marker, wait for the devices, stop, and let TensorFlow write its file."""
        self._marker.close()
        if not self._runs:
            return []
        try:
            tf.test.experimental.sync_devices()
        finally:
            self._runs = False
            tf.profiler.experimental.stop()
        facts = {"host_only": self._request.host_only}
        return [Raw("xspace", str(path), "tensorflow", facts) for path in Path(self._request.folder).rglob("*.xplane.pb")]

    def abort(self) -> None:
        """Stop and throw away what there is; TensorFlow's profiler can be used again. Raises nothing."""
        runs, self._runs = self._runs, False
        with contextlib.suppress(Exception):
            self._marker.close()
        if runs:
            with contextlib.suppress(Exception):
                tf.profiler.experimental.stop(save=False)

    def _start(self) -> None:
        taken = tensorflow_profiler_started()
        options = tf.profiler.experimental.ProfilerOptions(
            host_tracer_level=_HOST_LEVELS.get(self._request.level, 2),
            python_tracer_level=int(self._request.python),
            device_tracer_level=int(not self._request.host_only),
        )
        try:
            tf.profiler.experimental.start(self._request.folder, options)
        except tf.errors.AlreadyExistsError as error:
            if taken is False:  # TensorFlow keeps the session that was refused, and would refuse every later one
                with contextlib.suppress(Exception):
                    tf.profiler.experimental.stop(save=False)
            raise ForeignProfilerError("another profile of TensorFlow is running and goes on") from error
        self._runs = True
