"""Turn a traced step into one that also returns its tagged values.

The jaxpr is run equation by equation. Calls that contain tags are opened; loops of a fixed length return the tagged values of
all iterations; what cannot be opened runs as it is, and the names in it are told.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
from jax import lax
from jax.extend.core import Literal

from multiboard_jax._compat import INLINED, REMAT, SCAN, bodies_of, body_of, collecting, run_equation
from multiboard_jax.tagging import Label, tag_p

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from jax.extend.core import ClosedJaxpr, JaxprEqn


class Tagged(NamedTuple):
    """One collected value.

    Attributes:
        value: the array; iterations of a loop are its first axis.
        label: what its tag says.
    """

    value: Any
    label: Label


@dataclass(slots=True)
class Harvest:
    """What was found in one trace.

    Attributes:
        found: by tag; a name that comes again gets '#1', '#2'.
        lost: by tag: the primitive in which it could not be reached.
    """

    found: dict[str, Tagged] = field(default_factory=dict)
    lost: dict[str, str] = field(default_factory=dict)

    def add(self, name: str, tagged: Tagged) -> None:
        """Keep a value under a name of its own."""
        again = sum(known == name or known.startswith(f"{name}#") for known in self.found)
        self.found[f"{name}#{again}" if again else name] = tagged


def harvest(step: Callable[..., Any], *args: Any, **kwargs: Any) -> tuple[Any, Harvest]:
    """Call a step inside a trace and collect its tags.

    Args:
        step: a pure function.
        args: its arguments; whatever is not being traced counts as static.
        kwargs: likewise.

    Returns:
        What the step returns, and what was found.
    """
    leaves, structure = jax.tree.flatten((args, kwargs))
    traced = [i for i, leaf in enumerate(leaves) if isinstance(leaf, jax.core.Tracer)]

    def call(values: Sequence[Any]) -> Any:
        for i, value in zip(traced, values, strict=True):
            leaves[i] = value
        args, kwargs = jax.tree.unflatten(structure, leaves)
        return step(*args, **kwargs)

    inputs = [leaves[i] for i in traced]
    with collecting():
        closed, shapes = jax.make_jaxpr(call, return_shape=True)(inputs)
    result = Harvest()
    outputs = _run(closed, inputs, result)
    return jax.tree.unflatten(jax.tree.structure(shapes), outputs), result


def _run(closed: ClosedJaxpr, inputs: Sequence[Any], result: Harvest) -> list[Any]:
    return _run_open(closed.jaxpr, closed.consts, inputs, result)


def _run_open(jaxpr: Any, consts: Sequence[Any], inputs: Sequence[Any], result: Harvest) -> list[Any]:
    values: dict[Any, Any] = dict(zip((*jaxpr.constvars, *jaxpr.invars), (*consts, *inputs), strict=True))

    def read(atom: Any) -> Any:
        return atom.val if isinstance(atom, Literal) else values[atom]

    for eqn in jaxpr.eqns:
        outputs = _run_equation(jaxpr, eqn, [read(atom) for atom in eqn.invars], result)
        values.update(zip(eqn.outvars, outputs, strict=True))
    return [read(atom) for atom in jaxpr.outvars]


def _run_equation(jaxpr: Any, eqn: JaxprEqn, inputs: list[Any], result: Harvest) -> list[Any]:
    if eqn.primitive is tag_p:
        label = eqn.params["label"]
        result.add(label.name, Tagged(inputs[0], label))
        return inputs
    names = _names_in(eqn)
    if names and (eqn.primitive in INLINED or eqn.primitive is REMAT):
        return _run_open(*body_of(eqn), inputs, result)
    if names and eqn.primitive is SCAN:
        return _run_scan(eqn, inputs, result)
    result.lost |= dict.fromkeys(names, eqn.primitive.name)
    return run_equation(jaxpr, eqn, inputs)


def _run_scan(eqn: JaxprEqn, inputs: list[Any], result: Harvest) -> list[Any]:
    """Run a loop of fixed length with the tagged values of its body as further outputs, stacked over the iterations."""
    constants, carried = eqn.params["num_consts"], eqn.params["num_carry"]
    inner = Harvest()

    def body(carry: Sequence[Any], slices: Sequence[Any]) -> tuple[list[Any], Any]:
        inner.found.clear()
        outputs = _run(eqn.params["jaxpr"], [*inputs[:constants], *carry, *slices], inner)
        return outputs[:carried], (outputs[carried:], {name: tagged.value for name, tagged in inner.found.items()})

    start, slices = inputs[constants : constants + carried], inputs[constants + carried :]
    options = {name: eqn.params[name] for name in ("length", "reverse", "unroll")}
    carry, (stacked, values) = lax.scan(body, start, slices, **options)
    for name, tagged in inner.found.items():
        result.add(name, tagged._replace(value=values[name]))
    result.lost |= inner.lost
    return [*carry, *stacked]


def _names_in(eqn: JaxprEqn) -> list[str]:
    """Return the names tagged inside an equation, without those in a recomputation: their first computation has them too."""
    if eqn.primitive is tag_p:
        return [eqn.params["label"].name]
    if eqn.primitive is REMAT and eqn.params.get("differentiated"):
        return []
    return [name for body in bodies_of(eqn) for inner in body.eqns for name in _names_in(inner)]
