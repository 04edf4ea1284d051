"""A trace of PyTorch's profiler."""

from __future__ import annotations

import socket
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch.profiler import ProfilerActivity, profile, record_function

from multiboard_keras._compat import torch_profiler_runs
from multiboard_keras.directories import claim_directory

if TYPE_CHECKING:
    import contextlib
    import os


class TorchTrace:
    """Traces the CPU, and CUDA where there is some, until `stop`; as a Kineto trace, which Perfetto and Chrome open.

    Args:
        log_dir: the directory above `plugins/profile`.

    Raises:
        RuntimeError: another profiler is running, which PyTorch would end.
    """

    def __init__(self, log_dir: str | os.PathLike[str]) -> None:
        if torch_profiler_runs():
            raise RuntimeError("another profiler is running, and PyTorch has one at a time")
        self._log_dir = Path(log_dir)
        activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if torch.cuda.is_available() else [])]
        self._profile = profile(activities=activities)
        _wait()
        self._profile.start()

    def step(self, batch: int) -> contextlib.AbstractContextManager[Any]:
        """Return the mark of a step as PyTorch's own schedule writes it."""
        return record_function(f"ProfilerStep#{batch}")

    def stop(self) -> None:
        """Wait for all that the devices compute, and write `<session>/<host>.pt.trace.json.gz`."""
        try:
            _wait()
        finally:
            self._profile.stop()
        # named by the time, as XProf names them
        session = claim_directory(self._log_dir / "plugins" / "profile", time.strftime("%Y_%m_%d_%H_%M_%S"))
        self._profile.export_chrome_trace(str(Path(session) / f"{socket.gethostname()}.pt.trace.json.gz"))


def _wait() -> None:
    """Wait for all that has been launched; on the CPU all is done."""
    if torch.cuda.is_initialized():
        torch.cuda.synchronize()
