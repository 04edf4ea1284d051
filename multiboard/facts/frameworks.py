"""Which frameworks this process has loaded, in which versions, and with which seed."""

from __future__ import annotations

import platform
import sys
from typing import Any, Final

_FRAMEWORKS: Final = ("torch", "jax", "flax", "keras", "tensorflow")
_PACKAGES: Final = ("multiboard", "numpy", *_FRAMEWORKS, "jaxlib", "optax")
_others: Final[list[str]] = []
"""Frameworks of adapters of other packages that are in use."""
_SEEDS: Final = 2**32
"""Above the seeds that people choose; PyTorch's own is 64 random bits."""


def add(module: str) -> None:
    """Count the framework of an adapter among those of this process."""
    if module not in (*_PACKAGES, *_others):
        _others.append(module)


def loaded(name: str) -> Any:
    """Return a module that the program has imported to its end, else None."""
    module = sys.modules.get(name)
    # Not getattr: it would make a module that is imported lazily import itself now.
    finished = module is not None and "__version__" in object.__getattribute__(module, "__dict__")
    return module if finished else None


def jax_started() -> bool:
    """Return whether JAX has initialised its devices."""
    bridge = sys.modules.get("jax._src.xla_bridge")  # no public name tells it without initialising them
    return bridge is not None and bridge.backends_are_initialized()


def tensorflow_started() -> bool:
    """Return whether TensorFlow has initialised its devices."""
    module = sys.modules.get("tensorflow.python.eager.context")  # no public name tells it either
    context = getattr(module, "_context", None)
    return context is not None and context._initialized  # noqa: SLF001


def names() -> dict[str, str]:
    """Return the frameworks in use in one line; Keras with its backend, which is then not named once more.

    TensorFlow imports JAX and Keras, and Keras imports TensorFlow, so loaded is not in use: those that have devices to initialise
    have done so. Only if that is true of none, all that are loaded are named.
    """
    keras = loaded("keras")
    backend = keras.backend.backend() if keras else ""
    started = {"torch": True, "jax": jax_started(), "tensorflow": tensorflow_started()}
    started |= {"flax": started["jax"], "keras": started.get(backend, True)}
    found = [name for name in (*_FRAMEWORKS, *_others) if loaded(name)]
    used = [name for name in found if started.get(name, True)] or found
    if "keras" in used:
        used = [f"keras ({backend})" if name == "keras" else name for name in used if name != backend]
    return {"framework": ", ".join(used)} if used else {}


def versions() -> dict[str, str]:
    """Return the versions of Python and the loaded packages."""
    found = {f"version/{name}": str(loaded(name).__version__) for name in (*_PACKAGES, *_others) if loaded(name)}
    return {"version/python": platform.python_version(), **found}


def seed() -> dict[str, int]:
    """Return the seed that PyTorch was given, if it was given one."""
    torch = loaded("torch")
    given = torch.initial_seed() if torch else _SEEDS
    return {"seed": given} if given < _SEEDS else {}
