"""Objects of NNX in the arguments of a function: taken apart into arrays, and made again where these are traced."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import jax

from multiboard_jax.paths import array_paths, key_text
from multiboard_jax.tracing.arguments import is_array, variable_kind

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


class _Mark:
    """Stands for an object in the arguments."""


class Objects:
    """The objects of NNX in some arguments.

    Args:
        values: the arguments.
        names: of the arguments.

    Attributes:
        names: as given.
        others: the arguments, with something that holds no array in place of the objects.
        state: of all objects, None if there are none.
        places: of every array in it: the name of the object, the path in the state, and the array.
    """

    def __init__(self, values: Sequence[Any], names: Sequence[str]) -> None:
        self.names = names
        found = jax.tree_util.tree_leaves_with_path(list(values), is_leaf=_is_of_nnx)
        self._objects = [leaf for _, leaf in found if is_object(leaf)]
        self.others = jax.tree.map(lambda leaf: _Mark() if is_object(leaf) else leaf, list(values), is_leaf=_is_of_nnx)
        self.state: Any = None
        self.places: list[tuple[str, Sequence[Any], Any]] = []
        if self._objects:
            from flax import nnx

            self._graph, self.state = nnx.split(tuple(self._objects))
            owners = ["/".join([names[path[0].idx], *map(key_text, path[1:])]) for path, leaf in found if is_object(leaf)]
            self.places = [(owners[_index(path)], path, leaf) for path, leaf in array_paths(self.state)]

    def merged(self, others: list[Any], arrays: Sequence[Any]) -> tuple[list[Any], tuple[Any, ...]]:
        """Return the arguments with new objects of these arrays, and the objects."""
        if self.state is None:
            return others, ()
        from flax import nnx

        state = jax.tree.unflatten(jax.tree.structure(self.state), arrays)
        made = nnx.merge(self._graph, state)
        remaining = iter(made)
        given: list[Any] = jax.tree.map(lambda leaf: next(remaining) if isinstance(leaf, _Mark) else leaf, others)
        return given, made

    def changed(self, made: tuple[Any, ...]) -> Iterator[tuple[str, Any]]:
        """Yield the arrays that the objects hold now, with the classes of their variables for names; not the counts of keys."""
        if self.state is None:
            return
        from flax import nnx

        _, state = nnx.split(made)
        for path, leaf in array_paths(state):
            kind = _kind(state, path)
            if is_array(leaf) and kind not in {"RngCount", "RngKey"}:
                yield kind, leaf


def is_object(node: object) -> bool:
    """Return whether a node is an object that NNX changes in place: a module, an optimizer, metrics, keys, a variable."""
    nnx = sys.modules.get("flax.nnx")
    if nnx is None:
        return False
    classes = tuple(cls for cls in (getattr(nnx, name, None) for name in ("Object", "Pytree", "Variable")) if cls is not None)
    return isinstance(node, classes) and not isinstance(node, nnx.State)


def _is_of_nnx(node: object) -> bool:
    """Return whether a node is an object, or a state: the variables in that are arrays like others."""
    nnx = sys.modules.get("flax.nnx")
    return is_object(node) or (nnx is not None and isinstance(node, nnx.State))


def _index(path: Sequence[Any]) -> int:
    return int(key_text(path[0]))


def _kind(state: Any, path: Sequence[Any]) -> str:
    node = state
    for key in path:
        node = node[key.key if hasattr(key, "key") else key.idx]
    kind = variable_kind(node)
    return "" if kind is None else kind.__name__
