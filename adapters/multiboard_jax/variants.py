"""The two compiled variants of a step, for each of the ways in which a step is compiled."""

from __future__ import annotations

import functools
import sys
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

import jax

from multiboard.errors import ArgumentError
from multiboard_jax.activations import marked_if_possible
from multiboard_jax.compiled import asked_placement, home_of, unbound
from multiboard_jax.measured import Measurement, measured_nnx_step, measured_step
from multiboard_jax.naming import named
from multiboard_jax.reachable import holds_nnx_state, is_equinox_module

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from multiboard_jax.distributed import Placement
    from multiboard_jax.options import Options

_Step: TypeAlias = "Callable[..., Any]"
_Measured: TypeAlias = "Callable[..., tuple[Any, Measurement]]"

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
    measured: Callable[[Placement | None], _Measured]


def variants(step: _Step, arguments: Any, jit_options: Mapping[str, Any], options: Options) -> Variants:
    """Return the variants of a step; a step that is compiled already is the plain one.

    Args:
        step: as the user gave it.
        arguments: of its first call: those by position, and those by name.
        jit_options: as `jax.jit` takes them.
        options: what is measured.

    Raises:
        ArgumentError: a step of equinox with options that its `jit` does not have.
    """
    function, bound, named = unbound(step)
    if function is step:
        return _variants(step, arguments, jit_options, options)
    args, kwargs = arguments
    if not home_of(function):
        jit_options = _shifted(jit_options, len(bound))
    made = _variants(function, ((*bound, *args), {**named, **kwargs}), jit_options, options)
    return Variants(
        functools.partial(made.plain, *bound, **named),
        lambda place: functools.partial(made.measured(place), *bound, **named),
    )


def _variants(step: _Step, arguments: Any, jit_options: Mapping[str, Any], options: Options) -> Variants:
    home = home_of(step)
    step = step if home else _hashable(step)
    if home == "flax" or (not home and holds_nnx_state(arguments)):
        from flax import nnx

        plain: _Step = step if home else nnx.jit(named(step), **jit_options)
        return Variants(plain, lambda place: nnx.jit(_again(measured_nnx_step(step, options, place), options), **jit_options))
    if home == "equinox" or (not home and _needs_filter(arguments)):
        return _filtered(step, jit_options, options)
    measured = _measured_jitted if home else measured_step
    plain = step if home else jax.jit(named(step), **jit_options)
    return Variants(plain, lambda place: jax.jit(_again(measured(step, options, place), options), **jit_options))


def _filtered(step: _Step, jit_options: Mapping[str, Any], options: Options) -> Variants:
    for name, value in jit_options.items():
        raise ArgumentError(name, value, _FILTERED.format(name))
    filter_jit = sys.modules["equinox"].filter_jit
    jitted = home_of(step) == "equinox"
    inner = getattr(step, "__wrapped__", step) if jitted else step
    return Variants(
        step if jitted else filter_jit(named(step)),
        lambda place: filter_jit(_again(measured_step(inner, options, place), options)),
    )


def _measured_jitted(step: _Step, options: Options, placement: Placement | None) -> _Measured:
    """Return what `measured_step` does for a jitted step: it stays one, because only its own equation has its shardings."""

    @functools.wraps(step)
    def run(*args: Any, **kwargs: Any) -> tuple[Any, Measurement]:
        place = placement
        if place is None and jax.device_count() > 1:  # arrays of the host go where the step asks for them
            place = asked_placement(step, args, kwargs)
        return measured_step(step, options, place)(*args, **kwargs)

    return run


def _hashable(step: _Step) -> _Step:
    """Return a step that `jit` can take: equinox objects that hold arrays, like mapped functions, are not hashable."""

    @functools.wraps(step, updated=())
    def run(*args: Any, **kwargs: Any) -> Any:
        return step(*args, **kwargs)

    try:
        hash(step)
    except TypeError:
        return run
    return step


def _again(measured: _Measured, options: Options) -> _Measured:
    return measured if options.activations is None else marked_if_possible(measured)


def _shifted(jit_options: Mapping[str, Any], count: int) -> dict[str, Any]:
    """Return the options with positions counted behind so many bound arguments."""
    return {
        name: tuple(i + count if i >= 0 else i for i in value) if name.endswith("nums") else value
        for name, value in jit_options.items()
    }


def _needs_filter(arguments: Any) -> bool:
    """Tell whether modules of equinox hold leaves that `jax.jit` does not take."""
    modules = [node for node in jax.tree.leaves(arguments, is_leaf=is_equinox_module) if is_equinox_module(node)]
    return any(not hasattr(leaf, "dtype") for leaf in jax.tree.leaves(modules))
