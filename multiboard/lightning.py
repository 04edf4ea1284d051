"""Facade of the Lightning adapter: `import multiboard.lightning`."""

from importlib.util import find_spec

from multiboard.errors import MissingFrameworkError

if not (find_spec("lightning") or find_spec("pytorch_lightning")):
    raise MissingFrameworkError("multiboard.lightning", "Lightning", "lightning")

from multiboard_lightning import *  # noqa: F403
from multiboard_lightning import __all__  # noqa: F401
