"""Which frameworks this process has loaded, in which versions, and with which seed."""

from __future__ import annotations

import platform
import sys
from typing import Any, Final

_FRAMEWORKS: Final = ("torch", "jax", "flax", "keras", "tensorflow")
_PACKAGES: Final = ("multiboard", "numpy", *_FRAMEWORKS, "jaxlib", "optax")
_SEEDS: Final = 2**32
"""Above the seeds that people choose; PyTorch's own is 64 random bits."""


def loaded(name: str) -> Any:
    """Return a module that the program has imported to its end, else None."""
    module = sys.modules.get(name)
    # Not getattr: it would make a module that is imported lazily import itself now.
    finished = module is not None and "__version__" in object.__getattribute__(module, "__dict__")
    return module if finished else None


def names() -> dict[str, str]:
    """Return the loaded frameworks in one line; Keras with its backend, which is then not named once more."""
    found = [name for name in _FRAMEWORKS if loaded(name)]
    keras = loaded("keras")
    if keras:
        backend = keras.backend.backend()
        found = [f"keras ({backend})" if name == "keras" else name for name in found if name != backend]
    return {"framework": ", ".join(found)} if found else {}


def versions() -> dict[str, str]:
    """Return the versions of Python and the loaded packages."""
    found = {f"version/{name}": str(loaded(name).__version__) for name in _PACKAGES if loaded(name)}
    return {"version/python": platform.python_version(), **found}


def seed() -> dict[str, int]:
    """Return the seed that PyTorch was given, if it was given one."""
    torch = loaded("torch")
    given = torch.initial_seed() if torch else _SEEDS
    return {"seed": given} if given < _SEEDS else {}
