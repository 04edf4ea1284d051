"""Writers of other packages that write through multiboard: `multiboard.tensorboardx` and `multiboard.torch_tensorboard`."""

from multiboard.captured.exchange import Capture, capture_classes

__all__ = ["Capture", "capture_classes"]
