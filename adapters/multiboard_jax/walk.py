"""The walk through the equations of a body, which collects the tags in it."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import jax
import jax.numpy as jnp
from jax import lax
from jax.extend.core import Literal

from multiboard_jax import varying
from multiboard_jax._compat import CALLS, REMATS, body_of, run_equation, with_shardings
from multiboard_jax.collected import Tagged
from multiboard_jax.constructs import branch, scan, shards, while_loop
from multiboard_jax.survey import names_in, settled
from multiboard_jax.tagging import tag_p

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from jax.extend.core import JaxprEqn

    from multiboard_jax.survey import Setting
    from multiboard_jax.varying import Axes

_CONSTRUCTS: Final = {"scan": scan, "while": while_loop, "cond": branch, "shard_map": shards}


class Walk:
    """Runs the equations of a body one after the other.

    Args:
        setting: where in the program the body is.
        lost: filled with the names that cannot be reached, and where they are.

    Attributes:
        found: what was collected, in the order of the equations.
    """

    def __init__(self, setting: Setting, lost: dict[str, str]) -> None:
        self.setting, self.lost = setting, lost
        self.found: list[Tagged] = []

    def inner(self, setting: Setting) -> Walk:
        """Return a walk through a body that runs apart from this one."""
        return Walk(setting, self.lost)

    def run(self, jaxpr: Any, consts: Sequence[Any], inputs: Sequence[Any], axes: Sequence[Axes] | None = None) -> list[Any]:
        """Run a body.

        Args:
            jaxpr: the body.
            consts: its constants.
            inputs: its arguments.
            axes: over which they vary inside a `shard_map`.

        Returns:
            Its results.
        """
        values: dict[Any, Any] = dict(zip((*jaxpr.constvars, *jaxpr.invars), (*consts, *inputs), strict=True))
        known = varying.axes_of(jaxpr, axes) if axes and self.setting.manual else {}

        def read(atom: Any) -> Any:
            return atom.val if isinstance(atom, Literal) else values[atom]

        for eqn in jaxpr.eqns:
            outputs = self._run_equation(jaxpr, eqn, [read(atom) for atom in eqn.invars], varying.read(known, eqn.invars))
            values.update(zip(eqn.outvars, outputs, strict=True))
        return [read(atom) for atom in jaxpr.outvars]

    def _run_equation(self, jaxpr: Any, eqn: JaxprEqn, inputs: list[Any], axes: list[Axes]) -> list[Any]:
        names = names_in(eqn, self.setting)
        if names and eqn.primitive is tag_p:
            value = inputs[0] if isinstance(inputs[0], jax.Array) else jnp.asarray(inputs[0])
            label = settled(eqn.params["label"], value.ndim, looped=self.setting.looped)
            self.found.append(Tagged(value, label, axes[0]))
        if eqn.primitive is tag_p:
            return inputs
        if names and eqn.primitive.name in CALLS | REMATS:
            return self._open(eqn, inputs, axes)
        construct = _CONSTRUCTS.get(eqn.primitive.name) if names else None
        if construct is None:
            self.lost |= dict.fromkeys(names, eqn.primitive.name)
            return run_equation(jaxpr, eqn, inputs)
        with self._inside(eqn):
            return construct(self, eqn, inputs, axes)

    def _open(self, eqn: JaxprEqn, inputs: list[Any], axes: list[Axes]) -> list[Any]:
        if eqn.params.get("differentiated") and eqn.params.get("prevent_cse"):
            inputs = list(lax.optimization_barrier(inputs))  # or the compiler would not compute again, but keep
        with self._inside(eqn):
            outputs = self.run(*body_of(eqn), with_shardings(inputs, eqn, "in_shardings"), axes)
        return with_shardings(outputs, eqn, "out_shardings")

    @contextmanager
    def _inside(self, eqn: JaxprEqn) -> Iterator[None]:
        outer, self.setting = self.setting, self.setting.inside(eqn)
        try:
            yield
        finally:
            self.setting = outer
