"""The trace of a profiler as a file, and whether all of it is there."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from torch.profiler import profile

_TAIL: Final = 64


def export(profiler: profile, path: str) -> str:
    """Write the Kineto JSON of a profiler that has stopped, and return where it is.

    Raises:
        OSError: it is not there, or not whole. PyTorch itself says that only on the terminal.
        RuntimeError: the trace has been saved before.
    """
    profiler.export_chrome_trace(path)
    if not (_is_zipped(path) or _tail(path).endswith(b"}")):
        raise OSError(errno.EIO, "PyTorch has not written the whole trace, as on a full disk", path)
    return path


def _is_zipped(path: str) -> bool:
    """Tell whether PyTorch has compressed the trace, which it does in Python, where a full disk raises."""
    return path.endswith(".gz") and Path(path).stat().st_size > 0


def _tail(path: str) -> bytes:
    with Path(path).open("rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL))
        return file.read().rstrip()
