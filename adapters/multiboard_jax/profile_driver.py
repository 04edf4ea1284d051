"""What a wrapped step tells the profiler that it drives: the steps that begin, compilations, and what its layers are."""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import jax

from multiboard_jax.layer_paths import layers_in
from multiboard_jax.meter import count_compilations
from multiboard_jax.paths import places

if TYPE_CHECKING:
    from multiboard.profile.profiler import Profiler
    from multiboard.run import Run

_layers: Final[weakref.WeakKeyDictionary[Profiler, set[str]]] = weakref.WeakKeyDictionary()
"""What is known of all steps that drive a profiler, e.g. that of a generator and that of a discriminator."""


class Driver:
    """Drives a profiler at the steps that it wants to hear of.

    Args:
        profiler: what is driven.
        run: to which it writes, unless it has one of its own; None on processes that do not.
        arguments: of the first step: what holds its layers.
    """

    def __init__(self, profiler: Profiler, run: Run | None, arguments: Any) -> None:
        self._profiler = profiler
        self._layers = _layers.setdefault(profiler, set())
        with contextlib.suppress(Exception):  # of a foreign container; names of layers are no reason to end a training
            self._layers.update(layers_of(arguments))
        self._compilations = count_compilations()
        self._compiled = self._compilations()
        profiler.attach(run, "jax", facts=self._facts)

    def begins(self, step: int) -> None:
        """Tell that a step begins; a second time for the same one if it was told when the one before has ended."""
        self._compiled = self._compilations()
        self._profiler.reached(step)

    def ends(self, step: int) -> None:
        """Tell that a step has ended, and the next one begins."""
        before, self._compiled = self._compiled, self._compilations()
        if self._compiled != before:
            self._profiler.compiled()
        self._profiler.reached(step + 1)

    def _facts(self) -> dict[str, Any]:
        return {"layers": sorted(self._layers)}


def layers_of(arguments: Any) -> list[str]:
    """Return the canonical paths of all layers in the arguments of a step, sorted.

    They are those of modules of NNX and equinox, and those that the parameters of linen name, in training states and dicts.

    >>> layers_of(({"params": {"blocks_0": {"dense": {"kernel": 1.0}}}}, [2.0]))
    ['blocks_0/dense']
    """
    found = {path for path, _ in layers_in(arguments)}
    nodes = jax.tree.leaves(arguments, is_leaf=_names_parameters)
    for node in filter(_names_parameters, nodes):
        found |= {place.layer.rpartition("/")[0] for place in places(getattr(node, "params", node))}
    return sorted(found - {""})


def _names_parameters(node: Any) -> bool:
    return isinstance(node, Mapping) or isinstance(getattr(node, "params", None), Mapping)
