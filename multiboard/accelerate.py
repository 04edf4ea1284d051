"""Facade of the bridge to Accelerate: `import multiboard.accelerate`."""

from multiboard.errors import MissingFrameworkError

try:
    import accelerate  # noqa: F401  # the one place that turns a missing framework into an install hint
except ImportError as error:
    raise MissingFrameworkError("multiboard.accelerate", "Accelerate", "accelerate") from error

from multiboard_bridges.accelerate import *  # noqa: F403
from multiboard_bridges.accelerate import __all__  # noqa: F401
