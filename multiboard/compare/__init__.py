"""Compare runs: which layers belong together, how far they are apart, and where they part.

`multiboard.compare(a, b)` is `multiboard.compare.comparison.compare`. Nothing here imports a framework; runs are read from their
event files.
"""

import sys
from types import ModuleType
from typing import Any


class _Callable(ModuleType):
    """A package that is called like its main function: both have one name, and Python sets it to the package on import."""

    def __call__(self, *runs: Any, **options: Any) -> Any:
        from multiboard.compare.comparison import compare

        return compare(*runs, **options)


sys.modules[__name__].__class__ = _Callable
