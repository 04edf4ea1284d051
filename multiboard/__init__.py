"""multiboard: one TensorBoard logging layer for PyTorch, JAX/Flax and Keras 3.

    import multiboard as mb
    with mb.Run("runs/first", config={"lr": 3e-4}) as run:
        run.log({"train/loss": loss, "train/accuracy": accuracy}, step)

The adapters are `multiboard.torch`, `multiboard.jax` and `multiboard.keras`; importing this package imports none of them.
"""

from typing import TYPE_CHECKING, Any

from multiboard.errors import (
    ArgumentError,
    ClosedRunError,
    LogDirError,
    MissingFrameworkError,
    MultiboardError,
    MultiboardWarning,
    ReadError,
    StepError,
    TagError,
    TagKindError,
    ValueKindError,
    ValueShapeError,
)
from multiboard.run import Run

if TYPE_CHECKING:
    from multiboard.adapter_registry import adapters, watch
    from multiboard.alerts import Alert, Alerts
    from multiboard.buckets import Statistics
    from multiboard.clean_copy import repair
    from multiboard.compare.comparison import compare
    from multiboard.conversion import convert
    from multiboard.exact import Exact
    from multiboard.global_summary_writer import GlobalSummaryWriter
    from multiboard.page.notebook import show
    from multiboard.profile.profiler import Profiler
    from multiboard.reader import Column, RunData, read
    from multiboard.remote.options import RemoteOptions
    from multiboard.summary_writer import SummaryWriter

__version__ = "0.1.0"

__all__ = [
    "Alert",
    "Alerts",
    "ArgumentError",
    "ClosedRunError",
    "Column",
    "Exact",
    "GlobalSummaryWriter",
    "LogDirError",
    "MissingFrameworkError",
    "MultiboardError",
    "MultiboardWarning",
    "Profiler",
    "ReadError",
    "RemoteOptions",
    "Run",
    "RunData",
    "Statistics",
    "StepError",
    "SummaryWriter",
    "TagError",
    "TagKindError",
    "ValueKindError",
    "ValueShapeError",
    "__version__",
    "adapters",
    "compare",
    "convert",
    "read",
    "repair",
    "show",
    "watch",
]

_LAZY = {
    "Alert": "multiboard.alerts",
    "Alerts": "multiboard.alerts",
    "Statistics": "multiboard.buckets",
    "read": "multiboard.reader",
    "repair": "multiboard.clean_copy",
    "convert": "multiboard.conversion",
    "Column": "multiboard.reader",
    "Exact": "multiboard.exact",
    "RunData": "multiboard.reader",
    "RemoteOptions": "multiboard.remote.options",
    "SummaryWriter": "multiboard.summary_writer",
    "GlobalSummaryWriter": "multiboard.global_summary_writer",
    "Profiler": "multiboard.profile.profiler",
    "show": "multiboard.page.notebook",
    "adapters": "multiboard.adapter_registry",
    "watch": "multiboard.adapter_registry",
}


def __getattr__(name: str) -> Any:
    """Import what a training loop does not need when it is first asked for."""
    if name == "compare":  # a package that can be called, for its name stands for it as soon as a part of it is imported
        from importlib import import_module

        return import_module("multiboard.compare")
    if name in _LAZY:
        from importlib import import_module

        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'multiboard' has no attribute {name!r}")
