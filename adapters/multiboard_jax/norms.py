"""Norms alone: one reduction per array, without counting."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import jax
import jax.numpy as jnp

from multiboard.buckets import MOMENTS, SPECIALS, SQUARES, ZERO
from multiboard_jax.statistics import Measured, nothing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from multiboard_jax.distributed import Placement
    from multiboard_jax.harvest import Tagged

_MOST: Final = 2**31 - 1


def norms_of(found: Mapping[str, Tagged], placement: Placement | None) -> Measured:  # noqa: ARG001  # reductions need none
    """Return rows that hold sums of squares, NaN or infinite if a value is, and all values counted in one place."""
    if not found:
        return nothing(0)
    values = [tagged.value for tagged in found.values()]
    moments = jnp.zeros((len(values), MOMENTS), jnp.float32).at[:, SQUARES].set(jnp.stack(list(map(_squares, values))))
    specials = jnp.zeros((len(values), SPECIALS), jnp.int32).at[:, ZERO].set(jnp.stack(list(map(_size, values))))
    return Measured(jnp.zeros((len(values), 0), jnp.int32), specials, moments)


def _squares(value: Any) -> jax.Array:
    if isinstance(value, Measured):
        nonfinite = value.specials[0, 1:].sum() > 0
        return jnp.where(nonfinite, jnp.nan, value.moments[0, SQUARES])
    magnitude = jnp.abs(value) if jnp.issubdtype(value.dtype, jnp.complexfloating) else value
    return jnp.sum(jnp.square(magnitude.astype(jnp.float32)))


def _size(value: Any) -> jax.Array:
    if isinstance(value, Measured):
        return jnp.sum(value.counts[0]) + jnp.sum(value.specials[0])
    return jnp.asarray(min(value.size, _MOST), jnp.int32)
