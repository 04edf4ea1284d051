"""Steps that come compiled, or bound to an object: which library has compiled them, and what they ask for."""

from __future__ import annotations

import contextlib
import functools
import sys
from types import FunctionType
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

import jax
from jax.sharding import Mesh, NamedSharding

from multiboard.errors import ArgumentError
from multiboard_jax.distributed import Placement
from multiboard_jax.harvest import of_traced
from multiboard_jax.reachable import is_equinox_module, is_nnx_object

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_Step: TypeAlias = "Callable[..., Any]"

_JITTED: Final = type(jax.jit(lambda: None))


class Bound(NamedTuple):
    """A function and what it is always called with.

    Attributes:
        function: the function.
        args: in front of the other arguments.
        kwargs: by name.
    """

    function: _Step
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = {}


def check_step(step: object) -> _Step:
    """Return a training step, or raise ArgumentError if it is none or cannot be measured."""
    if isinstance(step, jax.stages.Compiled):
        raise ArgumentError("train_step", step, "pass the jitted function: a compiled program cannot be traced to be measured")
    if not callable(step):
        raise ArgumentError("train_step", step, "pass the function that makes one update")
    return step


def home_of(step: object) -> str:
    """Return the library that has compiled a step, or '' if it is not compiled."""
    if isinstance(step, _JITTED):
        return "jax"
    if isinstance(step, _classes_of_nnx()):
        return "flax"
    equinox = sys.modules.get("equinox")
    return "equinox" if equinox is not None and isinstance(step, type(equinox.filter_jit(_nothing))) else ""


def unbound(step: _Step) -> Bound:
    """Take apart a method of a module, and what binds arguments to a function that NNX or equinox has compiled.

    `jax.jit` would take the module for a constant. Other functions are returned as they are.
    """
    owner, function = getattr(step, "__self__", None), getattr(step, "__func__", None)
    if function is not None and (is_nnx_object(owner) or is_equinox_module(owner)):
        return Bound(function, (owner,))
    equinox = sys.modules.get("equinox")
    partials = (functools.partial,) if equinox is None else (functools.partial, equinox.Partial)
    if isinstance(step, partials) and home_of(step.func) in {"flax", "equinox"}:
        return Bound(step.func, tuple(step.args), dict(step.keywords))
    return Bound(step)


def asked_placement(step: _Step, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Placement | None:
    """Return the devices that the `jit` of a step asks for, None if it asks for none or for one.

    Args:
        step: a jitted function.
        args: its arguments inside a trace; whatever is not being traced is static.
        kwargs: likewise.
    """

    def arrays(*args: Any, **kwargs: Any) -> list[Any]:
        return [leaf for leaf in jax.tree.leaves(step(*args, **kwargs)) if isinstance(leaf, jax.core.Tracer)]

    call, inputs = of_traced(arrays, tuple(args), dict(kwargs))
    for eqn in jax.make_jaxpr(call)(inputs).jaxpr.eqns:
        for sharding in (*eqn.params.get("in_shardings", ()), *eqn.params.get("out_shardings", ())):
            if isinstance(sharding, NamedSharding) and isinstance(sharding.mesh, Mesh) and sharding.mesh.size > 1:
                return Placement(sharding.mesh)
    return None


def _nothing() -> None:
    pass


@functools.cache
def _classes_of(jit: Callable[..., Any]) -> tuple[type, ...]:
    classes = [type(jit(_nothing))]
    with contextlib.suppress(TypeError):  # of a version with one kind of step
        classes.append(type(jit(_nothing, graph=False)))
    return tuple(classes)


def _classes_of_nnx() -> tuple[type, ...]:
    nnx = sys.modules.get("flax.nnx")
    # In older versions of Flax what `nnx.jit` returns is a function like others, and is treated like them.
    return () if nnx is None else tuple(cls for cls in _classes_of(nnx.jit) if cls not in {_JITTED, FunctionType})
