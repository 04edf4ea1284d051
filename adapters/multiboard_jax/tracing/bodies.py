"""Equations that have a body: how its arguments and results are those of the equation around it."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Any, Final

from multiboard_jax._compat import CALLS, REMATS, axes_of_shards, bodies_of, body_of, call_name
from multiboard_jax.tracing.parts import Part

if TYPE_CHECKING:
    from collections.abc import Callable

    from jax.extend.core import JaxprEqn

    from multiboard_jax.tracing.values import Context, Source
    from multiboard_jax.tracing.walk import Walker

_instances: Final = itertools.count(1)
_OPAQUE: Final = ("reduce", "scatter", "select_and", "sort", "arg", "cum", "pallas", "custom_linear_solve", "run_state")
"""Equations whose bodies combine two numbers, or are written in another language, or are solved for: they are drawn whole."""


def body_walk(eqn: JaxprEqn) -> Callable[[Walker, JaxprEqn, list[Source], Context], list[Source]] | None:
    """Return what records the body of an equation, None if it has none, or none to be seen."""
    name = str(eqn.primitive.name)
    if name in _WALKS:
        return _WALKS[name]
    if name in CALLS | REMATS:
        return _call
    if name.startswith(_OPAQUE):
        return None
    bodies = list(bodies_of(eqn))
    if len(bodies) == 1 and len(bodies[0].invars) == len(eqn.invars) and len(bodies[0].outvars) == len(eqn.outvars):
        return _unknown
    return None


def _call(walker: Walker, eqn: JaxprEqn, sources: list[Source], context: Context) -> list[Source]:
    name = "" if eqn.primitive.name in REMATS or context.sealed else call_name(eqn)
    again = context.parts[-1:] != () and context.parts[-1][:2] == ("call", name)
    inside = within(context, Part("call", name, key=next(_instances))) if name and not again else context
    jaxpr, _ = body_of(eqn)
    return walker.body(jaxpr, sources, inside)


def _unknown(walker: Walker, eqn: JaxprEqn, sources: list[Source], context: Context) -> list[Source]:
    (jaxpr,) = bodies_of(eqn)
    return walker.body(jaxpr, sources, within(context, region(str(eqn.primitive.name))))


def _scan(walker: Walker, eqn: JaxprEqn, sources: list[Source], context: Context) -> list[Source]:
    """Record one round: a slice of an array that is scanned over comes from where the array does."""
    inside = within(context, region("scan"))
    return walker.body(eqn.params["jaxpr"].jaxpr, sources, inside._replace(times=context.times * eqn.params["length"]))


def _while(walker: Walker, eqn: JaxprEqn, sources: list[Source], context: Context) -> list[Source]:
    """Record the condition and one round: how many there are is not known before."""
    of_condition, of_body = eqn.params["cond_nconsts"], eqn.params["body_nconsts"]
    carried = sources[of_condition + of_body :]
    inside = within(context, region("while"))
    condition = within(inside, Part("region", "condition"))
    walker.body(eqn.params["cond_jaxpr"].jaxpr, [*sources[:of_condition], *carried], condition)
    return walker.body(eqn.params["body_jaxpr"].jaxpr, [*sources[of_condition : of_condition + of_body], *carried], inside)


def _branches(walker: Walker, eqn: JaxprEqn, sources: list[Source], context: Context) -> list[Source]:
    """Record all branches, and a node in which their results meet; a graph counts what all of them would compute."""
    inside = within(context, region("cond"))
    found: list[Source] = []
    for i, branch in enumerate(eqn.params["branches"]):
        found += walker.body(branch.jaxpr, sources[1:], within(inside, Part("region", f"branch({i})")))
    return walker.leaf(eqn, [sources[0], *found], walker.scope(inside), inside)


def _shards(walker: Walker, eqn: JaxprEqn, sources: list[Source], context: Context) -> list[Source]:
    """Record what one device does; it counts for all of them."""
    mesh = eqn.params["mesh"]
    devices = math.prod(mesh.shape[name] for name in axes_of_shards(eqn))
    inside = within(context, region("shard_map"))
    return walker.body(eqn.params["jaxpr"], sources, inside._replace(times=context.times * devices))


def _mapped(walker: Walker, eqn: JaxprEqn, sources: list[Source], context: Context) -> list[Source]:
    inside = within(context, region("pmap"))
    times = context.times * int(eqn.params.get("global_axis_size", 1))
    return walker.body(body_of(eqn)[0], sources, inside._replace(times=times))


def region(name: str) -> Part:
    """Return a region that is no other one."""
    return Part("region", name, key=next(_instances))


def within(context: Context, part: Part) -> Context:
    """Return the context of a body that is one part further inside."""
    return context._replace(parts=(*context.parts, part))


_WALKS: Final[dict[str, Callable[[Any, Any, list[Any], Any], list[Any]]]] = {
    "scan": _scan,
    "while": _while,
    "cond": _branches,
    "shard_map": _shards,
    "xla_pmap": _mapped,
}
