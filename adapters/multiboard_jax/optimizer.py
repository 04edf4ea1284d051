"""The tap: an optax transformation that names what passes through it and changes nothing."""

from __future__ import annotations

import functools
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import jax

from multiboard import tags
from multiboard.errors import ArgumentError
from multiboard_jax._compat import is_collecting
from multiboard_jax.optimizer_calls import optimizer_scope
from multiboard_jax.optimizer_state import bind_state, is_accumulating
from multiboard_jax.paths import places
from multiboard_jax.tagging import HISTOGRAM, Label, bind, is_number

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import optax

STAGE: Final = tags.GIVEN
_AS_RETURNED: Final = "as the tapped optimizer returns it"
_MICRO_STEP: Final = tags.MICRO_BATCH
_NOT_YET: Final = "zero until what is accumulated is applied"


class _Nesting(threading.local):
    """Taps at work in this thread.

    Attributes:
        depth: how many are.
        inside_automatic: whether an automatic one is, which names updates and states for those inside.
        met: how many were met so far that are not automatic.
        seen: how many of any kind.
    """

    depth = 0
    inside_automatic = False
    met = 0
    seen = 0

    @contextmanager
    def entered(self, *, automatic: bool) -> Iterator[None]:
        before = self.depth, self.inside_automatic
        self.seen += 1
        self.depth, self.inside_automatic = self.depth + 1, self.inside_automatic or automatic
        try:
            yield
        finally:
            self.depth, self.inside_automatic = before


_nesting = _Nesting()


class _Tap(NamedTuple):
    """One tapped optimizer.

    Attributes:
        original: the optimizer.
        inner: its `update`, which takes further arguments.
        name: first part of the layers' paths, or ''.
        stage: where its gradients are seen.
    """

    original: Any
    inner: Callable[..., Any]
    name: str
    stage: str

    def update(self, updates: Any, state: Any, params: Any = None, **extra: Any) -> tuple[Any, Any]:
        if not is_collecting():
            with optimizer_scope():
                changes, new_state = self.inner(updates, state, params, **extra)
            return changes, new_state
        _nesting.met += 1
        names_all = not _nesting.inside_automatic
        accumulating = is_accumulating(state)
        seen = self._bind(tags.GRADS, updates, _MICRO_STEP if accumulating else self.stage)
        with _nesting.entered(automatic=False), optimizer_scope():
            changes, new_state = self.inner(seen, state, self._bind(tags.PARAMS, params), **extra)
        return self._named(changes, new_state, params, accumulating=accumulating) if names_all else (changes, new_state)

    def update_automatically(self, updates: Any, state: Any, params: Any = None, **extra: Any) -> tuple[Any, Any]:
        """Do the same for an optimizer whose user may have put taps inside it, or one around it: those come first."""
        if not is_collecting() or _nesting.depth:
            changes, new_state = self.inner(updates, state, params, **extra)
            return changes, new_state
        accumulating = is_accumulating(state)
        with _nesting.entered(automatic=True):
            if not self._has_taps_inside(updates, state, params, extra):
                updates = self._bind(tags.GRADS, updates, _MICRO_STEP if accumulating else self.stage)
                params = self._bind(tags.PARAMS, params)
            with optimizer_scope():
                changes, new_state = self.inner(updates, state, params, **extra)
        return self._named(changes, new_state, params, accumulating=accumulating)

    def _has_taps_inside(self, updates: Any, state: Any, params: Any, extra: Any) -> bool:
        before = _nesting.met
        jax.eval_shape(lambda: self.inner(updates, state, params, **extra))
        return _nesting.met > before

    def _named(self, changes: Any, state: Any, params: Any, *, accumulating: bool) -> tuple[Any, Any]:
        stage = f"{_AS_RETURNED}, {_NOT_YET}" if accumulating else _AS_RETURNED
        return self._bind(tags.UPDATES, changes, stage), bind_state(state, changes if params is None else params, self.name)

    def _bind(self, group: str, tree: Any, stage: str = "") -> Any:
        return bind_tree(group, tree, self.name, stage)


