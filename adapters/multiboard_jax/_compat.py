"""What differs between versions of JAX and Flax: the only place that asks for entry points that may be missing.

Everything used here is public in the newest version; older ones lack some of it and get the fallback beside it.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Final

import jax
from jax.extend import core as jax_core
from jax.extend.core import primitives

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from contextlib import AbstractContextManager

    from jax.extend.core import JaxprEqn

_context: Final[Any] = jax.make_user_context(default_value=False) if hasattr(jax, "make_user_context") else None


def collecting() -> AbstractContextManager[None]:
    """Return a context in which tags are kept; part of the cache key of every jit, so that no trace is taken for another."""
    context: AbstractContextManager[None] = contextlib.nullcontext() if _context is None else _context(True)
    return context


def is_collecting() -> bool:
    """Return whether tags are kept. Without a context of its own JAX could mix up traces, so that they always are."""
    return _context is None or bool(_context.value)


def _known(*names: str) -> frozenset[Any]:
    return frozenset(getattr(primitives, name) for name in names if hasattr(primitives, name))


INLINED: Final = _known("jit_p", "pjit_p", "closed_call_p", "custom_jvp_call_p", "custom_vjp_call_p", "custom_vjp_call_jaxpr_p")
"""Calls whose body may be put in place of the call: the compiler does the same."""
REMAT: Final = primitives.remat_p
SCAN: Final = primitives.scan_p
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
