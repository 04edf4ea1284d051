"""torch.utils.tensorboard writes what multiboard writes: `multiboard.torch_tensorboard.capture()` before writers are opened."""

from __future__ import annotations

from typing import TYPE_CHECKING

from multiboard.errors import MissingFrameworkError

if TYPE_CHECKING:
    from multiboard.captured import Capture

try:
    from torch.utils import tensorboard
except ImportError as error:
    raise MissingFrameworkError("multiboard.torch_tensorboard", "PyTorch and tensorboard", "torch,tensorboard") from error

__all__ = ["capture"]


def capture(*, sub_runs: bool = False) -> Capture:
    """Make torch's SummaryWriter and FileWriter write through multiboard, also inside Lightning, Transformers and others.

    Code that logs with them needs no change, whether it imported the classes before, inherits from them, or writes finished
    Summary and Event messages. Writers that are open already go on as they were, which is said. What torch refuses or changes
    (NaN in histograms, a full disk, bfloat16, JAX arrays) is written as `multiboard.SummaryWriter` does. In a forked process the
    values of a writer go into a run of their own, 'process_<id>', below that of the writer.

    Args:
        sub_runs: `add_hparams` and `add_scalars` open a sub-run per call or series, as in torch.

    Returns:
        A handle that ends the capture, as a context manager or by `restore`. A further call changes nothing but that all of
        them have to be ended.

    Example:
        >>> import multiboard.torch_tensorboard
        >>> with multiboard.torch_tensorboard.capture():
        ...     pass  # train
    """
    from multiboard.captured import capture_classes

    return capture_classes(tensorboard.SummaryWriter, tensorboard.FileWriter, sub_runs=sub_runs)
