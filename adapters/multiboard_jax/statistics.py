"""The counting pass of `multiboard.buckets` on a JAX device: traceable, no callback, no data-dependent shape.

Keys come from the bits of a value, never from arithmetic on floats: a device may flush subnormal results to zero, and the
scheme counts those as zero anyway. Sums are float32.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from multiboard.buckets import (
    BUCKETS,
    CHUNK,
    END_FIELD,
    EXPONENTS,
    FIRST_FIELD,
    FLOAT32_MAX,
    KEY_SHIFT,
    KEYS,
    MANTISSAS,
    MOMENTS,
    NAN,
    NEG_INF,
    POS_INF,
    SPECIALS,
    ZERO,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

_Part: TypeAlias = tuple[jax.Array, jax.Array]
"""Key counts int32 `[..., 4096]` and moments float32 `[..., 4]` of some values."""

_ROW: Final = 256
"""Small tensors are padded to rows of this length, so that one reduction serves all of them."""
_LANES: Final = 32
"""Key tables per tensor on accelerators: neighbouring values often share a key, and atomic adds to one address queue up."""


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


def measure(tensors: Sequence[jax.Array]) -> Measured:
    """Count all tensors of one capture in one program.

    Args:
        tensors: any shapes; bool, integer, float (also bfloat16 and float8) or complex (measured as magnitude).

    Returns:
        One row per tensor, with exactly the counts and special counts of `multiboard.buckets.measure`.

    Raises:
        TypeError: a tensor holds no numbers, e.g. PRNG keys.
    """
    for tensor in tensors:
        if not jnp.issubdtype(tensor.dtype, jnp.number) and tensor.dtype != jnp.bool_:
            raise TypeError(f"an array of {tensor.dtype} and shape {list(tensor.shape)} holds no numbers to measure")
    if not tensors:
        empty = jnp.zeros((0, BUCKETS), jnp.int32), jnp.zeros((0, SPECIALS), jnp.int32)
        return Measured(*empty, jnp.zeros((0, MOMENTS), jnp.float32))
    measured: Measured = _measure(list(tensors))
    return measured


@jax.jit
def _measure(tensors: list[jax.Array]) -> Measured:
    flat = [jnp.ravel(tensor) for tensor in tensors]
    small = [i for i, values in enumerate(flat) if values.size <= CHUNK]
    large = [i for i, values in enumerate(flat) if values.size > CHUNK]
    parts = [_together([flat[i] for i in small])] if small else []
    for i in large:
        table, moments = lax.platform_dependent(flat[i], cpu=_in_chunks, default=_at_once)
        parts.append((table[None], moments[None]))
    order = np.argsort(small + large)
    counts, specials = _fold(jnp.concatenate([table for table, _ in parts])[order])
    padding = np.array([-flat[i].size % _ROW if i in small else 0 for i in range(len(flat))], np.int32)
    return Measured(counts, specials.at[:, NAN].add(-padding), jnp.concatenate([moments for _, moments in parts])[order])


def _float32(values: jax.Array) -> jax.Array:
    """Cast as `multiboard.buckets.to_float32` does."""
    if values.dtype == jnp.bfloat16:
        bits = lax.bitcast_convert_type(values, jnp.uint16).astype(jnp.uint32)
        return lax.bitcast_convert_type(bits << 16, jnp.float32)
    if jnp.issubdtype(values.dtype, jnp.complexfloating):
        values = jnp.abs(values)
    if values.dtype == jnp.float64:
        values = jnp.where(jnp.isinf(values), values, jnp.clip(values, -FLOAT32_MAX, FLOAT32_MAX))
    return values.astype(jnp.float32)


def _keys(values: jax.Array) -> jax.Array:
    """Return the key of float32 values, int32 in 0 to 4095: sign, exponent and the top three mantissa bits."""
    return (lax.bitcast_convert_type(values, jnp.uint32) >> KEY_SHIFT).astype(jnp.int32)


def _reduce(values: jax.Array, axis: int | None) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
    """Return sum, sum of squares, smallest and largest of the finite values along one axis, or of all."""
    finite = jnp.isfinite(values)
    kept = jnp.where(finite, values, 0)
    smallest = jnp.min(values, axis, initial=jnp.inf, where=finite)
    largest = jnp.max(values, axis, initial=-jnp.inf, where=finite)
    return jnp.sum(kept, axis), jnp.sum(kept * kept, axis), smallest, largest


def _together(tensors: list[jax.Array]) -> _Part:
    """Count many small tensors at once: every operation per tensor would cost time to compile."""
    pieces: list[jax.Array | np.ndarray[Any, Any]] = []
    owners: list[int] = []
    for i, values in enumerate(tensors):
        padding = -values.size % _ROW
        pieces += [_float32(values), np.full(padding, np.nan, np.float32)]
        owners += [i] * ((values.size + padding) // _ROW)
    rows, owner, count = jnp.concatenate(pieces).reshape(-1, _ROW), np.array(owners, np.int32), len(tensors)
    table = jnp.zeros((count, KEYS), jnp.int32).at[owner[:, None], _keys(rows)].add(1, mode="promise_in_bounds")
    total, squares, smallest, largest = _reduce(rows, 1)
    sums = jnp.zeros((count, 2), jnp.float32).at[owner].add(jnp.stack([total, squares], axis=1))
    ends = jnp.full((count, 2), jnp.inf, jnp.float32).at[owner].min(jnp.stack([smallest, -largest], axis=1))
    return table, jnp.concatenate([sums, ends * np.array([1, -1], np.float32)], axis=1)


def _in_chunks(values: jax.Array) -> _Part:
    """Count a large tensor on a processor: the keys of a chunk stay in its cache."""

    def add(part: _Part, chunk: jax.Array) -> tuple[_Part, None]:
        wide = _float32(chunk)
        table = part[0].at[_keys(wide)].add(1, mode="promise_in_bounds")
        columns = wide.reshape(-1, _ROW) if wide.size % _ROW == 0 else wide[:, None]
        total, squares, smallest, largest = _reduce(columns, 0)
        news = total.sum(), squares.sum(), smallest.min(), largest.max()
        return (table, _join(part[1], jnp.stack(news))), None

    whole = values.size - values.size % CHUNK
    start = jnp.zeros(KEYS, jnp.int32), jnp.array([0, 0, jnp.inf, -jnp.inf], jnp.float32)
    part, _ = lax.scan(add, start, values[:whole].reshape(-1, CHUNK))
    return add(part, values[whole:])[0]


def _join(ours: jax.Array, theirs: jax.Array) -> jax.Array:
    smallest = jnp.minimum(ours[2], theirs[2])
    return jnp.stack([ours[0] + theirs[0], ours[1] + theirs[1], smallest, jnp.maximum(ours[3], theirs[3])])


def _at_once(values: jax.Array) -> _Part:
    """Count a large tensor on an accelerator, where a loop over chunks would be one launch after the other."""
    wide = _float32(values)
    lane = jnp.arange(wide.size, dtype=jnp.int32) % _LANES
    table = jnp.zeros((_LANES, KEYS), jnp.int32).at[lane, _keys(wide)].add(1, mode="promise_in_bounds")
    return table.sum(axis=0, dtype=jnp.int32), jnp.stack(_reduce(wide, None))


def _bin_of_each_key() -> np.ndarray[Any, np.dtype[np.int32]]:
    """Return for each of the 4096 keys its bucket, or 1024 and above for zero, NaN, +Inf and -Inf."""
    bins = np.zeros((2, 256, MANTISSAS), np.int32)
    body = np.arange(BUCKETS, dtype=np.int32).reshape(2, EXPONENTS, MANTISSAS)
    bins[:, FIRST_FIELD:END_FIELD] = body
    bins[:, 1:FIRST_FIELD] = body[:, :1, :1]
    bins[:, END_FIELD:255] = body[:, -1:, -1:]
    bins[:, 0] = BUCKETS + ZERO
    bins[:, 255] = BUCKETS + NAN
    bins[:, 255, 0] = BUCKETS + POS_INF, BUCKETS + NEG_INF
    return bins.reshape(-1)


_BIN: Final = _bin_of_each_key()


def _fold(tables: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Fold key counts int32 `[T, 4096]` into bucket counts `[T, 1024]` and special counts `[T, 4]`."""
    bins = jnp.zeros((len(tables), BUCKETS + SPECIALS), jnp.int32).at[:, _BIN].add(tables, mode="promise_in_bounds")
    return bins[:, :BUCKETS], bins[:, BUCKETS:]
