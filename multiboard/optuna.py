"""Facade of the bridge to Optuna: `import multiboard.optuna`."""

from multiboard.errors import MissingFrameworkError

try:
    import optuna  # noqa: F401  # the one place that turns a missing framework into an install hint
except ImportError as error:
    raise MissingFrameworkError("multiboard.optuna", "Optuna", "optuna") from error

from multiboard_bridges.optuna import *  # noqa: F403
from multiboard_bridges.optuna import __all__  # noqa: F401
