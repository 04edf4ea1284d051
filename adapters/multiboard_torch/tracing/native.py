"""What PyTorch calls things: dtypes, devices, functions of its API, and the facts of an operator's schema."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from multiboard.graph.ir import TensorSpec

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch
    from torch import Tensor

_REBINDS: Final = frozenset({"aten::detach", "aten::alias", "aten::lift_fresh", "aten::lift"})
"""Operators that return what they are given."""
_LONGEST: Final = 12
"""Numbers of an argument that is a list; a longer one is data."""


class Operator(NamedTuple):
    """What an operator's schema says.

    Attributes:
        name: e.g. 'aten::addmm'.
        arguments: their names, in order.
        written: names of those that it changes in place.
        returned: which of its results are these, in the same order.
        rebinds: whether it returns what it is given.
    """

    name: str
    arguments: tuple[str, ...]
    written: frozenset[str]
    returned: tuple[int, ...]
    rebinds: bool


@functools.lru_cache(maxsize=4096)
def operator(function: Any) -> Operator:
    """Return what is known of an operator; of one without a schema its name."""
    schema = getattr(function, "_schema", None)
    if schema is None:
        name = getattr(function, "__name__", type(function).__name__)
        return Operator(str(name), (), frozenset(), (), rebinds=False)
    written = frozenset(one.name for one in schema.arguments if _is_written(one))
    returned = tuple(slot for slot, one in enumerate(schema.returns) if _is_written(one))
    names = tuple(one.name for one in schema.arguments)
    return Operator(schema.name, names, written, returned, rebinds=schema.name in _REBINDS)


def _is_written(argument: Any) -> bool:
    return argument.alias_info is not None and bool(argument.alias_info.is_write)


@functools.cache
def dtype_name(dtype: torch.dtype) -> str:
    """Return the name of a dtype as NumPy spells it.

    >>> import torch
    >>> dtype_name(torch.bfloat16), dtype_name(torch.long)
    ('bfloat16', 'int64')
    """
    return str(dtype).removeprefix("torch.")


@functools.cache
def device_name(device: torch.device) -> str:
    """Return the native name of a device."""
    return str(device)


def spec(tensor: Tensor) -> TensorSpec:
    """Return the shape and dtype of a tensor; a size that is not a number is None."""
    try:
        shape = tuple(tensor.shape)
    except RuntimeError:  # a nested tensor has no shape
        return TensorSpec(None, dtype_name(tensor.dtype))
    for size in shape:
        if type(size) is not int:
            return TensorSpec(tuple([_fixed(one) for one in shape]), dtype_name(tensor.dtype))
    return TensorSpec(shape, dtype_name(tensor.dtype))


def _fixed(size: Any) -> int | None:
    node = getattr(size, "node", None)
    if node is not None and hasattr(node, "maybe_as_int"):
        found: int | None = node.maybe_as_int()
        return found
    return None


def call_name(function: Callable[..., Any]) -> str:
    """Return what a person calls a function of the API.

    >>> import torch
    >>> call_name(torch.Tensor.__getitem__), call_name(torch.nn.functional.relu), call_name(torch.Tensor.mT.__get__)
    ('getitem', 'relu', 'mT')
    """
    name = getattr(function, "__name__", "") or type(function).__name__
    if name == "__get__":
        name = getattr(getattr(function, "__self__", None), "__name__", name)
    return str(name).strip("_") or "call"


def fact(value: Any) -> str | int | float | bool | None:
    """Return an argument of an operator as an attribute; None if it is none."""
    if isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (list, tuple)):
        plain = 0 < len(value) <= _LONGEST and all(isinstance(one, (bool, int, float)) for one in value)
        return str(list(value)) if plain else None
    return None
