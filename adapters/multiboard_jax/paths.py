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
        layer_class: the class of its layer, if the tree is made of layers and not of plain containers; else ''.
    """

    layer: str
    native: str
    layer_class: str = ""


def places(tree: Any) -> list[Place]:
    """Return the place of every leaf of a tree, in the order of `jax.tree.leaves`.

    The key of the collection 'params' at the top and the boxes that Flax puts around arrays are no part of a path.

    >>> places({"params": {"dense1": {"kernel": 0.0}}})
    [Place(layer='dense1/kernel', native='dense1/kernel', layer_class='')]
    """
    return [place_of(path, class_at(tree, path[:-1])) for path, _ in array_paths(tree)]


def array_paths(tree: Any) -> list[tuple[Sequence[Any], Any]]:
    """Return path and value of every leaf in the order of `jax.tree.leaves`, where paths do not go into boxes around arrays."""
    boxes = _box_classes()
    nodes = jax.tree_util.tree_leaves_with_path(tree, is_leaf=lambda node: isinstance(node, boxes))
    return [(path, leaf) for path, node in nodes for leaf in jax.tree.leaves(node)]


def place_of(path: Sequence[Any], layer_class: str = "") -> Place:
    """Return the place at a path of keys."""
    keys = [key_text(key) for key in path]
    if len(keys) > 1 and keys[0] == "params":
        keys = keys[1:]
    if not keys:
        return Place("value", "value")
    layer = tags.layer_path("/".join(keys[:-1]))
    name = tags.role(keys[-1], norm_layer="Norm" in layer_class, embedding_layer="Embedding" in layer_class)
    return Place(f"{layer}/{name}" if layer else name, "/".join(keys), layer_class)


def class_at(tree: Any, path: Sequence[Any]) -> str:
    """Return the class of the node at a path, '' if it is a plain container or cannot be reached.

    >>> class_at({"a": [1.0]}, jax.tree_util.tree_leaves_with_path({"a": [1.0]})[0][0][:-1])
    ''
    """
    node = tree
    for key in path:
        try:
            node = getattr(node, key.name) if hasattr(key, "name") else node[key.key if hasattr(key, "key") else key.idx]
        except Exception:  # noqa: BLE001  # a foreign container; the class is for the description only
            return ""
    cls = type(node)
    return "" if issubclass(cls, (dict, list)) or cls is tuple or cls.__module__.startswith("flax.") else cls.__name__


def key_text(key: Any) -> str:
    """Return how a key of a path is written in a tag."""
    for attribute in ("key", "name", "idx"):
        if hasattr(key, attribute):
            return str(getattr(key, attribute))
    return str(key)


def _box_classes() -> tuple[type, ...]:
    """Return the classes of Flax that hold one array; a tree can only contain them if Flax is imported."""
    nnx, meta = sys.modules.get("flax.nnx"), sys.modules.get("flax.core.meta")
    older = None if nnx is None else vars(nnx).get("VariableState")  # the newest Flax warns of the name
    found = [getattr(nnx, "Variable", None), older, getattr(meta, "AxisMetadata", None)]
    return tuple(cls for cls in found if isinstance(cls, type))
