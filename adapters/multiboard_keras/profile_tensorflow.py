"""A trace of TensorFlow's profiler."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import tensorflow as tf

if TYPE_CHECKING:
    import contextlib


class TensorFlowTrace:
    """Traces TensorFlow until `stop`, as an XSpace that XProf reads.

    Args:
        log_dir: the directory above `plugins/profile`.

    Raises:
        tf.errors.AlreadyExistsError: another profiler is running.
    """

    def __init__(self, log_dir: str | os.PathLike[str]) -> None:
        tf.test.experimental.sync_devices()
        tf.profiler.experimental.start(os.fspath(log_dir))

    def step(self, batch: int) -> contextlib.AbstractContextManager[Any]:
        """Return the mark of a step that XProf looks for."""
        return tf.profiler.experimental.Trace("train", step_num=batch, _r=1)  # type: ignore[no-any-return]

    def stop(self) -> None:
        """Wait for all that the devices compute, and write the files."""
        try:
            tf.test.experimental.sync_devices()
        finally:
            tf.profiler.experimental.stop()
