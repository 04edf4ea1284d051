"""Buffers of a model: running statistics, which a step returns beside its parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from multiboard import tags
from multiboard_jax.optimizer import bind_tree
from multiboard_jax.paths import array_paths, key_text, place_of
from multiboard_jax.reachable import module_states
from multiboard_jax.tagging import HISTOGRAM, Label, bind, is_number

if TYPE_CHECKING:
    from multiboard_jax.reachable import Arguments

COLLECTION: Final = "batch_stats"
_BEFORE: Final = "before the step"


def bind_buffers(result: Any, arguments: Arguments) -> None:
    """Name the batch statistics in the result of a step: all below the key or attribute `batch_stats`.

    If there are none, those of an argument of that name are taken, as they were before the step.
    """
    found = 0
    for path, leaf in array_paths(result):
        keys = [key_text(key) for key in path]
        if COLLECTION in keys and is_number(leaf):
            place = place_of(path[keys.index(COLLECTION) + 1 :])
            bind(leaf, Label(f"{tags.BUFFERS}/{place.layer}", HISTOGRAM, tags.description(place.native, "")))
            found += 1
    if not found:
        bind_tree(tags.BUFFERS, arguments.by_name(COLLECTION), stage=_BEFORE)


def bind_module_buffers(arguments: Arguments) -> None:
    """Name the batch statistics of NNX modules, as they are now."""
    from flax import nnx

    for name, state in module_states(arguments, nnx.BatchStat):
        bind_tree(tags.BUFFERS, state, name)
