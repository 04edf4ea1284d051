"""Over which axes of a mesh the values inside a `shard_map` differ from device to device.

JAX knows it only where `check_vma` is on, and tells it differently in every version; here it follows from the equations. What
differs over no axis is replicated, and counts once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeAlias

from jax.extend.core import Literal
from jax.sharding import PartitionSpec

from multiboard_jax._compat import CALLS, REMATS, bodies_of, body_of, specs_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from jax.extend.core import JaxprEqn

Axes: TypeAlias = frozenset[str]

NOWHERE: Final[Axes] = frozenset()
_REDUCTIONS: Final = {
    "psum", "psum2", "psum_invariant", "pmax", "pmin", "all_gather", "all_gather_invariant",
}  # fmt: skip
_AXIS_PARAMS: Final = ("axes", "axis_name", "axis")


def axes_of(jaxpr: Any, inputs: Sequence[Axes]) -> dict[Any, Axes]:
    """Return the axes over which each variable of a jaxpr varies; variables that are not in the result are constants.

    Args:
        jaxpr: the body of a `shard_map`, or a body inside it.
        inputs: the axes of its arguments.
    """
    known: dict[Any, Axes] = dict(zip(jaxpr.invars, inputs, strict=True))
    for eqn in jaxpr.eqns:
        known.update(zip(eqn.outvars, _after(eqn, read(known, eqn.invars)), strict=True))
    return known


def read(known: dict[Any, Axes], atoms: Iterable[Any]) -> list[Axes]:
    """Return the axes of some variables and literals."""
    return [NOWHERE if isinstance(atom, Literal) else known.get(atom, NOWHERE) for atom in atoms]


def in_scan(eqn: JaxprEqn, inputs: Sequence[Axes]) -> list[Axes]:
    """Return the axes of the arguments of a scan's body."""
    constants, carried = eqn.params["num_consts"], eqn.params["num_carry"]
    body = eqn.params["jaxpr"].jaxpr

    def again(carry: list[Axes]) -> list[Axes]:
        return _outputs(body, [*inputs[:constants], *carry, *inputs[constants + carried :]])[:carried]

    carry = _settled(list(inputs[constants : constants + carried]), again)
    return [*inputs[:constants], *carry, *inputs[constants + carried :]]


def in_while(eqn: JaxprEqn, inputs: Sequence[Axes]) -> tuple[list[Axes], Axes]:
    """Return the axes of the arguments of a while loop's body, and those over which the number of iterations varies."""
    of_condition, of_body = eqn.params["cond_nconsts"], eqn.params["body_nconsts"]
    condition, body = eqn.params["cond_jaxpr"].jaxpr, eqn.params["body_jaxpr"].jaxpr
    conditions, constants = inputs[:of_condition], inputs[of_condition : of_condition + of_body]

    def iterations(carry: Sequence[Axes]) -> Axes:
        return _union(_outputs(condition, [*conditions, *carry]))

    def again(carry: list[Axes]) -> list[Axes]:
        return [axes | iterations(carry) for axes in _outputs(body, [*constants, *carry])]

    carry = _settled(list(inputs[of_condition + of_body :]), again)
    return [*constants, *carry], iterations(carry)


def in_shards(eqn: JaxprEqn, inputs: Sequence[Axes]) -> list[Axes]:
    """Return the axes of the arguments of a `shard_map`'s body."""
    return [axes | _named(spec) for axes, spec in zip(inputs, specs_of(eqn)[0], strict=True)]


def _outputs(jaxpr: Any, inputs: Sequence[Axes]) -> list[Axes]:
    return read(axes_of(jaxpr, inputs), jaxpr.outvars)


def _settled(carry: list[Axes], again: Callable[[list[Axes]], list[Axes]]) -> list[Axes]:
    """Widen what a loop carries until an iteration adds no axis."""
    while True:
        wider = [ours | theirs for ours, theirs in zip(carry, again(carry), strict=True)]
        if wider == carry:
            return carry
        carry = wider


def _after(eqn: JaxprEqn, inputs: list[Axes]) -> list[Axes]:
    """Return the axes of the results of an equation."""
    name = eqn.primitive.name
    if name in CALLS | REMATS:
        return _outputs(body_of(eqn)[0], inputs)
    if name == "scan":
        return _outputs(eqn.params["jaxpr"].jaxpr, in_scan(eqn, inputs))
    if name == "while":
        body, iterations = in_while(eqn, inputs)
        return [axes | iterations for axes in body[eqn.params["body_nconsts"] :]]
    if name == "cond":
        each = [_outputs(branch.jaxpr, inputs[1:]) for branch in eqn.params["branches"]]
        return [_union(axes) | inputs[0] for axes in zip(*each, strict=True)]
    named = _union(_named(eqn.params[param]) for param in _AXIS_PARAMS if param in eqn.params)
    if name in _REDUCTIONS and not eqn.params.get("axis_index_groups"):
        return [axes - named for axes in inputs]
    inside = _union(_introduced(body) for body in bodies_of(eqn))
    return [_union(inputs) | named | inside] * len(eqn.outvars)


def _introduced(jaxpr: Any) -> Axes:
    """Return all axes that are named inside a body that is not followed equation by equation."""
    own = _union(_named(eqn.params[param]) for eqn in jaxpr.eqns for param in _AXIS_PARAMS if param in eqn.params)
    return own | _union(_introduced(body) for eqn in jaxpr.eqns for body in bodies_of(eqn))


def _union(sets: Iterable[Axes]) -> Axes:
    return NOWHERE.union(*sets)


def _named(axes: Any) -> Axes:
    """Return the names in a parameter of an equation or in a PartitionSpec: other parameters are numbers."""
    if isinstance(axes, str):
        return frozenset({axes})
    return _union(_named(axis) for axis in axes) if isinstance(axes, (tuple, list, PartitionSpec)) else NOWHERE
