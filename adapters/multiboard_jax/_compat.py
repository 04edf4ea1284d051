"""What differs between versions of JAX and Flax: the only place that asks for entry points that may be missing.

All but `trace_ctx` is public in the newest version; where something is missing, there is the fallback beside it.
"""

from __future__ import annotations

import contextlib
import itertools
from typing import TYPE_CHECKING, Any, Final

import jax
from jax.extend import core as jax_core

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager
    from types import CodeType

    from jax.extend.core import JaxprEqn
    from jax.sharding import Mesh

try:
    from jax._src.core import trace_ctx

    _is_outside: Callable[[], bool] | None = trace_ctx.is_top_level
except (ImportError, AttributeError):
    _is_outside = None

_context: Final[Any] = jax.make_user_context(default_value=False) if hasattr(jax, "make_user_context") else None

_traces: Final[Any] = jax.make_user_context(default_value=None) if hasattr(jax, "make_user_context") else None


def collecting() -> AbstractContextManager[None]:
    """Return a context in which tags are kept; part of the cache key of every jit, so that no trace is taken for another."""
    context: AbstractContextManager[None] = contextlib.nullcontext() if _context is None else _context(True)
    return context


def is_collecting() -> bool:
    """Return whether tags are kept. Without a context of its own JAX could mix up traces, so that they always are."""
    return _context is None or bool(_context.value)


def _never() -> bool:
    return False


is_outside: Final[Callable[[], bool]] = _is_outside or _never
"""Tells that no call is part of a transformation now, at half the cost of `is_traced`; False where only that can tell."""


def is_traced(arguments: Any) -> bool:
    """Return whether a call with these arguments is part of a transformation: of a trace, or of `vmap` or `grad`."""
    if _is_outside is not None:
        return not _is_outside()
    return any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(arguments))


CALLS: Final = frozenset({
    "jit", "pjit", "closed_call", "core_closed_call", "custom_jvp_call", "custom_vjp_call", "custom_vjp_call_jaxpr",
})  # fmt: skip
"""Calls whose body may be put in place of the call: the compiler does the same. By name: few are public in every version."""
REMATS: Final = frozenset({"remat", "remat2", "checkpoint"})
_JAXPRS: Final = (jax_core.ClosedJaxpr, jax_core.Jaxpr)


def body_of(eqn: JaxprEqn) -> tuple[Any, Sequence[Any]]:
    """Return the jaxpr of a call and its constants."""
    names = ("jaxpr", "call_jaxpr", "fun_jaxpr")
    body = next(eqn.params[name] for name in names if name in eqn.params)
    return (body.jaxpr, body.consts) if isinstance(body, jax_core.ClosedJaxpr) else (body, ())


def bodies_of(eqn: JaxprEqn) -> Iterator[Any]:
    """Yield every jaxpr in the parameters of an equation: branches, loop bodies, calls."""
    leaves = jax.tree.leaves(list(eqn.params.values()), is_leaf=lambda leaf: isinstance(leaf, _JAXPRS))
    for leaf in leaves:
        if isinstance(leaf, _JAXPRS):
            yield getattr(leaf, "jaxpr", leaf)


def run_equation(jaxpr: Any, eqn: JaxprEqn, inputs: Sequence[Any]) -> list[Any]:
    """Run one equation as a program of its own: the signature of binding a primitive is private and changes."""
    variables = [v for v in eqn.invars if not isinstance(v, jax_core.Literal)]
    values = [x for v, x in zip(eqn.invars, inputs, strict=True) if not isinstance(v, jax_core.Literal)]
    one = jaxpr.replace(constvars=[], invars=variables, outvars=list(eqn.outvars), eqns=[eqn], effects=eqn.effects)
    return list(jax_core.jaxpr_as_fun(jax_core.ClosedJaxpr(one, ()))(*values))


def apart(key: Hashable) -> AbstractContextManager[None]:
    """Return a context in which traces are kept apart from those with other keys; tags are kept in it if they were before."""
    context: AbstractContextManager[None] = contextlib.nullcontext() if _context is None else _context(_context.value and (key,))
    return context


def only_here(key: Hashable) -> AbstractContextManager[None]:
    """Return a context in which traces are shared with nothing that is traced outside of it, or with another key."""
    context: AbstractContextManager[None] = contextlib.nullcontext() if _traces is None else _traces(key)
    return context


def is_lifted(function: Any) -> bool:
    """Return whether a method of a linen module was made by a transformation such as `nn.jit`.

    Those keep the traces of one layer for others of the same structure, whatever their names are.
    """
    return getattr(function, "__globals__", {}).get("__name__") == "flax.linen.transforms"


def with_shardings(values: Sequence[Any], eqn: JaxprEqn, param: str) -> list[Any]:
    """Return the arguments or results of a call in the shardings that it asks for, if it is a jit that does."""
    asked = eqn.params.get(param, ())
    if not any(isinstance(sharding, jax.sharding.Sharding) for sharding in asked):
        return list(values)
    return [
        jax.lax.with_sharding_constraint(x, sharding) if isinstance(sharding, jax.sharding.Sharding) else x
        for x, sharding in zip(values, asked, strict=True)
    ]


def specs_of(eqn: JaxprEqn) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """Return the specs of arguments and results of a shard_map; older versions keep them as axes by dimension."""
    if "in_specs" in eqn.params:
        return tuple(eqn.params["in_specs"]), tuple(eqn.params["out_specs"])
    return tuple(map(_spec, eqn.params["in_names"])), tuple(map(_spec, eqn.params["out_names"]))


