"""The metrics in what a training step returns."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import jax
import jax.numpy as jnp
import numpy as np

from multiboard import tags
from multiboard.errors import ArgumentError

if TYPE_CHECKING:
    from collections.abc import Iterator

_RULE: Final = (
    "return a dict of real scalars (it may be nested), a scalar loss, None, or a tuple that ends with one of them, and reduce"
    " arrays, e.g. x.mean(); pass metrics=False to log nothing of it"
)
_LOSS: Final = tags.train("loss")
_ARRAYS: Final = (jax.Array, np.ndarray, np.generic, jax.ShapeDtypeStruct)
_NUMBERS: Final = (*_ARRAYS, bool, int, float)
_SEQUENCES: Final = frozenset({tuple, list})

_Path = tuple[str, ...]


class MetricsReader:
    """Reads the metrics of one result after the other: their tags are found once for each structure."""

    def __init__(self) -> None:
        self._keys: tuple[Any, ...] | None = None
        self._structure: Any = None
        self._tags: tuple[str, ...] = ()
        self._types: frozenset[type] = frozenset()
        self._bare: frozenset[type] = frozenset()

    def read(self, result: Any) -> tuple[tuple[str, ...], tuple[Any, ...]]:
        """Return the tags of the metrics, and as many values.

        Raises:
            ArgumentError: they are none.
        """
        last = result[-1] if type(result) in _SEQUENCES and result else result
        if type(last) is dict and tuple(last) == self._keys:
            return self._tags, tuple(last.values())
        if type(last) in self._bare:
            return (_LOSS,), (last,)
        leaves = self._leaves(last)
        if leaves:
            return self._tags, tuple(leaves)
        metrics = metrics_of(result)
        check(metrics)
        self._remember(last, metrics)
        return tuple(metrics), tuple(metrics.values())

    def _leaves(self, last: Any) -> list[Any]:
        """Return the metrics in a structure that came before; none if it is another one."""
        try:
            leaves: list[Any] = [] if self._structure is None else self._structure.flatten_up_to(last)
        except (ValueError, TypeError):
            return []
        return leaves if self._types.issuperset(map(type, leaves)) else []

    def _remember(self, last: Any, metrics: dict[str, Any]) -> None:
        self._keys = self._structure = None
        if _fields(last) is None and last is not None:
            self._bare |= {type(last)}
            return
        if type(last) is dict and _same(list(last.values()), list(metrics.values())):
            self._keys, self._tags = tuple(last), tuple(metrics)
            return
        leaves, structure = jax.tree_util.tree_flatten(last)
        try:
            places = _by_tag(jax.tree_util.tree_unflatten(structure, range(len(leaves))))
            known = len(places) == len(leaves) and all(leaves[place] is metrics[tag] for tag, place in places.items())
        except Exception:  # noqa: BLE001  # a class that accepts no other values: its metrics are looked for each time
            return
        if known:
            self._structure, self._tags = structure, tuple(sorted(places, key=places.__getitem__))
            self._types = frozenset(map(type, leaves))


def metrics_of(result: Any) -> dict[str, Any]:
    """Return the metrics in a step's result by tag; those in nested dicts are 'a/b', None is none.

    Raises:
        ArgumentError: a name is no string, or two metrics have the same tag.
    """
    return _by_tag(result[-1] if type(result) in _SEQUENCES and result else result)


def _by_tag(last: Any) -> dict[str, Any]:
    paths: dict[str, _Path] = {}
    metrics: dict[str, Any] = {}
    for path, value in _found(last, ()):
        tag = tags.train("/".join(path))
        if tag in paths:
            both = f"the metrics {_spelled(paths[tag])} and {_spelled(path)} are both {tag!r}: rename one of them"
            raise ArgumentError(f"train_step -> {'/'.join(path)}", value, both)
        paths[tag], metrics[tag] = path, value
    return metrics


def check(metrics: Mapping[str, Any]) -> None:
    """Raise ArgumentError for what is no real scalar; shapes and dtypes are enough to tell."""
    for tag, value in metrics.items():
        name = tag.removeprefix("train/")
        shape = np.shape(value) if isinstance(value, _NUMBERS) else None
        if not name or shape not in {(), (1,)}:
            received = value if shape is None else f"{name} of shape {list(shape)}"
            raise ArgumentError(f"train_step -> {name}", received, _RULE)
        if isinstance(value, _ARRAYS) and not _is_real(value.dtype):
            raise ArgumentError(f"train_step -> {name}", f"{name} of dtype {value.dtype}", _RULE)


def _is_real(dtype: Any) -> bool:
    kinds = (jnp.floating, jnp.integer, jnp.bool_)
    return any(jnp.issubdtype(dtype, kind) for kind in kinds)


def _found(node: Any, path: _Path) -> Iterator[tuple[_Path, Any]]:
    """Yield the metrics below a node, with the keys that lead there; a bare one is called 'loss'."""
    fields = _fields(node)
    if fields is None:
        if node is not None:
            yield path or ("loss",), node
        return
    for key, value in fields.items():
        if not isinstance(key, str):
            raise ArgumentError(f"train_step -> {'/'.join([*path, repr(key)])}", key, "name metrics with strings")
        yield from _found(value, (*path, key))


def _fields(node: Any) -> Mapping[Any, Any] | None:
    """Return the entries of a mapping, named tuple or dataclass; None for anything else."""
    if isinstance(node, Mapping):
        return node
    if isinstance(node, tuple) and hasattr(node, "_asdict"):
        fields: dict[str, Any] = node._asdict()
        return fields
    if dataclasses.is_dataclass(node) and not isinstance(node, (type, *_NUMBERS)) and not hasattr(node, "opt_state"):
        return {field.name: getattr(node, field.name) for field in dataclasses.fields(node)}
    return None


def _spelled(path: _Path) -> str:
    return "".join(f"[{key!r}]" for key in path)


def _same(ours: list[Any], theirs: list[Any]) -> bool:
    return len(ours) == len(theirs) and all(one is other for one, other in zip(ours, theirs, strict=True))
