"""The tap: an optax transformation that names what passes through it and changes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import jax

from multiboard import tags
from multiboard.errors import ArgumentError
from multiboard_jax._compat import is_collecting
from multiboard_jax.paths import places
from multiboard_jax.tagging import HISTOGRAM, SCALAR, Label, bind, is_number

if TYPE_CHECKING:
    import optax

STAGE: Final = "before the optimizer chain"


def tap(tx: optax.GradientTransformation) -> optax.GradientTransformationExtraArgs:
    """Wrap an optimizer so that the wrapped step can see gradients, parameters and the learning rate.

    Put it around the whole chain: gradients are seen as they come in, before clipping inside the chain. The state has the
    same tree as without the tap, so that checkpoints load either way.

    Args:
        tx: any optax transformation. A learning rate inside `optax.inject_hyperparams` is found by itself.

    Returns:
        The transformation to use in its place. Parameters are seen if they are passed to `update`.

    Raises:
        ArgumentError: `tx` is not an optax transformation.

    Example:
        >>> import optax
        >>> tx = tap(optax.adam(1e-3))
    """
    if not (callable(getattr(tx, "init", None)) and callable(getattr(tx, "update", None))):
        raise ArgumentError("tx", tx, "pass an optax transformation, e.g. optax.adam(1e-3)")
    import optax

    inner = optax.with_extra_args_support(tx)

    def update(updates: Any, state: Any, params: Any = None, **extra: Any) -> tuple[Any, Any]:
        if not is_collecting():
            return tuple(inner.update(updates, state, params, **extra))
        seen = _bind_tree(tags.GRADS, updates, STAGE)
        changes, new_state = inner.update(seen, state, _bind_tree(tags.PARAMS, params), **extra)
        _bind_rates(new_state)
        return changes, new_state

    return optax.GradientTransformationExtraArgs(inner.init, update)


def _bind_tree(group: str, tree: Any, stage: str = "") -> Any:
    leaves, structure = jax.tree.flatten(tree)
    bound = []
    for leaf, place in zip(leaves, places(tree), strict=True):
        label = Label(f"{group}/{place.layer}", HISTOGRAM, tags.description(place.native, "", stage))
        bound.append(bind(leaf, label) if is_number(leaf) else leaf)
    return jax.tree.unflatten(structure, bound)


def _bind_rates(state: Any) -> None:
    """Name the learning rates of a new state: injected hyper-parameters there are those that made this update."""
    nodes = jax.tree.leaves(state, is_leaf=_has_rate)
    rates = [node.hyperparams["learning_rate"] for node in nodes if _has_rate(node)]
    for i, rate in enumerate(rates):
        bind(rate, Label(f"{tags.LEARNING_RATE}/{i}" if i else tags.LEARNING_RATE, SCALAR))


def _has_rate(node: Any) -> bool:
    hyperparams = getattr(node, "hyperparams", None)
    return isinstance(hyperparams, dict) and "learning_rate" in hyperparams
