"""Facade of the PyTorch adapter: `import multiboard.torch`."""

from multiboard.errors import MissingFrameworkError

try:
    import torch  # noqa: F401  # the one place that turns a missing framework into an install hint
except ImportError as error:
    raise MissingFrameworkError("multiboard.torch", "PyTorch", "torch") from error

from multiboard_torch import *  # noqa: F403
from multiboard_torch import __all__  # noqa: F401
