"""Facade of the Transformers adapter: `import multiboard.transformers`."""

from multiboard.errors import MissingFrameworkError

try:
    import accelerate  # noqa: F401  # the Trainer needs it
    import transformers  # noqa: F401  # the one place that turns a missing framework into an install hint
except ImportError as error:
    raise MissingFrameworkError("multiboard.transformers", "Transformers and Accelerate", "transformers") from error

from multiboard_transformers import *  # noqa: F403
from multiboard_transformers import __all__  # noqa: F401
