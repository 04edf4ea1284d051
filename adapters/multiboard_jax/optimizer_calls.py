"""The calls of optimizers, which have a scope of their own in the metadata of a program, as layers have."""

from __future__ import annotations

import contextlib
import sys
import threading
from typing import TYPE_CHECKING, Any, Final

import jax

if TYPE_CHECKING:
    from collections.abc import Iterator

SCOPE: Final = "optimizer"


class _Local(threading.local):
    inside = False


_local: Final = _Local()


@contextlib.contextmanager
def optimizer_scope() -> Iterator[None]:
    """Name the operations that are traced inside as those of an optimizer; optimizers inside others are parts of them."""
    if _local.inside:
        yield
        return
    _local.inside = True
    try:
        with jax.named_scope(SCOPE):
            yield
    finally:
        _local.inside = False


def optimizer_functions() -> Iterator[tuple[Any, str]]:
    """Yield owner and name of the functions with which steps update parameters; what optax makes itself cannot be replaced."""
    nnx, states = sys.modules.get("flax.nnx"), sys.modules.get("flax.training.train_state")
    for library in (sys.modules.get("optax"), sys.modules.get("equinox")):
        if hasattr(library, "apply_updates"):
            yield library, "apply_updates"
    for module, cls, name in ((nnx, "Optimizer", "update"), (states, "TrainState", "apply_gradients")):
        if module is not None:
            yield from _own(getattr(module, cls), name)


def _own(cls: type, name: str) -> Iterator[tuple[type, str]]:
    if name in vars(cls):
        yield cls, name
    inner: type
    for inner in type.__subclasses__(cls):
        yield from _own(inner, name)
