"""tensorboardX writes what multiboard writes: `multiboard.tensorboardx.capture()` before a program opens its writers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from multiboard.errors import MissingFrameworkError

if TYPE_CHECKING:
    from multiboard.captured import Capture

try:
    import tensorboardX
except ImportError as error:
    raise MissingFrameworkError("multiboard.tensorboardx", "tensorboardX", "tensorboardx") from error

__all__ = ["capture"]


def capture(*, sub_runs: bool = False) -> Capture:
    """Make tensorboardX's SummaryWriter, FileWriter and GlobalSummaryWriter write through multiboard.

    Code that logs with them needs no change, whether it imported the classes before, inherits from them, or writes finished
    Summary and Event messages. Writers that are open already go on as they were, which is said. What the package refuses (NaN in
    histograms, a full disk, bfloat16) is written as `multiboard.SummaryWriter` does. In a forked process the values of a writer
    go into a run of their own, 'process_<id>', below that of the writer.

    Args:
        sub_runs: `add_hparams` and `add_scalars` open a sub-run per call or series, as in tensorboardX.

    Returns:
        A handle that ends the capture, as a context manager or by `restore`. A further call changes nothing but that all of
        them have to be ended.

    Example:
        >>> import multiboard.tensorboardx
        >>> with multiboard.tensorboardx.capture():
        ...     pass  # train
    """
    from multiboard.captured import capture_classes

    return capture_classes(tensorboardX.SummaryWriter, tensorboardX.FileWriter, sub_runs=sub_runs)
