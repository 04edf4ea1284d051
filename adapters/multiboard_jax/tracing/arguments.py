"""What the arguments of a function that is traced are: parameters, states of a model or of an optimizer, or inputs.

It is told by names and classes, as people and libraries use them: `params`, `batch_stats`, `opt_state`, states of optax, modules
of equinox. Modules of NNX say it themselves: see `programs`.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias, cast

import jax.numpy as jnp

from multiboard.errors import ArgumentError
from multiboard.graph.recorder import Weight, elements
from multiboard_jax.layer_paths import join
from multiboard_jax.paths import class_at, key_text, place_of
from multiboard_jax.reachable import is_equinox_module
from multiboard_jax.tracing.values import spec_of_array

if TYPE_CHECKING:
    from multiboard_jax.tracing.values import Argument

Chosen: TypeAlias = "str | Sequence[str] | Callable[[str], bool] | None"
"""Which arguments are parameters: names of arguments or beginnings of paths, a function of the path, or None to find out."""
_PARAMETERS: Final = re.compile(r"(.*_)?(params|parameters|weights|theta)")
_OPTIMIZER: Final = re.compile(r"(.*_)?(opt_state|optimizer_state)")
_BUFFERS: Final = re.compile(r"(.*_)?(batch_stats|buffers)|(ema|avg|average|target)_.*")
"""States of a model, and copies of its parameters that are not trained themselves."""


class _Found(NamedTuple):
    """What an array is.

    Attributes:
        depth: number of keys in front of its path in the model; 0 if it is in none.
        trainable: it is a parameter.
        holder: name of the model, in case there are several.
    """

    depth: int
    trainable: bool
    holder: str = ""


def check_chosen(chosen: object) -> Chosen:
    """Return which arguments are parameters, or raise ArgumentError if that is not what was given."""
    names = [chosen] if isinstance(chosen, str) else chosen
    if chosen is None or callable(chosen) or (isinstance(names, (list, tuple)) and all(isinstance(name, str) for name in names)):
        return cast("Chosen", chosen)
    raise ArgumentError("params", chosen, "pass names or a function of the path; an argument of that name goes by position")


def arguments_of(leaves: Sequence[tuple[Sequence[Any], Any]], values: Sequence[Any], chosen: Chosen) -> list[Argument]:
    """Return what each array in the arguments is.

    Args:
        leaves: path and array; the first part of a path is the name of the argument, the others are keys of a tree.
        values: for each of them the argument that it is in.
        chosen: which of them are parameters.
    """
    found = [_found(path, value, chosen) for (path, _), value in zip(leaves, values, strict=True)]
    several = len({one.holder for one in found if one is not None and one.trainable}) > 1
    return [
        _argument(i, path, leaf, value, one, several=several)
        for i, ((path, leaf), value, one) in enumerate(zip(leaves, values, found, strict=True))
    ]


def is_array(leaf: object) -> bool:
    """Return whether a leaf is to be traced: an array of any library, or a shape and dtype that stand for one."""
    return hasattr(leaf, "shape") and hasattr(leaf, "dtype")


def weight_of(key: int, path: Sequence[Any], layer_class: str, leaf: Any, prefix: str, *, trainable: bool) -> Weight:
    """Return a parameter or state by its place in a model.

    Args:
        key: what tells it from others.
        path: in the model.
        layer_class: class of the layer that holds it, if it is known.
        leaf: the array.
        prefix: in front of its path.
        trainable: it is a parameter.
    """
    place = place_of(path, layer_class)
    role, spec = place.layer.rpartition("/")[2], spec_of_array(leaf)
    return Weight(key, role, join(prefix, place.layer), place.native, spec, elements(spec.shape), trainable=trainable)


def _argument(key: int, path: Sequence[Any], leaf: Any, value: Any, found: _Found | None, *, several: bool) -> Argument:
    texts = [path[0], *map(key_text, path[1:])]
    if found is None:
        return "input", "/".join(texts)
    inside = path[found.depth :]
    if found.depth:
        holder = _nodes(value, path[1:])[found.depth - 1 : found.depth]
        layer_class = class_at(holder[0], inside[:-1]) if holder else ""
        return weight_of(key, inside, layer_class, leaf, found.holder if several else "", trainable=found.trainable)
    spec = spec_of_array(leaf)
    return Weight(key, texts[-1], "/".join(texts), "/".join(texts), spec, elements(spec.shape), trainable=False)


def _found(path: Sequence[Any], value: Any, chosen: Chosen) -> _Found | None:
    texts = [path[0], *map(key_text, path[1:])]
    nodes = _nodes(value, path[1:])
    kind = variable_kind(nodes[-1])
    if kind is not None:
        # Before Flax 0.11 an optimizer holds its model, and may be the only argument that does.
        depth = 0 if _is_of_optimizer(kind) else 1 + (texts[1:2] == ["model"] and texts[2:] != [])
        return _Found(depth, trainable=_is_parameter(kind), holder=texts[0])
    if chosen is not None:
        return _Found(1, trainable=True, holder=texts[0]) if _is_chosen("/".join(texts), chosen) else None
    for i, text in enumerate(texts):
        node = nodes[i] if i < len(nodes) else None
        if type(node).__module__.startswith("optax") or _OPTIMIZER.fullmatch(text):
            return _Found(0, trainable=False)
        if _BUFFERS.fullmatch(text):
            return _Found(i + 1, trainable=False)
        if _PARAMETERS.fullmatch(text) and len(texts) > 1:
            return _Found(i + 1, trainable=_is_real(value, path), holder="/".join(texts[: max(i, 1)]))
        if isinstance(node, Mapping) and "params" in node and i + 1 < len(texts) and texts[i + 1] != "params":
            return _Found(i + 2, trainable=False)
        if is_equinox_module(node):
            return _Found(i + 1, trainable=_is_real(value, path), holder="/".join(texts[: i + 1]))
    return None


def _is_real(value: Any, path: Sequence[Any]) -> bool:
    """Return whether an array is of floating or complex numbers: others are no parameters, e.g. a random key."""
    nodes = _nodes(value, path[1:])
    dtype = getattr(nodes[-1], "dtype", None)
    return dtype is None or bool(jnp.issubdtype(dtype, jnp.inexact))


def variable_kind(node: object) -> type | None:
    """Return the class of a variable of NNX, or of what stands for one in a state; None if the node is neither."""
    nnx = sys.modules.get("flax.nnx")
    if nnx is None:
        return None
    kind = type(node) if isinstance(node, nnx.Variable) else getattr(node, "type", None)
    return kind if isinstance(kind, type) and issubclass(kind, nnx.Variable) else None


def _is_parameter(kind: type) -> bool:
    return issubclass(kind, sys.modules["flax.nnx"].Param)


def _is_of_optimizer(kind: type) -> bool:
    return ".optimizer" in kind.__module__


def _is_chosen(path: str, chosen: str | Sequence[str] | Callable[[str], bool]) -> bool:
    if callable(chosen):
        return bool(chosen(path))
    names = (chosen,) if isinstance(chosen, str) else chosen
    return any(path == name or path.startswith(f"{name}/") for name in names)


def _nodes(value: Any, path: Sequence[Any]) -> list[Any]:
    """Return an argument and what is in it along a path, as far as can be seen."""
    nodes = [value]
    for key in path:
        node = nodes[-1]
        try:
            nodes.append(getattr(node, key.name) if hasattr(key, "name") else node[key.key if hasattr(key, "key") else key.idx])
        except Exception:  # noqa: BLE001  # a foreign container
            break
    return nodes
