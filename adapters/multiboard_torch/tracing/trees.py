"""The tensors in whatever a model takes and returns: nested lists, dicts, records and objects."""

from __future__ import annotations

import dataclasses
import inspect
from collections import UserDict, deque
from typing import TYPE_CHECKING, Any, Final

from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

_DEEPEST: Final = 8
_MOST: Final = 2000
"""Tensors that are looked at."""


def tensors(tree: Any, path: str = "") -> Iterator[tuple[str, Tensor]]:
    """Yield the tensors of nested containers, each once, and where they are, e.g. 'batch/image'.

    Containers of other classes may compute what they hold, with random numbers, when they are asked: their attributes are taken.

    Args:
        tree: tensors, lists, tuples, dicts, data classes and objects with attributes.
        path: of the tree itself.
    """
    seen: set[int] = set()
    for number, found in enumerate(_walk(tree, path, _DEEPEST, seen)):
        if number >= _MOST:
            return
        yield found


def _walk(tree: Any, path: str, depth: int, seen: set[int]) -> Iterator[tuple[str, Tensor]]:
    if isinstance(tree, Tensor):
        if id(tree) not in seen:
            seen.add(id(tree))
            yield path, tree
        return
    if depth == 0 or tree is None or isinstance(tree, (str, bytes, int, float, complex, type, nn.Module)) or id(tree) in seen:
        return
    parts = _parts(tree)
    if parts is None:
        return
    seen.add(id(tree))
    for name, part in parts:
        yield from _walk(part, f"{path}/{name}" if path else name, depth - 1, seen)


def _parts(tree: Any) -> Iterable[tuple[str, Any]] | None:
    """Return what a container holds, None if it is none."""
    if isinstance(tree, (dict, UserDict)):
        return [(str(key), value) for key, value in tree.items()]
    if isinstance(tree, tuple) and hasattr(tree, "_fields"):
        return list(zip(tree._fields, tree, strict=False))
    if isinstance(tree, (list, tuple, set, frozenset, deque)):
        return [(str(index), value) for index, value in enumerate(tree)] if len(tree) <= _MOST else None
    if dataclasses.is_dataclass(tree):
        return [(field.name, getattr(tree, field.name, None)) for field in dataclasses.fields(tree)]
    if callable(tree) or not hasattr(tree, "__dict__"):
        return None
    return [(name, value) for name, value in vars(tree).items() if not name.startswith("__")]


def arguments(function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of a call by name; positions are the names where the signature does not tell them."""
    try:
        signature = inspect.signature(function)
        bound = dict(signature.bind_partial(*args, **kwargs).arguments)
    except (TypeError, ValueError):
        return {**{str(index): value for index, value in enumerate(args)}, **kwargs}
    for parameter in signature.parameters.values():
        if parameter.kind is inspect.Parameter.VAR_KEYWORD:
            bound.update(bound.pop(parameter.name, {}))
    return bound
