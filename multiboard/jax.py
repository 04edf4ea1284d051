"""Facade of the JAX adapter: `import multiboard.jax`."""

from multiboard.errors import MissingFrameworkError

try:
    import jax  # noqa: F401  # the one place that turns a missing framework into an install hint
except ImportError as error:
    raise MissingFrameworkError("multiboard.jax", "JAX", "jax") from error

from multiboard_jax import *  # noqa: F403
from multiboard_jax import __all__  # noqa: F401
