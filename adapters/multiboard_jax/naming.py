"""Names of layers in the metadata of a program, where profiles find them; nothing else of the program changes."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, TypeVar, cast

from multiboard.errors import ArgumentError
from multiboard_jax.activations import named_layers
from multiboard_jax.compiled import home_of

if TYPE_CHECKING:
    from collections.abc import Callable

_Function = TypeVar("_Function", bound="Callable[..., Any]")


def name_layers(function: _Function) -> _Function:
    """Return a function whose operations carry the paths of the NNX and equinox layers that they belong to, for profiles.

    Only needed where `wrap_train_step` does not compile the step, which does the same; linen names its layers by itself. The
    names are put in while the function is traced, so that a call of the compiled one costs nothing, and its results are the
    same bits. A layer that cannot be told from others like it has no name.

    Args:
        function: what is going to be compiled, e.g. a training step; the layers are in its arguments, or merged in it.

    Raises:
        ArgumentError: it is no function, or compiled already.

    Example:
        >>> import jax
        >>> @jax.jit
        ... @name_layers
        ... def train_step(model, x):
        ...     return model(x)
    """
    if not callable(function) or home_of(function):
        raise ArgumentError("function", function, "pass the function before it is compiled, e.g. nnx.jit(mbj.name_layers(step))")
    return named(function)


def named(function: _Function) -> _Function:
    """Do what `name_layers` does, unasked."""

    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        with named_layers((args, kwargs)):
            return function(*args, **kwargs)

    return cast("_Function", run)
