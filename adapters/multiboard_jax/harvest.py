"""Turn a traced step into one that also returns its tagged values.

The jaxpr is run equation by equation. Calls that contain tags are opened; loops, branches and shards return besides what was
summed up in them; what cannot be opened runs as it is, and the names in it are told.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import jax
from jax import lax

from multiboard_jax._compat import collecting
from multiboard_jax.collected import Tagged
from multiboard_jax.names import FreeNames
from multiboard_jax.survey import Part, Setting, names_first, names_in
from multiboard_jax.tagging import is_number
from multiboard_jax.walk import Walk

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from jax.extend.core import ClosedJaxpr

    from multiboard_jax.distributed import Placement

__all__ = ["Harvest", "Tagged", "harvest"]


SCOPE: Final = "multiboard"
"""Around what is computed only to be measured, so that a profile does not count it as work of the layers."""


@dataclass(slots=True)
class Harvest:
    """What was found in one trace.

    Attributes:
        placement: where the arguments of the step live.
        found: by tag; a name that comes again gets '#1', '#2'.
        lost: by tag: where it could not be reached.
        names: in use.
    """

    placement: Placement | None = None
    found: dict[str, Tagged] = field(default_factory=dict)
    lost: dict[str, str] = field(default_factory=dict)
    names: FreeNames = field(default_factory=FreeNames)

    def add(self, name: str, tagged: Tagged) -> None:
        """Keep a value under a name of its own."""
        self.found[self.names.take(name)] = tagged


def harvest(step: Callable[..., Any], placement: Placement | None, *args: Any, **kwargs: Any) -> tuple[Any, Harvest]:
    """Call a step inside a trace and collect its tags.

    Args:
        step: a pure function.
        placement: where its arguments live.
        args: its arguments; whatever is not being traced counts as static.
        kwargs: likewise.

    Returns:
        What the step returns, and what was found.
    """
    call, inputs = of_traced(step, args, kwargs)
    with collecting():
        closed, shapes = jax.make_jaxpr(call, return_shape=True)(inputs)
    result = Harvest(placement)
    # With effects there is no second run of anything: a message would be printed twice.
    walk = Walk(Setting(Part.ALL if closed.effects else Part.OUTSIDE, placement, first=names_first(closed.jaxpr)), result.lost)
    outputs = walk.run(closed.jaxpr, closed.consts, inputs)
    found = walk.found if closed.effects else [*walk.found, *_found_beside(closed, inputs, result)]
    for tagged in found:
        result.add(tagged.label.name, tagged)
    return jax.tree.unflatten(jax.tree.structure(shapes), outputs), result


def of_traced(function: Callable[..., Any], args: Any, kwargs: Any) -> tuple[Callable[[Sequence[Any]], Any], list[Any]]:
    """Return a function as one of those leaves of its arguments that are being traced, and these; the others are static."""
    leaves, structure = jax.tree.flatten((args, kwargs))
    traced = [i for i, leaf in enumerate(leaves) if isinstance(leaf, jax.core.Tracer)]

    def call(values: Sequence[Any]) -> Any:
        inner = list(leaves)  # a copy: what is traced here must not outlive the trace
        for i, value in zip(traced, values, strict=True):
            inner[i] = value
        args, kwargs = jax.tree.unflatten(structure, inner)
        return function(*args, **kwargs)

    return call, [leaves[i] for i in traced]


def _found_beside(closed: ClosedJaxpr, inputs: Sequence[Any], result: Harvest) -> list[Tagged]:
    """Return the values from inside the computation, taken from a copy of it.

    A compiler that has to keep such a value fuses the operations around it in another way, which changes last bits of the
    training. The copy sees its inputs through a barrier, so that nothing of it is taken for the original; of the copy only
    what leads to these values is left.
    """
    setting = Setting(Part.INSIDE, result.placement, first=names_first(closed.jaxpr))
    if not any(names_in(eqn, setting) for eqn in closed.jaxpr.eqns):
        return []
    copy = Walk(setting, result.lost)
    with jax.named_scope(SCOPE):
        copy.run(closed.jaxpr, *([_apart(value) for value in values] for values in (closed.consts, inputs)))
    return copy.found


def _apart(value: Any) -> Any:
    return lax.optimization_barrier(value) if is_number(value) else value
