"""Where an equation of a jaxpr stands, read from its name stack: modules, names that people gave, and the backward pass.

A module that is called while a graph is traced opens a scope whose name tells its class and the number of the call, so that
what is read does not depend on how a framework calls its scopes: see `module_scope`.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

import jax

from multiboard.graph.ir import OPTIMIZER

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

_MARK: Final = "mb"
_SLASH: Final = "|"
"""Between the parts of a name in a scope: a real one would be taken for the end of the scope."""
_CALL: Final = "()"
"""In the place of a class, for a function."""
_numbers: Final = itertools.count(1)
_INTERNAL: Final = frozenset({"checkpoint", "rematted_computation"})
_TRANSPOSED: Final = "transpose"
_DERIVED: Final = "jvp"


class Part(NamedTuple):
    """One step of the way to an equation; the walk makes a frame of it.

    Attributes:
        kind: as of a frame.
        name: likewise.
        cls: likewise.
        key: what tells it from others of that name below the same parent.
        again: every time that the way leads through it anew it is another call.
    """

    kind: Literal["module", "call", "region"]
    name: str
    cls: str = ""
    key: Hashable = None
    again: bool = False


class Place(NamedTuple):
    """What a name stack says.

    Attributes:
        parts: outermost first.
        backward: it is part of a backward pass.
        derived: it is part of what is differentiated.
    """

    parts: tuple[Part, ...]
    backward: bool = False
    derived: bool = False


def module_scope(name: str, cls: str) -> AbstractContextManager[None]:
    """Return a context in which what is traced belongs to a new call of a module.

    Args:
        name: of the module in the one that is being called, e.g. 'blocks/0'; of the outermost one its class.
        cls: its native class.
    """
    context: AbstractContextManager[None] = jax.named_scope(f"{_MARK}:{next(_numbers)}:{cls}:{name.replace('/', _SLASH)}")
    return context


def call_scope(name: str) -> AbstractContextManager[None]:
    """Return a context in which what is traced belongs to a new call of a function of an API."""
    context: AbstractContextManager[None] = jax.named_scope(f"{_MARK}:{next(_numbers)}:{_CALL}:{name}")
    return context


def place_of(stack: Sequence[tuple[bool, str]], classes: Mapping[str, str]) -> Place:
    """Return what a name stack says.

    Args:
        stack: from the outside; of each element whether it is a transformation, and its name.
        classes: of modules that open plain scopes, by the names of the scopes down to them, joined by '/'.
    """
    transforms = {name for is_transform, name in stack if is_transform}
    names = _without_repetition(stack)
    return Place(tuple(_parts(names, classes)), _TRANSPOSED in transforms, _DERIVED in transforms)


def _without_repetition(stack: Sequence[tuple[bool, str]]) -> list[str]:
    """Return the scopes of a stack; behind a transformation some versions begin again from the outside."""
    names: list[str] = []
    for is_transform, group in itertools.groupby(stack, lambda element: element[0]):
        if not is_transform:
            found = [name for _, name in group if not _is_internal(name)]
            names = found if names and found[: len(names)] == names else names + found
    return names


def _is_internal(name: str) -> bool:
    """Return whether a scope is one that JAX or Flax open themselves: e.g. for an einsum, or for a function without a name."""
    return name in _INTERNAL or "->" in name or "<lambda>" in name


def _parts(names: Sequence[str], classes: Mapping[str, str]) -> Iterator[Part]:
    path: list[str] = []
    for i, name in enumerate(names):
        if _is_mark(name):
            _, number, cls, label = name.split(":", 3)
            *containers, last = label.split(_SLASH)
            yield from (Part("module", container) for container in containers)
            yield Part("call", last, key=number) if cls == _CALL else Part("module", last, cls, number)
            continue
        path.append(name)
        known = classes.get("/".join(path))
        if known is not None:
            yield Part("module", name, known, again=True)
        elif name == OPTIMIZER:
            yield Part("region", name)
        elif not any(_is_scope_of(name, other) for other in (*names[max(i - 1, 0) : i], *names[i + 1 : i + 2])):
            yield Part("call", name, again=True)


def _is_mark(name: str) -> bool:
    return name.startswith(f"{_MARK}:") and name.count(":") > 2  # noqa: PLR2004


def _is_scope_of(name: str, mark: str) -> bool:
    """Return whether a framework has opened a scope for the module of the mark beside it; methods are named behind a dot."""
    if not _is_mark(mark):
        return False
    label = mark.split(":", 3)[3].replace(_SLASH, "/")
    return name == label or name.partition(".")[0] == label.rpartition("/")[2]
