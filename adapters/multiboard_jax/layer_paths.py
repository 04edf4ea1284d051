"""Paths of NNX and equinox modules: where they are in a model, and how a path travels with a module through a trace."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import jax

from multiboard import tags

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Iterator

_MARK: Final = "_multiboard_path"


def layers_in(tree: Any) -> Iterator[tuple[str, Any]]:
    """Yield the path and the layer of every NNX or equinox module in a tree, an object once.

    A path begins at the outermost module: the models in several arguments do not know of each other.
    """
    yield from _walk(tree, (), set(), module_classes())


def _walk(node: Any, path: tuple[str, ...], visited: set[int], classes: tuple[type, ...]) -> Iterator[tuple[str, Any]]:
    children = _children(node, classes)
    if children is None or id(node) in visited:
        return
    visited.add(id(node))
    inside = bool(path) or isinstance(node, classes)
    if isinstance(node, classes):
        yield tags.layer_path("/".join(path)), node
    for key, child in children:
        yield from _walk(child, (*path, str(key)) if inside else (), visited, classes)


def _children(node: Any, classes: tuple[type, ...]) -> Iterable[tuple[Any, Any]] | None:
    """Return what a node holds, by key; None if it is no node."""
    nnx = sys.modules.get("flax.nnx")
    containers = tuple(cls for cls in (getattr(nnx, name, None) for name in ("Object", "Pytree")) if cls is not None)
    if isinstance(node, (*classes, *containers)):
        return sorted(vars(node).items())
    if isinstance(node, Mapping):
        return list(node.items())
    return enumerate(node) if isinstance(node, (list, tuple)) else None


def mark_of(layer: Any) -> str | None:
    """Return the path that was written into a layer."""
    mark: str | None = vars(layer).get(_MARK)
    return mark


@contextlib.contextmanager
def marked(tree: Any, root: str = "") -> Iterator[None]:
    """Write into every NNX module of a tree its path, below that of the root, and take it out again.

    It is a static attribute: the copies that transformations make have it too, and their traces are kept apart by it. Two equal
    layers have different structures then, which some steps cannot do with.
    """
    found = [(path, layer) for path, layer in layers_in(tree) if is_nnx(layer) and not _is_bridge(layer)]
    for path, layer in found:
        vars(layer)[_MARK] = join(root, path)
    try:
        yield
    finally:
        for _, layer in found:
            vars(layer).pop(_MARK, None)
        unmark(tree)


def unmark(tree: Any) -> None:
    """Take the paths out of the NNX modules of a tree."""
    for _, layer in layers_in(tree):
        if is_nnx(layer):
            vars(layer).pop(_MARK, None)


def likeness(layer: Any) -> Hashable:
    """Return what a layer has in common with its copies: the class, and the places and shapes of its arrays."""
    try:
        tree = sys.modules["flax.nnx"].state(layer) if is_nnx(layer) else layer
        leaves = jax.tree_util.tree_leaves_with_path(tree)
    except Exception:  # noqa: BLE001  # of a foreign node; a layer without a name is no reason to end a step
        return id(layer)
    return type(layer), tuple((path, leaf.shape) for path, leaf in leaves if hasattr(leaf, "shape"))


def module_classes() -> tuple[type, ...]:
    """Return the base classes of layers; there can only be layers of what is imported."""
    modules = (sys.modules.get("flax.nnx"), sys.modules.get("equinox"))
    return tuple(module.Module for module in modules if module is not None)


def is_nnx(layer: Any) -> bool:
    """Return whether a layer is a module of NNX."""
    nnx = sys.modules.get("flax.nnx")
    return nnx is not None and isinstance(layer, nnx.Module)


def is_linen(layer: Any) -> bool:
    """Return whether a layer is a module of linen."""
    linen = sys.modules.get("flax.linen")
    return linen is not None and isinstance(layer, linen.Module)


def _is_bridge(layer: Any) -> bool:
    """Return whether a module holds one of linen: it takes every attribute of its own for a collection."""
    return type(layer).__module__.startswith("flax.nnx.bridge.")


def join(*parts: str) -> str:
    """Return the path that several make one after the other; empty ones do not count."""
    return "/".join(part for part in parts if part)
