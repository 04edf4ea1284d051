"""Loops, branches and shards: what runs apart from the rest of a program, and sums up there what is tagged in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.extend.core import jaxpr_as_fun
from jax.sharding import PartitionSpec

from multiboard_jax import collected, varying
from multiboard_jax._compat import axes_of_shards, shard_map_again, switch_again
from multiboard_jax.collected import Summary, Tagged
from multiboard_jax.statistics import Measured, nothing
from multiboard_jax.survey import keys, names_in, stacked, survey, united
from multiboard_jax.tagging import SCALAR, Mean

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from jax.extend.core import JaxprEqn

    from multiboard_jax.survey import Expected, Setting
    from multiboard_jax.varying import Axes
    from multiboard_jax.walk import Walk


def scan(walk: Walk, eqn: JaxprEqn, inputs: list[Any], axes: list[Axes]) -> list[Any]:
    """Run a loop of fixed length; what is large is summed up in what it carries, what is small comes stacked."""
    constants, carried, length = (eqn.params[name] for name in ("num_consts", "num_carry", "length"))
    closed, setting = eqn.params["jaxpr"], walk.setting._replace(looped=True)
    plan = survey(closed.jaxpr, setting)
    small = [stacked(expected, length).size is not None for expected in plan]
    body_axes = varying.in_scan(eqn, axes) if setting.manual else axes
    found: list[Tagged] = []

    def body(carry: Any, slices: Sequence[Any]) -> Any:
        state, summed = carry
        inner = walk.inner(setting)
        outputs = inner.run(closed.jaxpr, closed.consts, [*inputs[:constants], *state, *slices], body_axes)
        found[:] = _without_values(inner.found)
        summed = collected.merge(summed, _summary([t for t, s in zip(inner.found, small, strict=True) if not s], setting))
        return (outputs[:carried], summed), (outputs[carried:], [t.value for t, s in zip(inner.found, small, strict=True) if s])

    start = inputs[constants : constants + carried], _empty([e for e, s in zip(plan, small, strict=True) if not s], setting)
    options = {name: eqn.params[name] for name in ("length", "reverse", "unroll")}
    (state, summed), (rows, arrays) = lax.scan(body, start, inputs[constants + carried :], **options)
    large = iter(collected.taken_apart(summed, [t for t, s in zip(found, small, strict=True) if not s]))
    whole = iter(arrays)
    walk.found += [one._replace(value=next(whole)) if s else next(large) for one, s in zip(found, small, strict=True)]
    return [*state, *rows]


def while_loop(walk: Walk, eqn: JaxprEqn, inputs: list[Any], axes: list[Axes]) -> list[Any]:
    """Run a loop with a condition; what is tagged in its body is summed up in what it carries."""
    of_condition, of_body = eqn.params["cond_nconsts"], eqn.params["body_nconsts"]
    condition, closed = eqn.params["cond_jaxpr"], eqn.params["body_jaxpr"]
    setting = walk.setting._replace(looped=True)
    plan = survey(closed.jaxpr, setting)
    walk.lost |= dict.fromkeys(_names(condition.jaxpr, setting), "while condition")
    body_axes, iterations = varying.in_while(eqn, axes) if setting.manual else (axes, varying.NOWHERE)
    conditions, constants = inputs[:of_condition], inputs[of_condition : of_condition + of_body]
    batched = bool(condition.out_avals[0].shape)  # by vmap: until the last example ends, and those that have ended stay
    found: list[Tagged] = []

    def goes_on(state: Sequence[Any]) -> Any:
        return jaxpr_as_fun(condition)(*conditions, *state)[0]

    def body(carry: Any) -> Any:
        state, summed = carry
        inner = walk.inner(setting)
        outputs = inner.run(closed.jaxpr, closed.consts, [*constants, *state], body_axes)
        found[:] = _without_values(inner.found)
        outputs = [_chosen(goes_on(state), *pair) for pair in zip(outputs, state, strict=True)] if batched else outputs
        return outputs, collected.merge(summed, _summary(inner.found, setting))

    start = inputs[of_condition + of_body :], _empty(plan, setting)
    state, summed = lax.while_loop(lambda carry: goes_on(carry[0]).any(), body, start)
    walk.found += [one._replace(axes=one.axes | iterations) for one in collected.taken_apart(summed, found)]
    return list(state)


def branch(walk: Walk, eqn: JaxprEqn, inputs: list[Any], axes: list[Axes]) -> list[Any]:
    """Run one of several branches; each returns a summary of what is tagged in any of them."""
    setting, branches = walk.setting, eqn.params["branches"]
    plans = [survey(closed.jaxpr, setting) for closed in branches]
    labels = [expected.label for expected in united(plans)]
    order = keys(united(plans))
    found: dict[Any, Tagged] = {}

    def run(closed: Any) -> Callable[..., Any]:
        def taken(*operands: Any) -> Any:
            inner = walk.inner(setting)
            outputs = inner.run(closed.jaxpr, closed.consts, operands, axes[1:])
            here = dict(zip(keys(inner.found), inner.found, strict=True))
            for key, one in here.items():
                known = found.get(key, one)
                found[key] = one._replace(value=None, axes=one.axes | known.axes)
            return outputs, _summary([here.get(key, label) for key, label in zip(order, labels, strict=True)], setting)

        return taken

    outputs, summed = switch_again(eqn, [run(closed) for closed in branches], inputs)
    of_index = axes[0] if axes else varying.NOWHERE
    tagged = [found[key]._replace(axes=found[key].axes | of_index) for key in order]
    walk.found += collected.taken_apart(summed, tagged)
    return list(outputs)


def shards(walk: Walk, eqn: JaxprEqn, inputs: list[Any], axes: list[Axes]) -> list[Any]:
    """Run the body of a `shard_map`; what is tagged in it is added up over the devices, what is replicated once."""
    own = axes_of_shards(eqn)
    outer = walk.setting
    setting = outer._replace(placement=None, manual=(*outer.manual, *own))
    body_axes = varying.in_shards(eqn, axes)
    found: list[Tagged] = []

    def body(*parts: Any) -> Any:
        inner = walk.inner(setting)
        outputs = inner.run(eqn.params["jaxpr"], (), parts, body_axes)
        found[:] = _without_values(inner.found)
        return outputs, _over_shards(_summary(inner.found, setting), found, own)

    outputs, summed = shard_map_again(eqn, body, PartitionSpec())(*inputs)
    walk.found += [one._replace(axes=one.axes - set(own)) for one in collected.taken_apart(summed, found)]
    return list(outputs)


def _without_values(found: Sequence[Tagged]) -> list[Tagged]:
    """Return tags without what must not outlive the trace of a body."""
    return [one._replace(value=None) for one in found]


def _chosen(condition: jax.Array, new: jax.Array, old: jax.Array) -> jax.Array:
    where = condition.reshape(condition.shape + (1,) * (new.ndim - condition.ndim))
    return lax.select(jnp.broadcast_to(where, new.shape), new, old)


def _names(jaxpr: Any, setting: Setting) -> list[str]:
    return [name for eqn in jaxpr.eqns for name in names_in(eqn, setting)]


def _summary(found: Sequence[Any], setting: Setting) -> Summary:
    return _spread(collected.summary(found, setting.placement), setting)


def _empty(plan: Sequence[Expected], setting: Setting) -> Summary:
    return _spread(collected.empty([expected.label for expected in plan]), setting)


def _spread(summed: Summary, setting: Setting) -> Summary:
    """Let JAX know that a summary may differ between devices: all rounds of a loop and all branches must agree in that."""
    if not setting.manual:
        return summed
    zero = lax.axis_index(setting.manual) * 0
    result: Summary = jax.tree.map(lambda part: part + zero.astype(part.dtype), summed)
    return result


def _over_shards(summed: Summary, found: Sequence[Tagged], own: Sequence[str]) -> Summary:
    """Add up over all axes of a mesh; along those over which a value does not vary only the first device counts."""
    rows = [_counts_here(one.axes, own) for one in found if one.label.kind != SCALAR]
    scalars = [_counts_here(one.axes, own) for one in found if one.label.kind == SCALAR]
    here = jnp.stack(rows)[:, None] if rows else jnp.zeros((0, 1), bool)
    counts, specials, moments = jax.tree.map(lambda part, zero: jnp.where(here, part, zero), summed.measured, nothing(len(rows)))
    kept = jnp.stack(scalars) if scalars else jnp.zeros(0, bool)
    ends = lax.pmin(moments[:, 2], own), lax.pmax(moments[:, 3], own)
    measured = Measured(
        lax.psum(counts, own), lax.psum(specials, own), jnp.concatenate([lax.psum(moments[:, :2], own), jnp.stack(ends, 1)], 1)
    )
    return Summary(measured, Mean(*(lax.psum(jnp.where(kept, part, 0), own) for part in summed.means)))


def _counts_here(axes: Axes, own: Sequence[str]) -> jax.Array:
    here = jnp.ones((), bool)
    for name in own:
        if name not in axes:
            here &= lax.axis_index(name) == 0
    return here
