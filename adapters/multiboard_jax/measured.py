"""The measured variant of a step: what it returns, and besides the statistics of everything that is tagged in it."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import jax
import numpy as np

from multiboard import tags
from multiboard_jax.activations import Seen, called_layers, seen
from multiboard_jax.buffers import bind_buffers, bind_module_buffers
from multiboard_jax.collected import is_scalar, rows, scalars
from multiboard_jax.distributed import replicated
from multiboard_jax.exact import keep
from multiboard_jax.harvest import SCOPE, Harvest, harvest
from multiboard_jax.layer_info import layer_rows
from multiboard_jax.norms import norms_of
from multiboard_jax.optimizer import taps_seen
from multiboard_jax.parameters import add_parameters, held
from multiboard_jax.reachable import (
    Arguments,
    holds_optimizer,
    module_states,
    nnx_optimizers,
    tapped_modules,
    with_taps,
)
from multiboard_jax.statistics import Measured, pack

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    from multiboard.exact_samples import Kept
    from multiboard.layer_rows import LayerRows
    from multiboard_jax.distributed import Placement
    from multiboard_jax.layer_info import Called
    from multiboard_jax.layers import Watcher
    from multiboard_jax.options import Options
    from multiboard_jax.parameters import Held

_NO_TAGS: Final = (
    "no tag found",
    "the training step has no tap, so that gradients cannot be seen; build the optimizer with multiboard.jax.tap(tx).",
)
_NO_ARRAYS: Final = (
    "no arrays in the tap",
    "the tapped optimizer is given no arrays of numbers, so that there are no gradients to see; pass it the trained parameters.",
)
_NO_PARAMS: Final = (
    "no parameters found",
    "the training step does not show its parameters; pass them on: tx.update(grads, opt_state, params).",
)


@functools.partial(
    jax.tree_util.register_dataclass,
    data_fields=["packed", "scalars", "exact"],
    meta_fields=["names", "descriptions", "scalar_names", "notes", "if_any", "layers", "kept"],
)
@dataclass(frozen=True, slots=True)
class Measurement:
    """What the measured variant returns besides the step's own result.

    The names are static: each compiled version of a step carries its own.

    Attributes:
        packed: one row of statistics per name, see `statistics.pack`.
        scalars: on the device, one per scalar name, see `collected.scalars`.
        names: the tags of the rows: parameters, gradients, updates, states, buffers, then others.
        descriptions: pairs of tag and markdown.
        scalar_names: the tags of the scalars.
        notes: pairs of cause and message: what could not be seen.
        if_any: rows may be of values that did not come to be at this step.
        layers: the layer table.
        exact: on the device, the arrays that are kept element by element.
        kept: what they are.
    """

    packed: jax.Array
    scalars: tuple[Any, ...]
    names: tuple[str, ...]
    descriptions: tuple[tuple[str, str], ...]
    scalar_names: tuple[str, ...]
    notes: tuple[tuple[str, str], ...]
    if_any: bool
    layers: LayerRows
    exact: tuple[jax.Array, ...] = ()
    kept: tuple[Kept, ...] = ()


def measured_step(
    step: Callable[..., Any], options: Options, placement: Placement | None
) -> Callable[..., tuple[Any, Measurement]]:
    """Return a pure function with the arguments of a pure step that also measures; to be jitted by the caller."""

    @functools.wraps(step)
    def run(*args: Any, **kwargs: Any) -> tuple[Any, Measurement]:
        seeing, kept = _Seeing(step, options), _Kept()

        def pure(*args: Any, **kwargs: Any) -> list[Any]:
            result = seeing.call(args, kwargs)
            if tags.BUFFERS in options.groups:
                bind_buffers(result, Arguments(step, args, kwargs))
            return kept.opened(result)

        outputs, found = harvest(pure, placement, *args, **kwargs)
        holders = held(Arguments(step, args, kwargs), found)
        return kept.closed(outputs), _measurement(found, holders, seeing, placement)

    return run


def measured_nnx_step(
    step: Callable[..., Any], options: Options, placement: Placement | None
) -> Callable[..., tuple[Any, Measurement]]:
    """Return what `measured_step` does for a step that changes NNX modules; to be given to `nnx.jit` by the caller."""
    from flax import nnx

    context = "multiboard"

    @functools.wraps(step)
    def run(*args: Any, **kwargs: Any) -> tuple[Any, Measurement]:
        seeing = _Seeing(step, options)

        def pure(state: Any) -> Any:
            with nnx.merge_context(context, inner=True) as merging:
                inner_args, inner_kwargs = merging.merge(graph, state)
            arguments = Arguments(step, inner_args, inner_kwargs)
            with tapped_modules(nnx_optimizers(arguments)):
                result = seeing.call(inner_args, inner_kwargs)
            if tags.BUFFERS in options.groups:
                bind_module_buffers(arguments)
            with nnx.split_context(context) as splitting:
                return splitting.split((inner_args, inner_kwargs, result))

        before = module_states(Arguments(step, args, kwargs), nnx.Param)
        with nnx.update_context(context):
            with nnx.split_context(context) as splitting:
                graph, state = splitting.split((args, kwargs))
            (new_graph, new_state), found = harvest(pure, placement, state)
            with nnx.merge_context(context, inner=False) as merging:
                _, _, result = merging.merge(new_graph, new_state)
        return result, _measurement(found, before, seeing, placement)

    return run


class _Seeing:
    """One call of a step inside a trace, with what is to be seen in it.

    Attributes:
        options: what is measured.
        layers: what was seen of the layers, None if none are to be.
        met_tap: whether there is a tap in the step.
        called: the layers that were called, see `Watcher`.
    """

    def __init__(self, step: Callable[..., Any], options: Options) -> None:
        self.options = options
        self.layers: Seen | None = None
        self.met_tap = False
        self.called: Mapping[str, Called] = {}
        self._step = step

    def call(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """Return what the step returns, with the optimizers that it was given."""
        found = Arguments(self._step, args, kwargs).found(holds_optimizer)
        restore: Callable[[Any], Any] | None = None
        if found:
            (args, kwargs), restore = with_taps(args, kwargs, found)
        before = taps_seen()
        with self._seen((args, kwargs)) as looking:
            self.layers = looking if isinstance(looking, Seen) else None
            self.called = (looking.watcher if isinstance(looking, Seen) else looking).called
            result = self._step(*args, **kwargs)
            self.met_tap = taps_seen() > before
            result = result if self.layers is None else self.layers.released(result)
        return result if restore is None else restore(result)

    def _seen(self, arguments: Any) -> AbstractContextManager[Seen | Watcher]:
        if self.options.activations is None:
            return called_layers(arguments)
        return seen(self.options.activations, arguments)


class _Kept:
    """What a step returns beside arrays: a filtering `jit` hands it through, and a trace cannot."""

    def opened(self, result: Any) -> list[Any]:
        """Return the arrays of a result, and keep the rest."""
        leaves, self._structure = jax.tree.flatten(result)
        self._leaves = [None if _is_array(leaf) else leaf for leaf in leaves]
        return [leaf for leaf in leaves if _is_array(leaf)]

    def closed(self, arrays: Iterable[Any]) -> Any:
        """Return the result with these arrays."""
        remaining = iter(arrays)
        leaves = [next(remaining) if leaf is None else leaf for leaf in self._leaves]
        return jax.tree.unflatten(self._structure, leaves)


def _is_array(leaf: object) -> bool:
    return isinstance(leaf, (jax.Array, np.ndarray, np.generic))


def _measurement(found: Harvest, holders: Held, seeing: _Seeing, placement: Placement | None) -> Measurement:
    options = seeing.options
    layers = layer_rows(found.found, holders, seeing.called)
    for name in [name for name in found.found if _group(name) in set(tags.GROUPS) - set(options.groups)]:
        del found.found[name]
    notes = [*_notes(found, options, met_tap=seeing.met_tap), *(seeing.layers.notes(found.found) if seeing.layers else ())]
    if tags.PARAMS in options.groups:
        add_parameters(found, holders)
        if tags.GRADS in _groups(found) and tags.PARAMS not in _groups(found):
            notes.append(_NO_PARAMS)
    single = {name: tagged for name, tagged in found.found.items() if is_scalar(tagged)}
    order = {group: i for i, group in enumerate(tags.GROUPS)}
    names = sorted((name for name in found.found if name not in single), key=lambda name: order.get(_group(name), len(order)))
    many = {name: found.found[name] for name in names}
    with jax.named_scope(SCOPE):
        packed = pack((rows if options.histograms else norms_of)(many, placement))
        exact, kept = keep(found.found, layers.transforms(), options.exact)
    return Measurement(
        packed=replicated(packed, placement),
        scalars=replicated(scalars(single), placement),
        names=tuple(names),
        descriptions=tuple((name, found.found[name].label.description) for name in names),
        scalar_names=tuple(single),
        notes=tuple(notes),
        if_any=any(isinstance(tagged.value, Measured) for tagged in many.values()),
        layers=layers,
        exact=replicated(exact, placement),
        kept=kept,
    )


def _groups(found: Harvest) -> set[str]:
    return {_group(name) for name in found.found}


def _group(name: str) -> str:
    return name.partition("/")[0]


def _notes(found: Harvest, options: Options, *, met_tap: bool) -> Iterator[tuple[str, str]]:
    ours = {tags.BUFFERS} | ({tags.ACTIVATIONS} if options.activations is not None else set())
    if not (_groups(found) - ours or found.lost) and {tags.GRADS, tags.UPDATES} & set(options.groups):
        yield _NO_ARRAYS if met_tap else _NO_TAGS
    for name, where in found.lost.items():
        yield (
            f"tag {name} in {where}",
            f"tag {name!r} is inside {where!r}, where it cannot be collected; tag the value outside, or return it.",
        )
