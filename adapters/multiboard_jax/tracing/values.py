"""What a walk through a jaxpr carries along: where values come from, and where a body stands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from multiboard.graph.ir import TensorSpec

if TYPE_CHECKING:
    from collections.abc import Hashable

    from multiboard.graph.recorder import Weight
    from multiboard_jax.tracing.parts import Part

Argument: TypeAlias = "tuple[str, str] | Weight"
"""Of a flat argument: ('input', its name), or the parameter or state that it is."""
Source: TypeAlias = "tuple[int, int] | Weight | Constant | None"
"""Where a value comes from: number of a node and of its output; None if that is not to be drawn, as of a number."""


@dataclass(frozen=True, slots=True)
class Constant:
    """An array that a function has brought along.

    Attributes:
        key: what tells it from others.
        spec: shape and dtype.
    """

    key: Hashable
    spec: TensorSpec


class Context(NamedTuple):
    """Where a body stands.

    Attributes:
        parts: of the way to it.
        backward: it is part of a backward pass.
        optimizer: it is part of an optimizer.
        sealed: a function of the API has called it: what that does is its own business, and may have been traced elsewhere.
        times: how often it runs.
        visit: tells the calls of a module apart whose trace was kept.
    """

    parts: tuple[Part, ...] = ()
    backward: bool = False
    optimizer: bool = False
    sealed: bool = False
    times: int = 1
    visit: Hashable = 0


def spec_of(atom: Any) -> TensorSpec:
    """Return shape and dtype of a variable or literal of a jaxpr; a dimension without a number is unknown."""
    return spec_of_array(atom.aval)


def spec_of_array(array: Any) -> TensorSpec:
    """Return shape and dtype of an array, or of what stands for one."""
    shape, dtype = getattr(array, "shape", None), getattr(array, "dtype", None)
    sizes = None if shape is None else tuple(size if isinstance(size, int) else None for size in shape)
    return TensorSpec(sizes, "" if dtype is None else str(dtype))