def _spec(names: Mapping[int, tuple[str, ...]]) -> Any:
    return jax.sharding.PartitionSpec(*(names.get(i) for i in range(max(names, default=-1) + 1)))


def axes_of_shards(eqn: JaxprEqn) -> tuple[str, ...]:
    """Return the axes of the mesh that a shard_map takes over from the compiler."""
    for name in ("newly_manual_axes", "manual_axes"):
        if name in eqn.params:
            return tuple(sorted(eqn.params[name]))
    return tuple(name for name in eqn.params["mesh"].axis_names if name not in eqn.params["auto"])


def shard_map_again(eqn: JaxprEqn, body: Callable[..., Any], more: Any) -> Callable[..., Any]:
    """Return a shard_map like the one of an equation.

    Args:
        eqn: the equation.
        body: takes the same shards; returns the list of results, and something else.
        more: the specs of what else it returns.
    """
    in_specs, out_specs = specs_of(eqn)
    specs = {"mesh": eqn.params["mesh"], "in_specs": in_specs, "out_specs": (list(out_specs), more)}
    if "auto" in eqn.params:
        from jax.experimental import shard_map

        old: Any = shard_map.shard_map
        of_old: Callable[..., Any] = old(body, **specs, check_rep=eqn.params["check_rep"], auto=eqn.params["auto"])
        return of_old
    again: Callable[..., Any] = jax.shard_map(
        body, **specs, axis_names=set(axes_of_shards(eqn)), check_vma=eqn.params["check_vma"]
    )
    return again


def switch_again(eqn: JaxprEqn, branches: Sequence[Callable[..., Any]], inputs: Sequence[Any]) -> Any:
    """Run one of some branches in place of those of an equation: by an index, or by the platform that is compiled for."""
    index, *operands = inputs
    platforms = eqn.params.get("branches_platforms")
    if platforms is None:
        return jax.lax.switch(index.astype("int32"), branches, *operands)
    by_name = {name: branch for names, branch in zip(platforms, branches, strict=True) for name in names or ("default",)}
    return jax.lax.platform_dependent(*operands, **by_name)


def shard_map(function: Callable[..., Any], mesh: Mesh, in_specs: Any, out_specs: Any) -> Callable[..., Any]:
    """Return what runs a function on the parts that each device holds; `jax.shard_map` where it is there."""
    if hasattr(jax, "shard_map"):
        mapped: Callable[..., Any] = jax.shard_map(function, mesh=mesh, in_specs=in_specs, out_specs=out_specs, check_vma=False)
        return mapped
    from jax.experimental.shard_map import shard_map as experimental

    older: Callable[..., Any] = experimental(function, mesh, in_specs, out_specs, check_rep=False)
    return older


def partitioned(function: Callable[..., Any], partition: Callable[..., Any], **options: Any) -> Callable[..., Any]:
    """Return a function as an operation for which the compiler asks what each device is to do.

    Args:
        function: what the operation computes.
        partition: answers the compiler, as the argument of `custom_partitioning.def_partition`.
        options: further ones of it.
    """
    from jax.experimental.custom_partitioning import custom_partitioning  # not needed on one device, and experimental

    operation: Any = custom_partitioning(function)
    operation.def_partition(partition, **options)
    known: Callable[..., Any] = operation
    return known


def name_stack_of(eqn: JaxprEqn) -> tuple[tuple[bool, str], ...]:
    """Return the scopes and transformations in which an equation was made, from the outside; empty if they cannot be read.

    Each as a pair: whether it is a transformation, and its name. The elements of a stack are private; its text is the fallback.
    """
    try:
        stack: Any = eqn.source_info.name_stack
    except AttributeError:
        return ()
    try:
        return tuple((type(element).__name__ == "Transform", element.name) for element in stack.stack)
    except AttributeError:
        return tuple(_elements(str(stack)))


def _elements(text: str) -> Iterator[tuple[bool, str]]:
    """Yield the elements of the text of a name stack, e.g. 'transpose(jvp(Model))/dense'."""
    depths = list(itertools.accumulate((letter == "(") - (letter == ")") for letter in text))
    ends = [i for i, letter in enumerate(text) if letter == "/" and not depths[i]]
    for start, end in itertools.pairwise([-1, *ends, len(text)]):
        piece = text[start + 1 : end]
        name, bracket, inner = piece.partition("(")
        if bracket and inner.endswith(")"):
            yield True, name
            yield from _elements(inner[:-1])
        elif piece:
            yield False, piece


def traceback_of(eqn: JaxprEqn) -> tuple[Sequence[CodeType], Sequence[int]]:
    """Return the functions in which an equation was made, the innermost first, and the instruction in each; empty if not known.

    That JAX keeps a traceback with an equation is private.
    """
    try:
        traceback: Any = eqn.source_info.traceback
        codes, positions = traceback.raw_frames()
    except AttributeError:
        return (), ()
    return codes, positions


def call_name(eqn: JaxprEqn) -> str:
    """Return the name of the function that a call in a jaxpr was made of, '' if it has none that people know.

    Calls with rules of their own have it in what is kept for messages, which is private.
    """
    name = str(eqn.params.get("name", ""))
    if not name:
        debug_info = getattr(body_of(eqn)[0], "debug_info", None)
        name = str(getattr(debug_info, "func_name", "")).rpartition(".")[2]
    return name if name.isidentifier() and not name.startswith("_") and name not in _OF_FLAX else ""


_OF_FLAX: Final = frozenset({"core_fn", "fun_wrapped", "wrapped_fn", "jit_wrapper"})
