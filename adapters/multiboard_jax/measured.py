"""The measured variant of a step: what it returns, and besides the statistics of everything that is tagged in it."""

from __future__ import annotations

import functools
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import jax

from multiboard import tags
from multiboard_jax.harvest import Harvest, Tagged, harvest
from multiboard_jax.paths import places
from multiboard_jax.statistics import Measured, measure
from multiboard_jax.tagging import BY_SHAPE, HISTOGRAM, SCALAR, Label, is_number

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

_NO_TAGS: Final = (
    "no tag found",
    "the training step has no tags, so that gradients cannot be seen; build the optimizer with multiboard.jax.tap(tx).",
)
_NO_PARAMS: Final = (
    "no parameters found",
    "the training step does not show its parameters; pass them on: tx.update(grads, opt_state, params).",
)


@functools.partial(
    jax.tree_util.register_dataclass,
    data_fields=["statistics", "scalars"],
    meta_fields=["names", "descriptions", "scalar_names", "notes"],
)
@dataclass(frozen=True, slots=True)
class Measurement:
    """What the measured variant returns besides the step's own result.

    The names are static: each compiled version of a step carries its own.

    Attributes:
        statistics: one row per name.
        scalars: device scalars, one per scalar name.
        names: the tags of the rows: parameters, gradients, then others.
        descriptions: pairs of tag and markdown.
        scalar_names: the tags of the scalars.
        notes: pairs of cause and message: what could not be seen.
    """

    statistics: Measured
    scalars: tuple[jax.Array, ...]
    names: tuple[str, ...]
    descriptions: tuple[tuple[str, str], ...]
    scalar_names: tuple[str, ...]
    notes: tuple[tuple[str, str], ...]


def measured_step(step: Callable[..., Any]) -> Callable[..., tuple[Any, Measurement]]:
    """Return a pure function with the arguments of a pure step that also measures; to be jitted by the caller."""

    @functools.wraps(step)
    def run(*args: Any, **kwargs: Any) -> tuple[Any, Measurement]:
        result, found = harvest(step, *args, **kwargs)
        return result, _measurement(found, (*args, *kwargs.values()))

    return run


def measured_nnx_step(step: Callable[..., Any]) -> Callable[..., tuple[Any, Measurement]]:
    """Return what `measured_step` does for a step that changes NNX modules; to be given to `nnx.jit` by the caller."""
    from flax import nnx

    context = "multiboard"

    @functools.wraps(step)
    def run(*args: Any, **kwargs: Any) -> tuple[Any, Measurement]:
        def pure(state: Any) -> Any:
            with nnx.merge_context(context, inner=True) as merging:
                inner_args, inner_kwargs = merging.merge(graph, state)
            result = step(*inner_args, **inner_kwargs)
            with nnx.split_context(context) as splitting:
                return splitting.split((inner_args, inner_kwargs, result))

        before = [nnx.state(module, nnx.Param) for module in _modules((*args, *kwargs.values()))]
        with nnx.update_context(context):
            with nnx.split_context(context) as splitting:
                graph, state = splitting.split((args, kwargs))
            (new_graph, new_state), found = harvest(pure, state)
            with nnx.merge_context(context, inner=False) as merging:
                _, _, result = merging.merge(new_graph, new_state)
        return result, _measurement(found, before)

    return run


def _measurement(found: Harvest, holders: Iterable[Any]) -> Measurement:
    notes = list(_notes(found))
    if tags.PARAMS not in _groups(found):
        _add_parameters(found, holders)
    if tags.GRADS in _groups(found) and tags.PARAMS not in _groups(found):
        notes.append(_NO_PARAMS)
    scalars = {name: t.value.reshape(-1)[0] for name, t in found.found.items() if _is_scalar(t)}
    first = {tags.PARAMS: 0, tags.GRADS: 1}
    names = sorted((name for name in found.found if name not in scalars), key=lambda name: first.get(_group(name), 2))
    return Measurement(
        statistics=measure([found.found[name].value for name in names]),
        scalars=tuple(scalars.values()),
        names=tuple(names),
        descriptions=tuple((name, found.found[name].label.description) for name in names),
        scalar_names=tuple(scalars),
        notes=tuple(notes),
    )


def _groups(found: Harvest) -> set[str]:
    return {_group(name) for name in found.found}


def _notes(found: Harvest) -> Iterator[tuple[str, str]]:
    if not found.found and not found.lost:
        yield _NO_TAGS
    for name, where in found.lost.items():
        yield (
            f"tag {name} in {where}",
            f"tag {name!r} is inside {where!r}, where it cannot be collected; tag the value outside, or return it.",
        )


def _is_scalar(tagged: Tagged) -> bool:
    return tagged.label.kind == SCALAR or (tagged.label.kind == BY_SHAPE and tagged.value.ndim == 0)


def _group(name: str) -> str:
    return name.partition("/")[0]


def _add_parameters(found: Harvest, holders: Iterable[Any]) -> None:
    """Add the parameters of arguments that hold some: training states and the parameters of NNX modules."""
    for holder in holders:
        tree = _parameters(holder)
        for leaf, place in zip(jax.tree.leaves(tree), places(tree), strict=True):
            if is_number(leaf):
                label = Label(f"{tags.PARAMS}/{place.layer}", HISTOGRAM, tags.description(place.native, ""))
                found.add(label.name, Tagged(leaf, label))


def _parameters(holder: Any) -> Any:
    nnx = sys.modules.get("flax.nnx")
    if nnx is not None and isinstance(holder, nnx.State):
        return holder
    return holder.params if hasattr(holder, "params") and hasattr(holder, "opt_state") else None


def _modules(arguments: Iterable[Any]) -> list[Any]:
    nnx = sys.modules["flax.nnx"]
    return [argument for argument in arguments if isinstance(argument, nnx.Module)]
