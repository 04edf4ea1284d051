"""The two compiled variants of a step, for each of the ways in which a step is compiled."""

from __future__ import annotations

import functools
import sys
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

import jax

from multiboard.errors import ArgumentError
from multiboard_jax.activations import named_layers
from multiboard_jax.measured import Measurement, measured_nnx_step, measured_step
from multiboard_jax.reachable import is_equinox_module, is_nnx_object

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from multiboard_jax.distributed import Placement
    from multiboard_jax.options import Options

_Step: TypeAlias = "Callable[..., Any]"

_JITTED: Final = type(jax.jit(lambda: None))
_FILTERED: Final = (
    "equinox compiles a step whose modules hold functions, and takes no such option; give"
    " equinox.filter_jit(train_step, donate='all'), and leave {} out"
)


class Variants(NamedTuple):
    """How a step is compiled.

    Attributes:
        plain: the step, compiled as it is.
        measured: makes the compiled measured variant for arguments that live at a place.
    """

    plain: _Step
    measured: Callable[[Placement | None], Callable[..., tuple[Any, Measurement]]]


def variants(step: _Step, arguments: Any, jit_options: Mapping[str, Any], options: Options) -> Variants:
    """Return the variants of a step; a step that is compiled already is the plain one.

    Args:
        step: as the user gave it.
        arguments: of its first call.
        jit_options: as `jax.jit` takes them.
        options: what is measured.

    Raises:
        ArgumentError: a step of equinox with options that its `jit` does not have.
    """
    home = _home(step)
    if home == "flax" or (not home and _any_is(is_nnx_object, arguments)):
        from flax import nnx

        inner = getattr(step, "__wrapped__", step) if home else step
        plain: _Step = step if home else nnx.jit(_named(step), **jit_options)
        return Variants(plain, lambda place: nnx.jit(measured_nnx_step(inner, options, place), **jit_options))
    if home == "equinox" or (not home and _needs_filter(arguments)):
        return _filtered(step, jit_options, options)
    inner = getattr(step, "__wrapped__", step) if home else step
    plain = step if home else jax.jit(step, **jit_options)
    return Variants(plain, lambda place: jax.jit(measured_step(inner, options, place), **jit_options))


def _filtered(step: _Step, jit_options: Mapping[str, Any], options: Options) -> Variants:
    for name, value in jit_options.items():
        raise ArgumentError(name, value, _FILTERED.format(name))
    filter_jit = sys.modules["equinox"].filter_jit
    jitted = _home(step) == "equinox"
    inner = getattr(step, "__wrapped__", step) if jitted else step
    return Variants(step if jitted else filter_jit(_named(step)), lambda place: filter_jit(measured_step(inner, options, place)))


def _named(step: _Step) -> _Step:
    """Return the step with the names of its layers in the metadata of its operations, for profiles and graphs."""

    @functools.wraps(step)
    def run(*args: Any, **kwargs: Any) -> Any:
        with named_layers((args, kwargs)) as released:
            return released(step(*args, **kwargs))

    return run


def _home(step: _Step) -> str:
    """Return the library that has compiled a step, or '' if it is not compiled."""
    if isinstance(step, _JITTED):
        return "jax"
    library = type(step).__module__.partition(".")[0]
    return library if library in {"flax", "equinox"} and hasattr(step, "__wrapped__") else ""


def _needs_filter(arguments: Any) -> bool:
    """Tell whether modules of equinox hold leaves that `jax.jit` does not take."""
    modules = [node for node in jax.tree.leaves(arguments, is_leaf=is_equinox_module) if is_equinox_module(node)]
    return any(not hasattr(leaf, "dtype") for leaf in jax.tree.leaves(modules))


def _any_is(is_wanted: Callable[[Any], bool], arguments: Any) -> bool:
    return any(map(is_wanted, jax.tree.leaves(arguments, is_leaf=is_wanted)))
