"""Facade of the bridge to Stable-Baselines3: `import multiboard.stable_baselines3`."""

from multiboard.errors import MissingFrameworkError

try:
    import stable_baselines3  # noqa: F401  # the one place that turns a missing framework into an install hint
except ImportError as error:
    raise MissingFrameworkError("multiboard.stable_baselines3", "Stable-Baselines3", "stable-baselines3") from error

from multiboard_bridges.stable_baselines3 import *  # noqa: F403
from multiboard_bridges.stable_baselines3 import __all__  # noqa: F401
