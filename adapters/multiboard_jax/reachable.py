"""Optimizers in the arguments of a step, tapped while it is measured; and what else is recognised there."""

from __future__ import annotations

import dataclasses
import inspect
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import jax

from multiboard_jax.optimizer import is_optimizer, tap_automatically
from multiboard_jax.paths import key_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence


class Arguments:
    """The arguments of a step and the names under which it takes them.

    Args:
        step: the function.
        args: by position.
        kwargs: by name.
    """

    def __init__(self, step: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        self.values = (*args, *kwargs.values())
        self.names = (*_names(step, len(args)), *kwargs)

    def found(self, is_wanted: Callable[[Any], bool]) -> list[tuple[str, Any]]:
        """Return the wanted nodes, each with its name: where it is, or '' if it is the only one."""
        nodes = [
            (self._name(path), node)
            for path, node in jax.tree_util.tree_leaves_with_path(self.values, is_leaf=is_wanted)
            if is_wanted(node)
        ]
        return [("", node) for _, node in nodes] if len(nodes) == 1 else nodes

    def given(self, is_wanted: Callable[[Any], bool]) -> list[tuple[str, Any]]:
        """Return those of the arguments themselves that are wanted, with names as `found` gives them."""
        chosen = [(name, value) for name, value in zip(self.names, self.values, strict=True) if is_wanted(value)]
        return [("", value) for _, value in chosen] if len(chosen) == 1 else chosen

    def by_name(self, name: str) -> Any:
        """Return the argument of a name, or None."""
        return next((value for known, value in zip(self.names, self.values, strict=True) if known == name), None)

    def _name(self, path: Sequence[Any]) -> str:
        return "/".join([self.names[path[0].idx], *map(key_text, path[1:])])


def with_taps(
    args: Sequence[Any], kwargs: Mapping[str, Any], found: Sequence[tuple[str, Any]]
) -> tuple[Any, Callable[[Any], Any]]:
    """Put taps around the optimizers of training states.

    Args:
        args: of a step.
        kwargs: likewise.
        found: the states and optimizers among them, with names.

    Returns:
        The arguments with taps, and a function that takes them out of the result again: what leaves the step must have the same
        structure as without, or the next step would be compiled anew.
    """
    names = [name for name, _ in found]
    originals: dict[int, Any] = {}

    def put(node: Any) -> Any:
        if not holds_optimizer(node):
            return node
        tx = node if is_bare_optimizer(node) else node.tx
        tapped = tap_automatically(tx, names.pop(0))
        originals[id(tapped.update)] = (tapped, tx)  # the reference keeps the id its own
        return tapped if tx is node else _replaced(node, tapped)

    def take_out(node: Any) -> Any:
        if not holds_optimizer(node):
            return node
        tapped = node if is_bare_optimizer(node) else node.tx
        tx = originals.get(id(tapped.update), (None, tapped))[1]
        return tx if tapped is node else _replaced(node, tx)

    def restore(result: Any) -> Any:
        return jax.tree.map(take_out, result, is_leaf=holds_optimizer)

    return jax.tree.map(put, (tuple(args), dict(kwargs)), is_leaf=holds_optimizer), restore


@contextmanager
def tapped_modules(found: Sequence[tuple[str, Any]]) -> Iterator[None]:
    """Put taps into objects of `nnx.Optimizer` and take them out again."""
    before = [(optimizer, optimizer.tx) for _, optimizer in found]
    for name, optimizer in found:
        optimizer.tx = tap_automatically(optimizer.tx, name)
    try:
        yield
    finally:
        for optimizer, tx in before:
            optimizer.tx = tx


def holds_optimizer(node: object) -> bool:
    """Tell whether a node is a training state (has `tx` and can be copied with another one) or an optax transformation."""
    if is_bare_optimizer(node):
        return True
    if isinstance(node, (jax.Array, str, int, float, dict, list)) or not is_optimizer(getattr(node, "tx", None)):
        return False
    return not is_nnx_optimizer(node) and (callable(getattr(node, "replace", None)) or dataclasses.is_dataclass(node))


def is_bare_optimizer(node: object) -> bool:
    """Tell whether a node is an optax transformation itself: a static argument, or a leaf that a filtering `jit` leaves alone."""
    cls = getattr(sys.modules.get("optax"), "GradientTransformation", None)
    return isinstance(cls, type) and isinstance(node, cls)


def is_nnx_optimizer(node: object) -> bool:
    """Tell whether a node is an `nnx.Optimizer`."""
    cls = getattr(sys.modules.get("flax.nnx"), "Optimizer", None)
    return isinstance(cls, type) and isinstance(node, cls)


def is_nnx_object(node: object) -> bool:
    """Tell whether a node is a module or an optimizer of NNX."""
    nnx = sys.modules.get("flax.nnx")
    return nnx is not None and isinstance(node, (nnx.Module, nnx.Optimizer))


def holds_nnx_state(tree: Any) -> bool:
    """Tell whether there is anything in a tree that NNX changes in place: modules, optimizers, metrics, `Rngs`, variables.

    An `nnx.State` is not, with all that is in it.
    """
    nnx = sys.modules.get("flax.nnx")
    if nnx is None:
        return False
    nodes = tuple(cls for cls in (getattr(nnx, name, None) for name in ("Object", "Pytree", "Variable")) if cls is not None)

    def is_node(node: object) -> bool:
        return isinstance(node, (*nodes, nnx.State))

    return any(is_node(leaf) and not isinstance(leaf, nnx.State) for leaf in jax.tree.leaves(tree, is_leaf=is_node))


def is_equinox_module(node: object) -> bool:
    """Tell whether a node is a module of equinox."""
    cls = getattr(sys.modules.get("equinox"), "Module", None)
    return isinstance(cls, type) and isinstance(node, cls)


def nnx_optimizers(arguments: Arguments) -> list[tuple[str, Any]]:
    """Return the optimizers of NNX in the arguments and in modules there, with names if there are several."""
    from flax import nnx

    found: dict[int, tuple[str, Any]] = {}
    for name, value in zip(arguments.names, arguments.values, strict=True):
        for path, node in nnx.iter_graph(value):
            if is_nnx_optimizer(node):
                found.setdefault(id(node), ("/".join([name, *map(str, path)]), node))
    return [("", node) for _, node in found.values()] if len(found) == 1 else list(found.values())


def module_states(arguments: Arguments, kind: Any) -> list[tuple[str, Any]]:
    """Return the variables of a kind of NNX modules in the arguments, as they are now; with names if several modules have any."""
    from flax import nnx

    modules: dict[int, tuple[str, Any]] = {}
    for name, node in arguments.found(is_nnx_object):
        module = getattr(node, "model", node) if is_nnx_optimizer(node) else node
        modules.setdefault(id(module), (name, module))
    states = [(name, nnx.state(module, kind)) for name, module in modules.values()]
    states = [(name, state) for name, state in states if jax.tree.leaves(state)]
    return [("", state) for _, state in states] if len(states) == 1 else states


def _replaced(node: Any, tx: Any) -> Any:
    return node.replace(tx=tx) if callable(getattr(node, "replace", None)) else dataclasses.replace(node, tx=tx)


def _names(step: Callable[..., Any], count: int) -> list[str]:
    """Return the names of a function's first arguments, or their positions where it has none."""
    try:
        parameters = list(inspect.signature(step).parameters.values())
    except (TypeError, ValueError):
        parameters = []
    named = [p.name for p in parameters if p.kind in {p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD}][:count]
    return [*named, *map(str, range(len(named), count))]
