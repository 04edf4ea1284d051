"""The counting pass of `multiboard.buckets` on JAX devices: traceable, no callback, no data-dependent shape.

One program measures all tensors of a capture. Its result leaves the device as one array, see `pack` and `Arrival`.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from multiboard.arrays import transfers_allowed
from multiboard.buckets import BUCKETS, LARGEST, MOMENTS, SLOTS, SMALLEST, SPECIALS
from multiboard.values import MeasuredBatch
from multiboard_jax.distributed import over_shards, replicated
from multiboard_jax.kernels import add_moments, count_in_lanes, count_in_loops, count_in_products, no_moments

if TYPE_CHECKING:
    from collections.abc import Sequence

    from multiboard_jax.distributed import Placement


class Measured(NamedTuple):
    """Statistics of T tensors, on the device.

    Attributes:
        counts: int32 `[T, 1024]` by bucket.
        specials: int32 `[T, 4]`: zeros, NaN, +Inf, -Inf.
        moments: float32 `[T, 4]`: sum, sum of squares, smallest, largest of the finite values (+Inf, -Inf if there are none).
            An extreme below 2**-126 may come out as 0.
    """

    counts: jax.Array
    specials: jax.Array
    moments: jax.Array


def nothing(rows: int) -> Measured:
    """Return the statistics of `rows` tensors without values."""
    return Measured(jnp.zeros((rows, BUCKETS), jnp.int32), jnp.zeros((rows, SPECIALS), jnp.int32), no_moments(rows))


def merge(ours: Measured, theirs: Measured) -> Measured:
    """Add row by row: the statistics of the values of both, for the same number of rows."""
    moments = add_moments(ours.moments, theirs.moments)
    return Measured(ours.counts + theirs.counts, ours.specials + theirs.specials, moments)


def measure(tensors: Sequence[jax.Array], placement: Placement | None = None) -> Measured:
    """Count all tensors of one capture in one program.

    Args:
        tensors: any shapes; bool, integer, float (also bfloat16 and float8) or complex (measured as magnitude).
        placement: the devices of the program, None for a single one. With it no tensor is gathered, whatever way the compiler
            has split it, and every device gets the whole result.

    Returns:
        One row per tensor, with exactly the counts and special counts of `multiboard.buckets.measure`.

    Raises:
        TypeError: a tensor holds no numbers, e.g. PRNG keys.
    """
    for tensor in tensors:
        if not jnp.issubdtype(tensor.dtype, jnp.number) and tensor.dtype != jnp.bool_:
            raise TypeError(f"an array of {tensor.dtype} and shape {list(tensor.shape)} holds no numbers to measure")
    if not tensors:
        return nothing(0)
    measured: Measured = _measure(list(tensors), placement)
    return measured


@functools.partial(jax.jit, static_argnums=1)
def _measure(tensors: list[jax.Array], placement: Placement | None) -> Measured:
    if placement is None:
        return _on_one_device(tensors)
    counts, specials, moments = over_shards(_unless_again, tensors, placement)
    ends = moments[..., SMALLEST].min(axis=0), moments[..., LARGEST].max(axis=0)
    moments = jnp.column_stack([moments[..., :SMALLEST].sum(axis=0), *ends])
    return replicated(Measured(counts.sum(axis=0), specials.sum(axis=0), moments), placement)


def _unless_again(again: jax.Array, *tensors: jax.Array) -> Measured:
    """Measure tensors, and nothing of those that are measured on another device."""
    rows = zip(_on_one_device(tensors), nothing(len(tensors)), strict=True)
    with jax.numpy_rank_promotion("allow"):
        return Measured(*(jnp.where(again[:, None], none, some) for some, none in rows))


def _on_one_device(tensors: Sequence[jax.Array]) -> Measured:
    flat = [jnp.ravel(tensor) for tensor in tensors]
    with jax.numpy_rank_promotion("allow"):
        table, moments = lax.platform_dependent(flat, cpu=count_in_loops, tpu=count_in_products, default=count_in_lanes)
        return Measured(*_fold(table), moments)


def pack(measured: Measured) -> jax.Array:
    """Return all in one array, of which the last four columns are the bits of the moments: int32 `[T, 1032]`.

    Without buckets (counts `[T, 0]`) it is `[T, 8]`.
    """
    return jnp.concatenate([measured.counts, measured.specials, lax.bitcast_convert_type(measured.moments, jnp.int32)], axis=1)


class Arrival:
    """Brings packed statistics to the host, behind what computes them and beside what comes next; a `Pending`.

    They are outputs that no later step can be given, so that donation does not reach them.

    Args:
        packed: what `pack` returned, from a compiled program; on several devices, the whole of it on each.
    """

    def __init__(self, packed: jax.Array) -> None:
        self._packed: Any = packed
        with transfers_allowed():
            packed.copy_to_host_async()

    def is_ready(self) -> bool:
        """Tell whether `fetch` would not wait for the program."""
        return bool(self._packed.is_ready())

    def fetch(self) -> MeasuredBatch:
        """Wait for the statistics and return them, on the host."""
        with transfers_allowed():
            packed = np.asarray(self._packed)
        specials, moments = packed[:, -MOMENTS - SPECIALS : -MOMENTS], packed[:, -MOMENTS:].view(np.float32)
        return MeasuredBatch(packed[:, : -MOMENTS - SPECIALS], specials, moments)


def _fold(tables: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Fold key counts int32 `[T, 4096]` into bucket counts `[T, 1024]` and special counts `[T, 4]`."""
    bins = jnp.zeros((len(tables), BUCKETS + SPECIALS), jnp.int32).at[:, SLOTS].add(tables, mode="promise_in_bounds")
    return bins[:, :BUCKETS], bins[:, BUCKETS:]
