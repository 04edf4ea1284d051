"""Names of the arrays in a tree of parameters: the path of a layer and the role of an array in it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, NamedTuple

import jax

from multiboard import tags

if TYPE_CHECKING:
    from collections.abc import Sequence


class Place(NamedTuple):
    """Where an array is in a tree.

    Attributes:
        layer: the canonical path of its layer with its role, e.g. 'encoder/dense1/kernel'.
        native: the path as the framework has it.
    """

    layer: str
    native: str


def places(tree: Any) -> list[Place]:
    """Return the place of every leaf of a tree, in the order of `jax.tree.leaves`.

    The key of the collection 'params' at the top and the boxes that Flax puts around arrays are no part of a path.

    >>> places({"params": {"dense1": {"kernel": 0.0}}})
    [Place(layer='dense1/kernel', native='dense1/kernel')]
    """
    boxes = _box_classes()
    found = []
    for path, node in jax.tree_util.tree_leaves_with_path(tree, is_leaf=lambda node: isinstance(node, boxes)):
        found += [_place(path)] * len(jax.tree.leaves(node))
    return found


def _place(path: Sequence[Any]) -> Place:
    keys = [_text(key) for key in path]
    if len(keys) > 1 and keys[0] == "params":
        keys = keys[1:]
    if not keys:
        return Place("value", "value")
    layer = tags.layer_path("/".join(keys[:-1]))
    name = tags.role(keys[-1])
    return Place(f"{layer}/{name}" if layer else name, "/".join(keys))


def _text(key: Any) -> str:
    for attribute in ("key", "name", "idx"):
        if hasattr(key, attribute):
            return str(getattr(key, attribute))
    return str(key)


def _box_classes() -> tuple[type, ...]:
    """Return the classes of Flax that hold one array; a tree can only contain them if Flax is imported."""
    nnx, meta = sys.modules.get("flax.nnx"), sys.modules.get("flax.core.meta")
    found = [getattr(nnx, "Variable", None), getattr(meta, "AxisMetadata", None)]
    return tuple(cls for cls in found if isinstance(cls, type))