def tap(tx: optax.GradientTransformation, *, name: str = "", stage: str = STAGE) -> optax.GradientTransformationExtraArgs:
    """Wrap an optimizer so that the wrapped step sees gradients, parameters, updates, its state and the learning rate.

    Around the whole chain it sees gradients as they come in, before clipping in the chain, and the updates that are added to the
    parameters. Inside a chain, e.g. `optax.chain(optax.clip(1.0), tap(optax.adam(1e-3)))`, it sees both where it is. The state
    has the same tree as without the tap, so that checkpoints load either way. With `optax.MultiSteps` the gradients are those of
    one micro-step, and the updates zero until they are applied.

    Optimizers that are arguments of the step (in a `TrainState`, an `nnx.Optimizer`, or themselves static) need no tap. While a
    step is measured, such an optimizer is another object there, with the same attributes: `state.tx is tx` does not hold.

    Args:
        tx: any optax transformation, also `optax.MultiSteps`. A learning rate in `optax.inject_hyperparams` is found by itself.
        name: goes in front of the layers' paths, e.g. 'generator', when a step has several optimizers.
        stage: where the gradients are seen, for the description: one of `multiboard.tags.GRADIENT_STAGES`, e.g. 'after clipping',
            perhaps with a detail, e.g. 'after clipping (by value)'.

    Returns:
        The transformation to use in its place. Parameters are seen if they are passed to `update`.

    Raises:
        ArgumentError: an argument is not one of the possible ones.

    Example:
        >>> import optax
        >>> tx = tap(optax.adam(1e-3))
    """
    if not is_optimizer(tx):
        raise ArgumentError("tx", tx, "pass an optax transformation, e.g. optax.adam(1e-3)")
    for argument, value in (("name", name), ("stage", stage)):
        if not isinstance(value, str):
            raise ArgumentError(argument, value, "pass a string")
    one = _Tap(tx, _with_extra_arguments(tx), name.strip("/"), tags.gradient_stage(stage))
    return _with_taps(tx, one.update)


def tap_automatically(tx: Any, name: str) -> Any:
    """Tap an optimizer that was found in the arguments of a step, unless its user has tapped it."""
    if isinstance(getattr(tx.update, "__self__", None), _Tap):
        return tx
    return _with_taps(tx, _Tap(tx, _with_extra_arguments(tx), name, STAGE).update_automatically)


def taps_seen() -> int:
    """Return how many times a tap was at work in this thread while a measured variant was traced."""
    return _nesting.seen


def is_optimizer(value: object) -> bool:
    """Tell whether a value has the two functions of an optax transformation."""
    return callable(getattr(value, "init", None)) and callable(getattr(value, "update", None))


def bind_tree(group: str, tree: Any, name: str = "", stage: str = "") -> Any:
    """Name the arrays of a tree as `<group>/<name>/<layer>/<role>` and return the tree."""
    leaves, structure = jax.tree.flatten(tree)
    prefix = f"{group}/{name}/" if name else f"{group}/"
    bound = [
        bind(leaf, Label(f"{prefix}{place.layer}", HISTOGRAM, tags.description(place.native, place.layer_class, stage)))
        if is_number(leaf)
        else leaf
        for leaf, place in zip(leaves, places(tree), strict=True)
    ]
    return jax.tree.unflatten(structure, bound)


def _with_taps(tx: Any, update: Callable[..., Any]) -> Any:
    """Return an optax transformation with another update; whatever else the original has, e.g. `MultiSteps`, it has too."""
    import optax

    plain = (optax.GradientTransformation, optax.GradientTransformationExtraArgs)
    return (plain[1] if type(tx) in plain else _class_of_richer())(tx.init, update)


@functools.cache
def _class_of_richer() -> Any:
    import optax

    class Tapped(optax.GradientTransformationExtraArgs):  # type: ignore[misc, unused-ignore]
        """A tapped optimizer that has more than `init` and `update`."""

        def __getattr__(self, name: str) -> Any:
            if name.startswith("__"):
                raise AttributeError(name)
            return getattr(self.update.__self__.original, name)

    return Tapped


def _with_extra_arguments(tx: Any) -> Callable[..., Any]:
    import optax

    update: Callable[..., Any] = optax.with_extra_args_support(tx).update
    return update
