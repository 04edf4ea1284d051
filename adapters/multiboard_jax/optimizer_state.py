"""What is read of the state of an optimizer: the arrays that belong to one parameter each, and learning rates."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final

import jax
import jax.numpy as jnp
import numpy as np

from multiboard import tags
from multiboard_jax.paths import array_paths, class_at, key_text, place_of
from multiboard_jax.tagging import HISTOGRAM, SCALAR, Label, bind, is_number

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_RATE: Final = ("hyperparams", "learning_rate")
_Path = tuple[str, ...]


def bind_state(state: Any, params: Any, name: str) -> Any:
    """Name what a new state holds of each parameter and its learning rates, and return it.

    Moments and the like are found by their paths, which end with that of a parameter whatever masks and partitions lie before.

    Args:
        state: of an optax transformation, after its update: injected hyper-parameters there are those that made this update.
        params: the parameters, or a tree like theirs.
        name: of the optimizer, or ''.
    """
    leaves, structure = jax.tree.flatten(state)
    owners = {tuple(map(key_text, path)): (path, leaf) for path, leaf in array_paths(params)}
    lengths = sorted({len(path) for path in owners}, reverse=True)
    bound, rates = [], 0
    for path, leaf in array_paths(state):
        keys = tuple(map(key_text, path))
        if keys[-2:] == _RATE:
            bound.append(bind(leaf, Label(_rate_tag(name, rates), SCALAR)))
            rates += 1
        else:
            bound.append(bind(leaf, _label(state, path, keys, leaf, owners, lengths, name)))
    return jax.tree.unflatten(structure, bound) if len(bound) == len(leaves) else state


def is_accumulating(state: Any) -> bool:
    """Tell whether an optimizer's state gathers the gradients of several steps before it applies them."""
    cls = getattr(sys.modules.get("optax"), "MultiStepsState", None)
    return isinstance(cls, type) and any(isinstance(node, cls) for node in _nodes(state, cls))


def _nodes(tree: Any, cls: type) -> list[Any]:
    return jax.tree.leaves(tree, is_leaf=lambda node: isinstance(node, cls))


def _label(
    state: Any,
    path: Sequence[Any],
    keys: _Path,
    leaf: Any,
    owners: Mapping[_Path, tuple[Sequence[Any], Any]],
    lengths: Iterable[int],
    name: str,
) -> Label | None:
    """Return what to call an array of a state, or None if it belongs to no parameter."""
    for length in lengths:
        owner = owners.get(keys[len(keys) - length :]) if length < len(keys) else None
        if owner is not None and _belongs(leaf, owner[1], bare=not length):
            native = keys[len(keys) - length - 1]
            place = place_of(owner[0])
            tag = "/".join(filter(None, (tags.OPTIMIZER_STATE, name, place.layer, tags.state(native))))
            cls = class_at(state, path[: len(path) - length - 1])
            return Label(tag, HISTOGRAM, tags.description(place.native, "", f"{native} of {cls}" if cls else native))
    return None


def _belongs(state: Any, parameter: Any, *, bare: bool) -> bool:
    """Tell whether a state is that of one parameter, also as rows or columns; if there is no path to tell, by its shape."""
    if not is_number(state) or not hasattr(state, "shape"):
        return False
    if bare:
        return bool(state.shape == np.shape(parameter) and jnp.issubdtype(state.dtype, jnp.inexact))
    return bool(state.size <= np.size(parameter) or state.shape == np.shape(parameter))


def _rate_tag(name: str, i: int) -> str:
    return "/".join(filter(None, (tags.LEARNING_RATE, name, str(i) if i else "")))
