"""Facade of the Keras adapter: `import multiboard.keras`."""

from multiboard.errors import MissingFrameworkError

try:
    import keras  # noqa: F401  # the one place that turns a missing framework into an install hint
except ImportError as error:
    raise MissingFrameworkError("multiboard.keras", "Keras", "keras") from error

from multiboard_keras import *  # noqa: F403
from multiboard_keras import __all__  # noqa: F401
